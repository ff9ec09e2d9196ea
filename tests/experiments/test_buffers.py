"""What the chapter on memory shows of buffers and pools, as counts."""

import gc
import sys

import pytest

from perflab.experiments.apart import apart
from perflab.experiments.buffers import (
    ListPool,
    after_burst,
    buffer_costs,
    buffer_requests,
    new_bytes,
)
from perflab.guide.objectpool import ObjectPool as GuidesPool


@pytest.mark.parametrize(
    ("name", "anew"), [("a new one", True), ("clear()", True), ("guide's", False), ("ours", False)]
)
def test_only_a_pool_that_keeps_the_array_takes_no_new_memory(name, anew):
    """A buffer that was emptied by clear() is as dear as a new one."""
    assert (new_bytes(buffer_requests(1_000_000)[name]) > 900_000) == anew


def test_a_list_keeps_a_burst_and_the_guides_pool_gives_it_back():
    """Two full collections empty Go's pool, whatever pools have come and gone before."""
    [GuidesPool() for _ in range(5)]
    megabytes = [round(held / 1e6) for held in after_burst(GuidesPool)]
    assert megabytes == [40, 40, 0, 0, 0, 0]
    assert gc.isenabled()  # it was off meanwhile
    assert [round(held / 1e6) for held in after_burst(ListPool)] == [40] * 6


def test_a_pool_that_is_gone_is_not_told_of_collections():
    """The listener leaves with the pool."""
    before = len(gc.callbacks)
    GuidesPool()
    assert len(gc.callbacks) == before


@pytest.mark.skipif(sys.platform != "linux", reason="page faults as Linux counts them")
def test_clear_gives_the_pages_back_every_time():
    """1 MB is more than 200 pages, and all of them are found anew for each request."""
    costs = apart(buffer_costs, 1_000_000)
    assert 200 < costs["clear()"]["faults"] < 500
    assert costs["ours"]["faults"] < 5
    assert costs["guide's"]["faults"] < 5
    assert {cost["collections"] for cost in costs.values()} == {0}
