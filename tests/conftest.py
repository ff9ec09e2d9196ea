"""How the tests run: the same examples every time, and no example judged by how long it takes."""

import os

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("PERFLAB_EXAMPLES", "same"))  # "explore" looks for new ones
