"""A pipeline's work on Dask's workers, one of them killed in the middle."""

import os
import time

import pytest
from processes import gone

from perflab.contracts.threads import eventually
from perflab.errors import ServerError
from perflab.patterns import Pipeline, transform
from perflab.systems import cluster


@pytest.fixture(scope="module")
def dask():
    with cluster(2) as running:
        yield running


def where(item):
    """The item and the process that had it; slow enough for both to get some."""
    time.sleep(0.02)
    return item, os.getpid()


def random_bytes(_):
    return os.urandom(8)


def test_a_pipeline_works_in_other_processes_and_keeps_its_order(dask):
    """Every item once, by either worker."""
    pipeline = Pipeline(transform(where, workers=4, executor=dask.executor()))
    with pipeline.process(range(40)) as results:
        found = list(results)
    assert [item for item, _ in found] == list(range(40))
    assert {pid for _, pid in found} == set(dask.pids())


def test_equal_calls_are_made_each_by_itself(dask):
    """They are impure: twenty times urandom are twenty values; with Dask's default they are one."""
    assert len(set(dask.executor().map(random_bytes, [0] * 20))) == 20
    assert len(set(dask.executor(pure=True).map(random_bytes, [0] * 20))) == 1


def test_a_worker_killed_in_the_middle_costs_no_item(dask):
    """What it had is done again by another; the pipeline does not notice."""
    pipeline = Pipeline(transform(where, workers=8, executor=dask.executor()))
    with pipeline.process(range(60)) as results:
        found = [next(results) for _ in range(10)]
        killed = dask.kill_worker()
        found += list(results)
    assert [item for item, _ in found] == list(range(60))
    assert eventually(lambda: len(dask.pids()) == 2 and killed not in dask.pids(), 30)


def test_an_error_in_a_worker_comes_back_with_its_item(dask):
    """As from a thread."""
    pipeline = Pipeline(transform(int, workers=2, executor=dask.executor()))
    with pipeline.process(["1", "x"]) as results, pytest.raises(Exception, match="x"):
        list(results)


def test_it_can_be_restarted_and_stopped_like_any_server():
    """A restart gives new workers, a stop leaves none, and no folder."""
    with cluster(1) as own:
        folder, (before,) = own._folder, own.pids()
        assert list(folder.glob("dask*/worker*"))
        own.restart()
        (after,) = own.pids()
        assert after != before
        assert gone(before)
        assert own.executor().submit(os.getpid).result(30) == after
    assert eventually(lambda: gone(after) and not folder.exists(), 5)


def test_before_the_start_it_says_so():
    """No executor that would wait for ever."""
    with pytest.raises(ServerError, match="never started"):
        cluster().executor()
