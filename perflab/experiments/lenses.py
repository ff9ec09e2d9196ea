"""One thing of some 24 MB, and what each tool says of it. Run it apart."""

import sqlite3
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import psutil

CELLS = 3_000_000  # of 8 bytes


def seen_by_each(what: str) -> dict[str, float]:
    """MB by tool of the thing of that name in THINGS: more than before it was made.

    tracemalloc looks at a second one, so that its own books do not count as resident memory.
    """
    make, process = THINGS[what], psutil.Process()
    make(10)
    before = process.memory_info()
    thing = make(CELLS)
    after = process.memory_info()
    told = {
        "getsizeof": sys.getsizeof(thing),
        "resident": after.rss - before.rss,
        "virtual": after.vms - before.vms,
    }
    del thing
    tracemalloc.start()
    thing = make(CELLS)
    told["tracemalloc"] = tracemalloc.get_traced_memory()[0]
    del thing
    return {tool: value / 1e6 for tool, value in told.items()}


def _list(cells: int) -> Any:
    return [number + 0.5 for number in range(cells // 4)]  # 8 bytes here, 24 a float


def _zeros(cells: int) -> Any:
    import numpy as np

    return np.zeros(cells)


def _ones(cells: int) -> Any:
    import numpy as np

    return np.ones(cells)


def _view(cells: int) -> Any:
    import numpy as np

    return np.ones(cells)[:10]


def _database(cells: int) -> Any:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table notes (note text)")
    rows = ((f"{number:0100}",) for number in range(cells // 14))
    connection.executemany("insert into notes values (?)", rows)
    return connection


THINGS: dict[str, Callable[[int], Any]] = {
    "a list of floats": _list,
    "np.ones": _ones,
    "np.zeros, not touched": _zeros,
    "ten cells of np.ones": _view,
    "SQLite's rows": _database,
}
