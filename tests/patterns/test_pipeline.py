"""A pipeline beyond its contract: exact bounds, executors, interruptions, any chain of stages."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import weakref

import pytest

from perflab.contracts.threads import Running, eventually
from perflab.errors import ClosedError, StageError
from perflab.patterns.parts.bell import Bell, LockedBell
from perflab.patterns.parts.handover import Lane, Ticket
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


class Counting:
    """An endless source that knows how many it gave."""

    def __init__(self):
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.taken += 1
        return self.taken - 1


# ── places


@BOTH
@pytest.mark.parametrize("queue_size", [1, 2, 7])
def test_unread_it_takes_its_queue_and_one_for_each_worker(pipeline, queue_size):
    """The bound is exact, with and without a lock of the interpreter's."""
    source = Counting()
    results = pipeline(transform(same), transform(same, workers=3), queue_size=queue_size)
    with results.process(source) as unread:
        assert eventually(lambda: unread.stats().taken == queue_size + 4)
        assert eventually(
            lambda: sum(one.calls for one in unread.stats().stages) == 2 * (queue_size + 4)
        )
        assert source.taken == queue_size + 4
    assert unread.stats().unfinished == queue_size + 4


class Ahead:
    """Numbers from 0; how far it was ahead of what had `come` at most."""

    def __init__(self, size):
        self._numbers = iter(range(size))
        self.taken = self.come = self.most = 0

    def __iter__(self):
        return self

    def __next__(self):
        number = next(self._numbers)
        self.taken += 1
        self.most = max(self.most, self.taken - self.come)
        return number


@BOTH
def test_read_on_it_never_has_more_under_way(pipeline):
    """The bound of the unread pipeline is that of one that has been read for long, too."""
    source = Ahead(2_000)
    results = pipeline(transform(same), transform(same, workers=3), queue_size=5).process(source)
    for _ in results:
        source.come += 1
    assert source.taken == 2_000
    assert source.most <= 5 + 4 + 1  # the consumer has one in its hands, not yet counted


def test_items_that_a_filter_refused_take_no_place_for_ever():
    """A thousand go through four places."""
    pipeline = Pipeline(filter_by(lambda n: n == 999), queue_size=3)
    with pipeline.process(range(1000)) as results:
        assert list(results) == [999]
    stats = results.stats()
    assert (stats.taken, stats.delivered, stats.dropped, stats.unfinished) == (1000, 1, 999, 0)


def test_what_was_delivered_is_held_by_nobody():
    """A large result is free as soon as its consumer lets go of it, also while nothing follows."""

    class Large:
        pass

    more = threading.Event()

    def source():
        yield 1
        more.wait()

    stages = transform(lambda n: Large()), transform(same, workers=2), transform(same)
    with Pipeline(*stages).process(source()) as results:
        gone = weakref.ref(next(results))
        assert eventually(lambda: gone() is None)
        more.set()


def test_the_slowest_stage_is_where_tickets_wait():
    """Stats tell which stage to widen."""
    gate = threading.Event()
    stages = transform(same), transform(lambda n: gate.wait()), transform(same)
    with Pipeline(*stages, queue_size=5).process(Counting()) as results:
        assert eventually(lambda: results.stats().stages[1].waiting == 7)
        assert [one.waiting for one in results.stats().stages] == [0, 7, 0]
        gate.set()


def test_stats_count_each_stage():
    """Calls, refusals and failures by stage; items by what became of them."""
    stages = filter_by(is_odd), transform(lambda n: 1 / (n - 7), workers=2)
    with Pipeline(*stages).process(range(10)) as results, pytest.raises(StageError):
        list(results)
    stats = results.stats()
    assert (stats.delivered, stats.dropped, stats.failed) == (3, 4, 1)
    assert stats.taken == stats.delivered + stats.dropped + stats.failed + stats.unfinished
    assert stats.stages[0].name == "is_odd"
    assert stats.stages[1].failed == 1


# ── errors and ends


@BOTH
def test_an_error_says_where_and_on_what(pipeline):
    """Stage, item and cause; and afterwards the results are not read on as if complete."""
    with pipeline(transform(halve)).process([2, 1, 0, 4]) as results:
        assert [next(results), next(results)] == [0.5, 1.0]
        with pytest.raises(StageError, match="halve failed on 0: ZeroDivisionError") as caught:
            next(results)
        assert caught.value.item == 0
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(ClosedError):
            next(results)


def test_after_a_failure_the_source_is_read_no_further():
    """Also while nobody reads the results; what it gives in the meantime is the last."""

    there = threading.Event()

    def source():
        yield 0
        there.wait()
        assert eventually(lambda: results.stats().stages[0].failed == 1)
        yield from itertools.count(1)

    with Pipeline(transform(halve)).process(source()) as results:
        there.set()
        assert eventually(lambda: not results._flow._reader.is_alive())
        assert results.stats().taken in (1, 2)  # the second where it was being read already


def test_a_stage_may_raise_what_would_end_a_loop_or_a_program():
    """StopIteration and SystemExit are a stage's failure like any other."""
    for kind in (StopIteration, SystemExit, KeyboardInterrupt):

        def stage(item, kind=kind):
            raise kind

        with pytest.raises(StageError) as caught:
            list(Pipeline(transform(stage)).process([1]))
        assert isinstance(caught.value.__cause__, kind)


