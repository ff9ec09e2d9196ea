"""Tables of what profilers found, and the boxes of a flame graph."""

import cProfile
import tracemalloc
from types import SimpleNamespace

import pytest
from line_profiler import LineProfiler

from perflab.book.bylines import memory_by_line, source_line, time_by_function, time_by_line
from perflab.book.figures.flame import IDLE, tree
from perflab.experiments import slowpage
from perflab.measure import Profile

MAIN = ("runpy._run_module_as_main", "__main__.<module>", "__main__.serve", "uvicorn.run")
ASKED = ("starlette.call", "starlette.handle", "__main__.Api.product", "__main__.Products.page")
WORKER = ("threading.Thread._bootstrap", "threading.Thread.run", IDLE)
PROFILE = Profile(
    {
        MAIN: 1.0,
        MAIN + ASKED: 2.0,
        MAIN + ASKED[:3]: 0.5,
        WORKER: 10.0,
        (*WORKER, "__main__.Products._count_sold"): 1.5,
    },
    {},
)


def test_what_waits_for_work_is_left_out():
    """Idle workers would be the widest box of all."""
    assert tree(PROFILE).seconds == pytest.approx(5.0)


def test_frames_of_one_foreign_package_share_a_box_and_our_own_have_one_each():
    """The path to a page is as long as what a reader needs of it."""
    box, path = tree(PROFILE), []
    while box.below:
        box = max(box.below.values(), key=lambda one: one.seconds)
        path.append(box.name)
    assert path == ["event loop", "uvicorn", "starlette", "Api.product", "Products.page"]
    assert box.seconds == pytest.approx(2.0)


def test_no_box_is_narrower_than_what_it_called():
    """Time is handed down, never made."""

    def check(box):
        assert sum(one.seconds for one in box.below.values()) <= box.seconds + 1e-9
        for one in box.below.values():
            check(one)

    check(tree(PROFILE))


def test_the_table_by_function_counts_calls():
    """Three calls for each price, and the page once."""
    profile = cProfile.Profile()
    profile.runcall(slowpage.page, slowpage.net_prices(100))
    table = time_by_function(profile)
    assert table["calls"].to_dict() == {
        "page": 1, "taxed": 1, "gross": 100, "tax": 100, "rounded": 100, "bands": 1,
    }  # fmt: skip
    assert table.loc["page", "%"] == 100


def test_the_table_by_line_shows_the_source_and_its_hits():
    """No path of this machine is in it."""
    profiler = LineProfiler(slowpage.taxed)
    profiler.runcall(slowpage.page, slowpage.net_prices(100))
    table = time_by_line(profiler).set_index("line")
    assert table.loc["price = gross(net)", "hits"] == 100
    assert "/" not in table.to_string()


def test_a_functions_own_time_is_without_what_it_calls():
    """The share is that of its time with all that it calls."""
    times = (("page", 0.03, 0.12), ("tax", 0.09, 0.09))
    entries = [
        SimpleNamespace(code=SimpleNamespace(co_name=name), callcount=1, inlinetime=a, totaltime=b)
        for name, a, b in times
    ]
    table = time_by_function(SimpleNamespace(getstats=lambda: entries))
    assert table["own ms"].to_dict() == {"page": 30, "tax": 90}
    assert table["with callees (ms)"].to_dict() == {"page": 120, "tax": 90}
    assert table["%"].to_dict() == {"page": 100, "tax": 75}


def test_the_table_of_memory_tells_what_is_held_from_what_a_line_added():
    """In MB, where memory_profiler counts in MiB; a line that never ran has no row."""
    code_map = {__file__: [(1, (1.0, 50.0, 1)), (2, None)]}
    table = memory_by_line(SimpleNamespace(code_map=code_map))
    assert table["resident (MB)"].tolist() == [52.4]
    assert table["added (MB)"].tolist() == [1.0]


def test_a_lines_share_is_its_part_of_the_functions_time():
    """Thirty of 120 ticks are a quarter."""
    stats = SimpleNamespace(timings={(__file__, 1, "page"): [(1, 1, 30), (2, 5, 90)]}, unit=1e-3)
    table = time_by_line(SimpleNamespace(get_stats=lambda: stats))
    assert table["ms"].tolist() == [30, 90]
    assert table["% of function"].tolist() == [25, 75]


def test_the_line_that_allocated_is_told_by_its_source():
    """As it stands in the file."""
    tracemalloc.start()
    try:
        kept = bytes(1_000_000)
        found = tracemalloc.take_snapshot().statistics("lineno")[0]
    finally:
        tracemalloc.stop()
    assert source_line(found) == "kept = bytes(1_000_000)"
    assert kept
