"""A pipeline's work on Dask's workers, one of them killed in the middle."""

import os
import subprocess
import sys
import time

import pytest
from processes import gone, wait_until

from perflab.errors import ServerError
from perflab.patterns import Pipeline, transform
from perflab.systems import cluster

KERNEL = """
from perflab.systems import cluster
if __name__ == "__main__":
    with cluster(2) as dask:
        print(*dask.pids(), flush=True)
        input()
"""


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
    """They are impure: twenty times urandom are twenty values."""
    assert len(set(dask.executor().map(random_bytes, [0] * 20))) == 20


def test_a_worker_killed_in_the_middle_costs_no_item(dask):
    """What it had is done again by another; the pipeline does not notice."""
    pipeline = Pipeline(transform(where, workers=8, executor=dask.executor()))
    with pipeline.process(range(60)) as results:
        found = [next(results) for _ in range(10)]
        killed = dask.kill_worker()
        found += list(results)
    assert [item for item, _ in found] == list(range(60))
    assert wait_until(lambda: len(dask.pids()) == 2 and killed not in dask.pids(), 30)


def test_an_error_in_a_worker_comes_back_with_its_item(dask):
    """As from a thread."""
    pipeline = Pipeline(transform(int, workers=2, executor=dask.executor()))
    with pipeline.process(["1", "x"]) as results, pytest.raises(Exception, match="x"):
        list(results)


def test_its_workers_end_with_a_killed_kernel():
    """None is left a few seconds later."""
    with subprocess.Popen(
        [sys.executable, "-c", KERNEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as kernel:
        try:
            pids = [int(word) for word in kernel.stdout.readline().split()]
        finally:
            kernel.kill()
    assert len(pids) == 2
    assert wait_until(lambda: all(map(gone, pids)), 10)


def test_before_the_start_it_says_so():
    """No executor that would wait for ever."""
    with pytest.raises(ServerError, match="never started"):
        cluster().executor()
