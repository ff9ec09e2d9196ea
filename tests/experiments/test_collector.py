"""What the chapter on memory shows of the collector, as counts."""

import gc

from perflab.experiments.apart import apart
from perflab.experiments.collector import cycles, full_pause, growing, without_collector


def test_the_collector_comes_for_what_stays_and_not_for_what_goes():
    """Objects that are let go at once bring no collection nearer."""
    assert apart(growing, 100, True, True)["collections"] > 20
    assert apart(growing, 100, True, False)["collections"] == 0


def test_without_the_collector_there_are_no_collections_and_every_request_is_seen():
    """Each column has an entry a request."""
    off = apart(growing, 100, False)
    assert off["collections"] == 0
    assert {len(off[name]) for name in ("latency", "collecting", "resident")} == {100}
    assert max(off["collecting"]) == 0


def test_freezing_leaves_the_collector_nothing_to_look_at():
    """What lives is out of its sight afterwards."""
    assert apart(full_pause, 10_000, False)["tracked"] >= 10_000
    assert apart(full_pause, 10_000, True)["tracked"] < 1_000


def test_cycles_stay_where_nobody_collects():
    """With the collector on most of them are gone."""
    assert apart(cycles, 2_000, False)["alive"] == 2_000
    assert apart(cycles, 2_000, True)["alive"] < 1_500


def test_work_without_the_collector_leaves_it_as_it_was():
    """Off while the work runs; on again afterwards only where it was on before."""
    seen = []
    work = without_collector(lambda: seen.append(gc.isenabled()))
    work()
    assert gc.isenabled()
    gc.disable()
    try:
        work()
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert seen == [False, False]
