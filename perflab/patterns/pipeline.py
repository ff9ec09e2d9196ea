"""A pipeline: stages at work at the same time, each on another item, joined by bounded queues.

For work of several steps of which some wait (for a disk, a network, a server): while one stage
waits for item 7, the next has item 6. It runs at the pace of its slowest stage; `workers=` widens
that one. An iterator goes in and an iterator comes out:

    pipeline = Pipeline(filter_by(is_valid), transform(fetch, workers=8), transform(parse))
    with pipeline.process(lines) as results:
        for result in results:
            ...

Its state, for each source: a thread that reads the source, threads for each stage, and between
them lanes of tickets (flow.py, crew.py, handover.py). The races it must win:

- *memory is bounded in one place.* An item needs a ticket, of which there are so many, from before
  it is taken from the source until the consumer has it. Only the reader of the source ever waits
  for one; no stage waits for room, and an executor's callback never blocks. (Credits, as networks
  use them: Kung and Morris, "Credit-based flow control for ATM networks", 1995.)
- *order.* A ticket enters a line in order before several workers take it up, and is read from
  there in order once it is ready: no numbers, no sorting. A stage of one worker sees its items
  in order too, so it may keep a running sum. (The reorder buffer of processors: Smith and
  Pleszkun, "Implementation of precise interrupts in pipelined processors", 1985.)
- *the end.* It travels as a ticket behind the last item. Stopped is not ended: who reads on after
  a stop or a failure gets ClosedError, so that half a result never looks like a whole one.
- *an error* travels in its item's place and is raised there, as StageError with that item;
  everything before it has been delivered. The source is not read further.
- *stopping.* STOP overtakes whatever waits. Calls under way run to their end, since nothing can
  end a thread from outside; what was taken and not delivered is counted as `unfinished`.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from perflab.errors import ClosedError, StageError, require
from perflab.patterns.parts.bell import Bell, LockedBell, gil_enabled
from perflab.patterns.parts.crew import Stage, StageStats
from perflab.patterns.parts.flow import Flow
from perflab.patterns.parts.handover import (
    DROPPED,
    END,
    FAILED,
    READY,
    Ticket,
)

MOST_WORKERS = 10_000


def transform(
    function: Callable[[Any], Any], *, workers: int = 1, executor: Executor | None = None
) -> Stage:
    """A stage that passes on `function(item)`.

    Up to `workers` calls run at once: in as many threads of the pipeline's own, or on `executor`,
    any of concurrent.futures (processes; a cluster's), which stays the caller's to shut down.
    """
    return _stage(function, workers, executor, filters=False)


def filter_by(
    predicate: Callable[[Any], object], *, workers: int = 1, executor: Executor | None = None
) -> Stage:
    """A stage that passes on the items for which `predicate(item)` is true; as `transform`."""
    return _stage(predicate, workers, executor, filters=True)


def _stage(
    function: Callable[[Any], Any], workers: int, executor: Executor | None, *, filters: bool
) -> Stage:
    require(callable(function), "predicate" if filters else "function", function, "callable")
    whole = type(workers) is int and 1 <= workers <= MOST_WORKERS
    require(whole, "workers", workers, f"a whole number from 1 to {MOST_WORKERS:,}")
    fits = executor is None or isinstance(executor, Executor)
    require(fits, "executor", executor, "a concurrent.futures.Executor or None")
    return Stage(function, workers, executor, filters)


@dataclass(frozen=True)
class PipelineStats:
    """Items up to now. taken = delivered + dropped + failed + unfinished."""

    taken: int  # from the source
    delivered: int  # to the consumer
    dropped: int  # refused by a filter, and passed over by the consumer
    failed: int  # raised in a stage, and raised to the consumer
    unfinished: int  # taken, and nothing of the above: under way, or lost to a stop
    stages: tuple[StageStats, ...]


class Pipeline:
    """Stages that items pass through, all at work at the same time.

    At most `queue_size` items wait in it, beside one in each worker's hands. Results come in the
    order of the source, or with `ordered=False` as they become ready. It keeps nothing of a
    source: it may process any number of them, one after another or at the same time.
    """

    _bell: type[Bell] = Bell if gil_enabled() else LockedBell  # tests force the other
    _flow: type[Flow] = Flow

    def __init__(self, *stages: Stage, queue_size: int = 128, ordered: bool = True) -> None:
        good = bool(stages) and all(isinstance(stage, Stage) for stage in stages)
        require(good, "stages", stages, "at least one of transform(…), filter_by(…)")
        whole = type(queue_size) is int and queue_size >= 1
        require(whole, "queue_size", queue_size, "a whole number of 1 or more")
        require(isinstance(ordered, bool), "ordered", ordered, "True or False")
        self._stages, self._queue_size, self._ordered = stages, queue_size, ordered

    def process(self, source: Iterable[Any]) -> "Results":
        """Start on this source, which is read in a thread of its own, and return the results."""
        try:
            iterator = iter(source)
        except TypeError:
            require(False, "source", source, "iterable")
            raise
        flow = self._flow(self._stages, iterator, self._queue_size, self._ordered, self._bell)
        flow.start()
        return Results(flow)


class Results(Iterator[Any]):
    """What comes out of a pipeline: an iterator for one thread at a time.

    Raises StageError where a stage or the source has failed, and ClosedError when read on after
    that or after `close()`. Left before its end by `close()`, a `with` block or just forgotten,
    it stops the pipeline and closes a generator that is its source.

    Its state: `_last`, the END once it has come; `_over`, what makes the exception with which
    the next item is refused, once there is none.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._take = flow.out.take
        self._last: Ticket | None = None
        self._over: Callable[[], Exception] | None = None
        self._dropped = self._failed = 0

    def __next__(self) -> Any:
        while True:
            if self._over is not None:
                raise self._over()
            if self._last is not None and self._flow.settled == self._flow.taken:
                self._end(self._last.value)
                continue
            ticket = self._take()
            if ticket.state is READY:
                value = ticket.value
                self._flow.settle(ticket)
                return value
            self._pass_over(ticket)

    def close(self) -> None:
        """Stop, and wait until the calls under way have ended; a source that is itself waiting
        is left alone, and its thread ends when it comes back."""
        if self._over is None:
            self._over = partial(ClosedError, "the pipeline was stopped before its end")
        self._flow.stop()
        self._flow.join()

    def stats(self) -> PipelineStats:
        flow = self._flow
        settled, taken = flow.settled, flow.taken  # in this order: never more settled than taken
        return PipelineStats(
            taken=taken,
            delivered=settled - self._dropped - self._failed,
            dropped=self._dropped,
            failed=self._failed,
            unfinished=taken - settled,
            stages=tuple(crew.stats() for crew in flow.crews),
        )

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._flow.stop()  # no waiting here: a collection may run anywhere

    def _pass_over(self, ticket: Ticket) -> None:
        """1. Dropped. 2. The END: without order, what is under way follows it. 3. Failed: it is
        raised at once, a call still under way is not waited for. 4. Stopped by another thread."""
        if ticket.state is DROPPED:
            self._dropped += 1
            self._flow.settle(ticket)
        elif ticket.state is END:
            self._last = ticket
        elif ticket.state is FAILED:
            self._failed += 1
            error = ticket.value
            self._flow.settle(ticket)
            self._fail(error)
        elif self._over is None:
            self._over = partial(ClosedError, "the pipeline was stopped before its end")

    def _end(self, error: StageError | None) -> None:
        """All was delivered, and the source has no more or has failed."""
        if error is not None:
            self._fail(error)
        self._over = StopIteration
        self._flow.stop()
        self._flow.join()

    def _fail(self, error: StageError) -> NoReturn:
        self._over = partial(ClosedError, "the pipeline failed before its end")
        self._flow.stop()
        raise error
