"""A stage of a pipeline on any executor: threads, processes, one that dies, one that is none."""

import os
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from perflab.contracts.threads import PATIENCE, Running, eventually
from perflab.errors import StageError
from perflab.patterns.parts.bell import LockedBell
from perflab.patterns.pipeline import Pipeline, filter_by, transform


class Locked(Pipeline):
    """The path without a GIL."""

    _bell = LockedBell


BOTH = pytest.mark.parametrize("pipeline", [Pipeline, Locked])


def same(item):
    return item


def halve(item):
    return 1 / item


def is_odd(item):
    return item % 2


def die(item):
    os._exit(1)


class Now(Executor):
    """Calls at once, in the thread that submits; what it was given is in `calls`."""

    def __init__(self):
        self.calls = []

    def submit(self, function, /, *args):
        self.calls.append(args)
        future = Future()
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)
        return future


@BOTH
def test_a_stage_runs_on_the_executor_that_it_is_given(pipeline):
    """Filters and transformations, in order, beside stages of the pipeline's own."""
    now = Now()
    stages = (
        filter_by(is_odd, executor=now),
        transform(same, workers=2),
        transform(str, executor=now),
    )
    with pipeline(*stages, queue_size=3).process(range(100)) as results:
        assert list(results) == [str(n) for n in range(100) if n % 2]
    assert len(now.calls) == 150


def test_no_more_calls_than_workers_are_with_the_executor():
    """The executor's own queue stays short, however many threads it has."""
    begun, gate = [], threading.Event()

    def call(item):
        begun.append(item)
        gate.wait(PATIENCE)
        return item

    with ThreadPoolExecutor(8) as executor:
        pipeline = Pipeline(transform(call, workers=3, executor=executor))
        with pipeline.process(range(20)) as results:
            assert eventually(lambda: len(begun) == 3)
            assert not eventually(lambda: len(begun) > 3, 0.1)
            assert executor._work_queue.qsize() == 0
            gate.set()
            assert list(results) == list(range(20))
        assert executor.submit(same, 1).result() == 1  # it is still its owner's


def test_a_stop_cancels_what_the_executor_has_not_begun():
    """Closing waits for the call under way and for no other."""
    begun, gate = [], threading.Event()

    def call(item):
        begun.append(item)
        gate.wait()
        return item

    with ThreadPoolExecutor(1) as executor:
        stages = transform(call, workers=4, executor=executor), transform(same)
        results = Pipeline(*stages, queue_size=1).process(range(4))
        assert eventually(lambda: len(begun) == 1 and executor._work_queue.qsize() == 3)
        closing = Running(results.close)
        waiting = results._flow.crews[0]._under_way
        assert eventually(lambda: len(waiting) == 1)
        gate.set()
        assert closing.join()
    assert begun == [0]
    assert results.stats().unfinished == 4


def test_work_goes_to_processes_and_comes_back_in_order():
    """A process pool is an executor like any other; an error comes with its item."""
    with ProcessPoolExecutor(2) as processes:
        stages = filter_by(is_odd), transform(halve, workers=4, executor=processes)
        assert list(Pipeline(*stages).process(range(10))) == [1 / n for n in (1, 3, 5, 7, 9)]
        failing = Pipeline(transform(halve, workers=4, executor=processes))
        with pytest.raises(StageError) as caught:
            list(failing.process([1, 0]))
        assert caught.value.item == 0
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_executor_that_dies_or_has_been_shut_down_is_an_error_of_the_stage():
    """Neither hangs: a killed process, and a submit that is refused."""
    with ProcessPoolExecutor(1) as processes:
        with pytest.raises(StageError) as caught:
            list(Pipeline(transform(die, workers=2, executor=processes)).process(range(5)))
        assert isinstance(caught.value.__cause__, BrokenProcessPool)
    ended = ThreadPoolExecutor(1)
    ended.shutdown()
    with pytest.raises(StageError, match="after shutdown"):
        list(Pipeline(transform(same, executor=ended)).process(range(5)))
