"""One module for each pattern, read by the tests that hold for all of them.

- `CONTRACT`: the module of its checks.
- `FAILS`: a list of (implementation, the statements that it fails): ours with an empty set, the
  guide's port, and wrong variants, each caught by the contract.
- `NONSENSE`: {name of call: (call of one bad value, bad values)}; each a ValueError that names it.
"""

import importlib
import pkgutil
from types import ModuleType

ALL: list[ModuleType] = [
    importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
]
