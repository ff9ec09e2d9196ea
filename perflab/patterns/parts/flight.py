"""Loads under way, and who may wait for them: single-flight.

The first caller that misses a key leads: it loads. Those who come meanwhile wait for what it finds
or for the error that it meets. (The name is Go's `golang.org/x/sync/singleflight`; the harm that
it prevents is the thundering herd or dog-pile.) A leader that is interrupted has found nothing:
one of those who wait leads in its place.

Waiting for a load can wait for itself: a load that asks for its own key, or two loads of which
each asks for the other's. Every load therefore knows which loads the code inside it waits for, and
whoever is about to wait follows these arrows first. Threads and tasks alike: what code runs inside
of is a context variable.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from perflab.errors import ReentrantLoadError

_ARROWS = threading.RLock()  # guards every flight's `waits_for`
_ABOARD: ContextVar[tuple["Flight", ...]] = ContextVar("loads that this code runs inside of")


class AbandonedError(Exception):
    """The leader was interrupted: whoever waits tries again."""


class Flight:
    """One load of one key.

    State: `begun`, whether it is anybody's load yet; `outcome`, what it found; `landed`, whether
    all who wait have been told; `stale`, whether the key was invalidated since it began, guarded
    by `lock`, under which a value is stored and a key is invalidated one after the other;
    `waits_for`, the loads that the code inside this one waits for.
    """

    __slots__ = ("begun", "key", "landed", "lock", "outcome", "owner", "stale", "task", "waits_for")

    def __init__(self, owner: "Flights", key: Any) -> None:
        self.owner, self.key = owner, key
        self.begun = self.landed = False
        self.outcome: Future[Any] = Future()
        self.outcome.set_running_or_notify_cancel()  # a waiter that is cancelled leaves it alone
        self.lock = threading.RLock()
        self.stale = False
        self.task: Any = None  # asyncio itself holds its tasks only weakly
        self.waits_for: list[Flight] = []

    def __enter__(self) -> "Flight":
        """What runs in the block runs inside of this load."""
        _ABOARD.set((*aboard(), self))
        return self

    def __exit__(self, *_: object) -> None:
        _ABOARD.set(tuple(flight for flight in _ABOARD.get() if flight is not self))

    def leads_to(self, others: tuple["Flight", ...]) -> bool:
        """Whether it is one of the others, or waits for one of them, at however many removes."""
        seen: set[int] = set()
        to_visit = [self]
        while to_visit:
            flight = to_visit.pop()
            if flight in others:
                return True
            if id(flight) not in seen:
                seen.add(id(flight))
                to_visit.extend(flight.waits_for)
        return False

    def result(self) -> Any:
        """Wait for its outcome in a thread; not in the event loop that has to bring it."""
        with suppress(RuntimeError):  # no loop runs in this thread
            if self.task is not None and self.task.get_loop() is asyncio.get_running_loop():
                raise ReentrantLoadError(f"this event loop is loading {self.key!r}: await aget")
        with self.awaited():
            return self.outcome.result()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Wait for its outcome in the block; ReentrantLoadError where that would never come."""
        inside = aboard()
        with _ARROWS:
            if self.leads_to(inside):
                raise reentrant(self.key)
            for flight in inside:
                flight.waits_for.append(self)
        try:
            yield
        finally:
            with _ARROWS:
                for flight in inside:
                    flight.waits_for.remove(self)


class Flights:
    """The loads in front of one cache: which key is being loaded, and by whom.

    State: `_by_key`, key → the load of it that counts; `ended`, how many have ended; the counts.
    Guarded by `lock`, which is never held while anything is loaded or stored.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._by_key: dict[Any, Flight] = {}
        self.ended = self.failures = self.joined = self.discarded = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def of(self, key: Any) -> Flight | None:
        """The load of the key that is under way."""
        with self.lock:
            return self._by_key.get(key)

    def board(self, mine: Flight, ended: int) -> Flight | None:
        """Three cases: a load of the key is under way; `mine` leads; look again (None).

        `ended` was read before the cache was asked: a load that has ended since may have been of
        this key.
        """
        with self.lock:
            flight = self._by_key.get(mine.key)
            if flight is not None and not flight.stale:
                self.joined += 1
                return flight
            if self.ended != ended:
                return None
            if any(one.owner is self and one.key == mine.key for one in aboard()):
                raise reentrant(mine.key)
            mine.begun = True
            self._by_key[mine.key] = mine
            return mine

    def land(self, flight: Flight, error: Exception | None, value: Any = None) -> None:
        """The load has ended: nobody joins it any more, and those who wait are told.

        Nothing happens the second time; interrupted, it can be called again.
        """
        if not flight.begun or flight.landed:
            return
        with self.lock:
            if self._by_key.get(flight.key) is flight:
                del self._by_key[flight.key]
            if not flight.outcome.done():
                self.ended += 1
                self.failures += error is not None
        if not flight.outcome.done():
            if error is None:
                flight.outcome.set_result(value)
            else:
                flight.outcome.set_exception(error)
        flight.landed = True

    def drop(self, flight: Flight) -> None:
        """Land it where an interrupt, or a loop that ended, has left it in the air."""
        self.land(flight, AbandonedError())


def aboard() -> tuple[Flight, ...]:
    """The loads that this code runs inside of; one that has ended may have left a task behind."""
    return tuple(flight for flight in _ABOARD.get(()) if not flight.landed)


def reentrant(key: object) -> ReentrantLoadError:
    return ReentrantLoadError(f"the load of {key!r} asks for {key!r}, and would wait for itself")
