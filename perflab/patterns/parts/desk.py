"""The lending desk: who gets the next thing that becomes free, decided under one lock.

Callers who find nothing stand in a queue, and what becomes free is put into the hands of the
first of them. It is never offered to whoever comes by: with a condition variable the woken thread
has to race the newcomers, and under load one thread can lose that race for seconds. (The scheme
is that of psycopg_pool's queue of waiting clients.)

Races that it wins:

- *lost wake-up*: a caller finds nothing, and before it stands in the queue a thing comes back. So
  it registers first and then looks again (`join`), and whoever gives back without the lock puts
  the thing down first and then looks at the queue;
- *time-out against hand-off*: a caller gives up just when it is served. Under the lock it is
  either still in the queue, or it has got something and takes it (`leave`);
- *loss*: a thread drops a thing, or is interrupted with one in its hands. The collector finds it
  at any moment, also while this very thread holds the lock; so the thing is only laid down in
  `lost`, and whoever lets go of the lock looks there.
"""

import math
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
EMPTY: Final[Any] = object()  # the value of a slot in which nothing was made yet


class Slot(Generic[T]):
    """The right to have one thing, and the thing. Who refers to it is its only holder.

    State, written by the holder alone: `value`; `tidy`, called when it comes back, or None;
    `stale`, why the value cannot be lent as it is ("" where it can); `lent`, whether a lease has
    it; `uses`, leases so far; `old_at` and `good_until`, when it is too old, and when it may be
    lent no longer; `desk`, None once the slot has been freed.
    """

    __slots__ = (
        "__weakref__", "desk", "good_until", "lent", "old_at", "stale", "tidy", "uses", "value",
    )  # fmt: skip

    def __init__(
        self, desk: "weakref.ref[Desk[T]]", value: T = EMPTY, stale: str = "empty", uses: int = 0
    ) -> None:
        self.value, self.stale, self.uses = value, stale, uses
        self.tidy: Callable[[], object] | None = None
        self.lent, self.old_at, self.good_until = True, math.inf, math.inf
        self.desk: weakref.ref[Desk[T]] | None = desk

    def __del__(self) -> None:
        """Nobody has it any more, and it was not freed: leaked, or pushed out of the idle."""
        desk = None if self.desk is None else self.desk()
        if desk is not None:
            why = self.stale or ("leaked" if self.lent else "surplus")
            desk.lost.append((self.value, why, self.uses))
            desk.look_for_lost()


class Waiter(Generic[T]):
    """One caller in the queue. State: `got`, written once, before the signal is given."""

    __slots__ = ("_signal", "got")

    def __init__(self) -> None:
        self.got: Slot[T] | None = None  # still None after the signal: the desk has closed
        self._signal = threading.Lock()
        self._signal.acquire()

    def hand(self, slot: Slot[T] | None) -> None:
        self.got = slot
        self._signal.release()

    def wait(self, timeout: float | None) -> bool:
        """Whether the signal came within so many seconds."""
        return self._signal.acquire(timeout=-1 if timeout is None else timeout)


class Desk(Generic[T]):
    """The books of a pool. Its methods only decide, with the lock held: `with desk: …`.

    State, guarded by the lock unless said otherwise:

    - `idle`: slots whose thing is ready, the longest idle first. Other threads pop and append
      without the lock; the deque's own bound keeps it at `max_idle` even then;
    - `waiters`: callers without a slot, in the order of their coming; read without the lock;
    - `lost`: (thing, why, uses) of slots that nobody had any more; appended without the lock;
    - `open`: slots there are: idle, lent, lost, being filled or being emptied;
    - `slots`: all of them, weakly; `uses`, leases of those that were freed;
    - `closed`: nothing is lent any more.
    """

    def __init__(self, max_open: float, max_idle: int) -> None:
        self.max_open, self.max_idle = max_open, max_idle
        self.idle: deque[Slot[T]] = deque(maxlen=max_idle)
        self.waiters: deque[Waiter[T]] = deque()
        self.lost: deque[tuple[T, str, int]] = deque()
        self.open = self.uses = 0
        self.slots: weakref.WeakSet[Slot[T]] = weakref.WeakSet()
        self.closed = False
        self._lock = threading.Lock()
        self._self = weakref.ref(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()
        if self.lost:
            self.look_for_lost()

    def look_for_lost(self) -> None:
        """Give the slot of a lost thing to who waits for one.

        Comes from the collector too, so it does not wait: who has the lock will look here.
        """
        while self.lost and self.waiters and self._lock.acquire(blocking=False):
            try:
                self.serve()
            finally:
                self._lock.release()

    def join(self, waiter: Waiter[T]) -> None:
        """Stand at the end of the queue, then look whether there is something for its head."""
        self.waiters.append(waiter)
        self.serve()

    def leave(self, waiter: Waiter[T]) -> bool:
        """Out of the queue; false where it was served before."""
        try:
            self.waiters.remove(waiter)
        except ValueError:
            return False
        return True

    def serve(self) -> None:
        """Hand out what is free: first come, first served."""
        while self.waiters:
            slot = self.free()
            if slot is None:
                return
            self.waiters.popleft().hand(slot)

    def free(self) -> Slot[T] | None:
        """1. The last used of the idle. 2. A lost one. 3. A new one. 4. None: all are lent."""
        try:
            return self.idle.pop()
        except IndexError:
            pass
        if self.lost:
            return self._add(*self.lost.popleft())
        if self.open < self.max_open:
            self.open += 1
            return self._add()
        return None

    def _add(self, value: T = EMPTY, stale: str = "empty", uses: int = 0) -> Slot[T]:
        slot = Slot(self._self, value, stale, uses)
        self.slots.add(slot)
        return slot

    def take_back(self, slot: Slot[T]) -> bool:
        """1. To the first who waits. 2. Among the idle. 3. False: destroy it and drop the slot."""
        if not self.closed and self.waiters:
            self.waiters.popleft().hand(slot)
            return True
        if not self.closed and len(self.idle) < self.max_idle:
            slot.lent = False
            self.idle.append(slot)
            return True
        return False

    def drop(self, slot: Slot[T]) -> None:
        """What was in it is destroyed, or was never made: its place is the next caller's."""
        slot.desk = None
        self.uses += slot.uses
        self.open -= 1
        self.serve()

    def take_lost(self) -> list[Slot[T]]:
        """All that was lost, in slots again: nobody waits for them, so they are to be destroyed."""
        return [self._add(*self.lost.popleft()) for _ in range(len(self.lost))]

    def take_idle(self) -> list[Slot[T]]:
        """All that is idle; while other threads pop, none is taken twice."""
        taken = []
        while self.idle:
            try:
                taken.append(self.idle.popleft())
            except IndexError:
                break
        return taken
