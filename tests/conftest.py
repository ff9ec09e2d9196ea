"""How the tests run: the same examples every time, none judged by how long it takes; a shop."""

import os

import pytest
from hypothesis import settings
from tqdm import tqdm

from perflab.systems import shop

tqdm.monitor_interval = 0  # else a thread of its stays and allocates while tests count bytes
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("PERFLAB_EXAMPLES", "same"))  # "explore" looks for new ones


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory):
    """A shop of 5,000 order items."""
    return shop(5_000, folder=tmp_path_factory.mktemp("shop"))
