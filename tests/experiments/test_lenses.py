"""What each tool calls memory, of things whose size is known."""

import sys

import pytest

from perflab.experiments.apart import apart
from perflab.experiments.lenses import seen_by_each

MOST, NOTHING = 20, 5  # MB, of 24


@pytest.mark.parametrize(
    ("thing", "much"),
    [
        ("np.ones", {"getsizeof", "resident", "virtual", "tracemalloc"}),
        ("np.zeros, not touched", {"getsizeof", "virtual", "tracemalloc"}),
        ("ten cells of np.ones", {"resident", "virtual", "tracemalloc"}),
        ("SQLite's rows", {"resident", "virtual"}),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="pages as Linux gives them out")
def test_each_tool_sees_what_its_name_says(thing, much):
    """What was promised is not yet resident, and what SQLite holds is none of Python's."""
    told = apart(seen_by_each, thing)
    assert {tool for tool, size in told.items() if size > MOST} == much
    assert all(told[tool] < NOTHING for tool in set(told) - much)
