"""A stage of a pipeline, and the crew that does its work: threads, or one that uses an executor."""

import reprlib
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from perflab.errors import StageError
from perflab.patterns.parts.bell import Bell
from perflab.patterns.parts.handover import (
    DROPPED,
    FAILED,
    READY,
    STOP,
    UNDER_WAY,
    Lane,
    Onward,
    State,
    Ticket,
)

AT_WORK = (READY, UNDER_WAY)


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline, as `transform` and `filter_by` make it."""

    function: Callable[[Any], Any]
    workers: int
    executor: Executor | None
    filters: bool

    @property
    def wide(self) -> bool:
        """Whether it may finish items in another order than it got them."""
        return self.workers > 1 or self.executor is not None

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)


@dataclass(frozen=True)
class StageStats:
    """A stage up to now."""

    name: str  # its function's
    calls: int  # of its function that have begun
    dropped: int  # items that its filter refused
    failed: int  # items on which it raised
    waiting: int  # tickets in front of it; the slowest stage is the one where they gather


def failure(what: str, item: object, cause: BaseException) -> StageError:
    """The error that the consumer gets."""
    error = StageError(f"{what}: {type(cause).__name__}: {cause}", item)
    error.__cause__ = cause
    return error


@dataclass
class Tally:
    """What one worker has done; written by it alone, so that counting needs no lock."""

    calls: int = 0
    dropped: int = 0
    failed: int = 0


class Crew:
    """The threads of a stage. Their state: a `Tally` each.

    `onward` takes a ticket from here, `alarm` tells that something has failed.
    """

    def __init__(
        self, stage: Stage, inlet: Lane, onward: Onward, alarm: Callable[[], None]
    ) -> None:
        self.stage, self.inlet = stage, inlet
        self.size = stage.workers
        self._onward, self._alarm = onward, alarm
        self._tallies: list[Tally] = []

    def run(self) -> None:
        """One worker: until STOP."""
        take, function, onward = self.inlet.take, self.stage.function, self._onward
        changes, tally = not self.stage.filters, self._new_tally()
        while (ticket := take()) is not STOP:
            outcome = ticket.state
            if outcome in AT_WORK:
                tally.calls += 1
                outcome = READY
                try:
                    if changes:
                        ticket.value = function(ticket.value)
                    elif not function(ticket.value):
                        outcome = self._drop(ticket, tally)
                except BaseException as error:  # of whatever kind: it belongs to the consumer
                    outcome = self._fail(ticket, error, tally)
            onward(ticket, outcome)  # and out of these hands

    def stats(self) -> StageStats:
        tallies = self._tallies
        return StageStats(
            self.stage.name,
            sum(tally.calls for tally in tallies),
            sum(tally.dropped for tally in tallies),
            sum(tally.failed for tally in tallies),
            len(self.inlet.tickets),
        )

    def _new_tally(self) -> Tally:
        self._tallies.append(tally := Tally())
        return tally

    def _drop(self, ticket: Ticket, tally: Tally) -> State:
        tally.dropped += 1
        ticket.value = None
        return DROPPED

    def _fail(self, ticket: Ticket, error: BaseException, tally: Tally) -> State:
        self._alarm()
        tally.failed += 1
        item = ticket.value
        ticket.value = failure(f"{self.stage.name} failed on {reprlib.repr(item)}", item, error)
        return FAILED


class ExecutorCrew(Crew):
    """A stage on an executor: one thread that submits, at most `workers` calls at a time.

    Its state: `_under_way`, the futures not yet landed. They land in whichever thread the
    executor calls back; nothing there can block.
    """

    def __init__(self, *args: Any, bell: Bell) -> None:
        super().__init__(*args)
        self.size = 1
        self._under_way: set[Future[Any]] = set()
        self._bell = bell

    def run(self) -> None:
        tally = self._new_tally()
        while (ticket := self.inlet.take()) is not STOP:
            if len(self._under_way) >= self.stage.workers:
                self._bell.wait_for(self._room)
            self._submit(ticket, tally)
        for future in list(self._under_way):
            future.cancel()
        self._bell.wait_for(lambda: None if self._under_way else True)

    def _room(self) -> bool | None:
        return True if len(self._under_way) < self.stage.workers else None

    def _submit(self, ticket: Ticket, tally: Tally) -> None:
        assert self.stage.executor is not None
        tally.calls += 1
        try:
            future = self.stage.executor.submit(self.stage.function, ticket.value)
        except BaseException as error:  # it has been shut down, or its processes have died
            self._onward(ticket, self._fail(ticket, error, tally))
            return
        self._under_way.add(future)
        future.add_done_callback(partial(self._land, ticket, tally))

    def _land(self, ticket: Ticket, tally: Tally, future: Future[Any]) -> None:
        """In a thread of the executor's, one at a time or not."""
        outcome = READY
        try:
            value = future.result()
            if not self.stage.filters:
                ticket.value = value
            elif not value:
                outcome = self._drop(ticket, tally)
        except BaseException as error:
            outcome = self._fail(ticket, error, tally)
        self._onward(ticket, outcome)
        self._under_way.discard(future)
        if self._bell.sleepers:
            self._bell.ring()