def test_after_its_end_there_is_nothing_more():
    """Ended is ended, closed or not; closed before it is another thing."""
    ended = Pipeline(transform(same)).process([1])
    assert list(ended) == [1]
    assert list(ended) == []
    ended.close()
    assert list(ended) == []
    closed = Pipeline(transform(same)).process([1])
    closed.close()
    with pytest.raises(ClosedError):
        next(closed)


def test_a_stage_that_closes_its_own_pipeline_does_not_wait_for_itself():
    """Closing in the middle of a call, from several calls at once, comes back."""
    holder, held, both = [], threading.Event(), threading.Barrier(2)

    def stage(item):
        held.wait()
        if item in (3, 4):
            both.wait()
            holder[0].close()
        return item

    results = Pipeline(transform(stage, workers=2)).process(Counting())
    holder.append(results)
    held.set()
    consumer = Running(lambda: list(results))
    with pytest.raises(ClosedError):
        consumer.result()
    results.close()
    assert results.stats().stages[0].failed == 0
    holder.clear()


def test_one_pipeline_serves_two_sources_at_once():
    """What belongs to a source is not the pipeline's."""
    pipeline = Pipeline(transform(same, workers=2), queue_size=2)
    with pipeline.process(range(50)) as one, pipeline.process("abc") as other:
        assert list(zip(one, other, strict=False)) == [(0, "a"), (1, "b"), (2, "c")]


def test_a_pipeline_may_be_the_source_of_another():
    """Left early, the outer one stops the inner one too."""
    before = set(threading.enumerate())
    inner = Pipeline(transform(same, workers=2), queue_size=2)
    outer = Pipeline(transform(same), queue_size=2)
    with outer.process(inner.process(itertools.count())) as results:
        assert [next(results), next(results)] == [0, 1]
    assert eventually(lambda: set(threading.enumerate()) <= before)


def test_the_flow_of_a_source_is_freed_without_a_collection():
    """Nothing of it is in a cycle: memory does not wait for the collector."""
    gc.disable()
    try:
        results = Pipeline(transform(same, workers=2), filter_by(same)).process([0, 1])
        flow = weakref.ref(results._flow)
        assert list(results) == [1]
        del results
        assert eventually(lambda: flow() is None)
    finally:
        gc.enable()


# ── interruptions


@pytest.fixture
def press():
    """A function for another thread: one KeyboardInterrupt in the main thread.

    A signal that comes just before the main thread falls asleep does not wake it (CPython looks
    for signals before and after, not between), so it is sent until it has been noticed.
    """
    noticed = threading.Event()

    def once(*_):
        if not noticed.is_set():
            noticed.set()
            raise KeyboardInterrupt

    def press():
        while not noticed.wait(0.02):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    before = signal.signal(signal.SIGINT, once)
    yield press
    signal.signal(signal.SIGINT, before)


@BOTH
def test_an_interrupted_wait_loses_nothing(pipeline, press):
    """KeyboardInterrupt while waiting for an item; the item comes at the next try."""
    asked, interrupted = threading.Event(), threading.Event()

    def stage(item):
        if item == 1:
            asked.wait()
            press()
            interrupted.wait()
        return item

    def ask():
        asked.set()
        next(results)

    with pipeline(transform(stage)).process(range(3)) as results:
        assert next(results) == 0
        with pytest.raises(KeyboardInterrupt):
            ask()
        interrupted.set()
        assert list(results) == [1, 2]


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(0)", "del results"])
def test_the_interpreter_ends_beside_a_pipeline_at_work(ending):
    """A pipeline that nobody closed keeps no program from its end, and says nothing."""
    program = (
        "import itertools\n"
        "from perflab.patterns.pipeline import Pipeline, transform\n"
        "pipeline = Pipeline(transform(str), transform(str, workers=4))\n"
        "results = pipeline.process(itertools.count())\n"
        f"print(next(results))\n{ending}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


# ── the bell


@pytest.mark.parametrize("bell", [Bell, LockedBell])
def test_what_comes_before_a_thread_lies_down_is_found_at_the_second_look(bell):
    """The lost wake-up: something is brought after the first look and before the sleep."""
    lane = Lane(bell())
    ticket = Ticket(1)

    def between():
        lane.put(ticket)  # as another thread would, while this one is about to lie down
        return lane._attempt()

    assert Running(lambda: lane.bell.wait_for(between)).result() is ticket


def test_a_ring_for_a_thread_that_needs_it_no_more_is_passed_on():
    """Two lie down, one finds its ticket awake: the ring that was meant for it wakes the other."""
    lane = Lane(Bell())
    other = Running(lane.take)
    assert eventually(lambda: len(lane.bell.sleepers) == 1)
    first = lane.bell.sleepers[0]
    ours, its = Ticket("ours"), Ticket("its")

    def found_awake():
        lane.bell.sleepers.rotate()  # this thread's bed comes first
        lane.put(its)  # and is rung
        return ours

    assert lane.bell.wait_for(found_awake) is ours
    assert other.result() is its
    assert first not in lane.bell.sleepers
