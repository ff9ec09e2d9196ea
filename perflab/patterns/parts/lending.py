"""What both pools do: lend things, each to one user at a time and never more than `max_open`.

    with pool.acquire(timeout=1) as thing:
        …

The fast path is one atomic operation: `pop` on the deque of what is idle, `append` to give it
back. The lock is taken only where that finds nothing, where somebody waits, or where the
interpreter runs without its global lock. Things are made, reset and destroyed outside the lock,
in a slot that was reserved under it.

A `Slot` lives as long as its thing and is held by one owner: the deque of the idle, or a lease. A
`Lease` is the right to use it once; giving back empties the lease, so that doing so twice is an
error even when another caller has the thing by then. Nothing is lost: who drops a lease, or is
interrupted in between, drops the only reference to the slot, and the slot reports that.
"""

import math
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from perflab.errors import AcquireTimeoutError, ClosedError, is_number, is_whole, require
from perflab.patterns.parts.desk import EMPTY, Desk, Slot, Waiter
from perflab.patterns.parts.lease import COUNTED, Lease, PoolStats

T = TypeVar("T")
# With the GIL all threads see the steps of others in one order. «Put it down, then look whether
# somebody waits» against «stand in the queue, then look again» is safe only then.
LOCK_FREE = bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class LendingPool(Generic[T]):
    """Lends what `make()` makes: the base of ObjectPool and ConnectionPool.

    State: the books in `_desk`; `_counts` and `_wait_time`, guarded by its lock; `_careful`, true
    where every call takes the lock: without a GIL, where nothing may be idle, and once closed.
    """

    _desk_type: type[Desk[T]] = Desk
    _checks = _asks = False  # looks at the clock before it lends a thing; asks the thing itself
    _stamps = False  # notes when a thing came back
    _lifetime = math.inf
    _next_sweep = math.inf  # when all that is idle is looked through

    def __init__(
        self,
        make: Callable[[], T],
        max_open: int | None,
        max_idle: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        bound = math.inf if max_open is None else whole_number("max_open", max_open, 1)
        few = whole_number("max_idle", max_open if max_idle is None else max_idle, 0)
        require(callable(clock), "clock", clock, "a function that returns seconds")
        self._make, self._clock, self._max_idle = make, clock, min(few, bound)
        self._desk = desk = self._desk_type(bound, int(self._max_idle))
        self._idle, self._waiters, self._lost = desk.idle, desk.waiters, desk.lost
        self._counts: Counter[str] = Counter()
        self._wait_time = 0.0
        self._careful = not LOCK_FREE or not self._max_idle
        self._tight = self._max_idle < bound  # a thing that comes back may be one too many

    def acquire(self, timeout: float | None = None) -> Lease[T]:
        """A lease; where all are lent, after a wait of up to `timeout` seconds (None: for ever).

        Raises AcquireTimeoutError, ClosedError, and whatever making a thing raises.
        """
        if timeout is not None:
            seconds("timeout", timeout)
        if self._careful or self._waiters:  # who waits is not overtaken
            slot = self._find(timeout)
        else:
            try:
                slot = self._idle.pop()
            except IndexError:
                slot = self._find(timeout)
            else:
                if self._checks:
                    now = self._clock()
                    if self._asks or now >= slot.good_until or now >= self._next_sweep:
                        slot = self._fit(slot, now)
        slot.lent = True
        slot.uses += 1  # its holder alone writes here: counting needs no lock
        lease: Lease[T] = Lease()
        lease._slot = slot
        lease._pool = self
        return lease

    def _find(self, timeout: float | None) -> Slot[T]:
        """The long way to a slot with a thing that can be lent."""
        slot = self._wait(timeout)
        if slot.stale:
            return self._renew(slot, slot.stale)
        return self._fit(slot, self._clock()) if self._checks else slot

    def _wait(self, timeout: float | None) -> Slot[T]:
        """A slot, its thing in whatever state; the queue is left however this ends."""
        waiter: Waiter[T] = Waiter()
        began = self._clock()
        try:
            with self._desk:
                if self._desk.closed:
                    raise ClosedError("the pool is closed")
                self._desk.join(waiter)
                waits = waiter.got is None
                self._counts["waits"] += waits
            if waits:
                self._sleep(waiter, timeout, began)
        except BaseException:
            with self._desk:
                self._desk.leave(waiter)
            if waiter.got is not None:  # interrupted just when it was served
                self._put_down(waiter.got)
            raise
        if waiter.got is None:
            raise ClosedError("the pool was closed while this call waited")
        return waiter.got

    def _sleep(self, waiter: Waiter[T], timeout: float | None, began: float) -> None:
        in_time = waiter.wait(timeout)
        with self._desk:
            self._wait_time += self._clock() - began
            if not in_time and self._desk.leave(waiter):
                self._counts["timeouts"] += 1
                raise AcquireTimeoutError(f"nothing became free within {timeout} s")

    def _renew(self, slot: Slot[T], why: str) -> Slot[T]:
        """Another thing in the same slot; where making it fails, the slot is the next caller's."""
        try:
            self._empty(slot, why)
            slot.value = self._make()
            slot.tidy = self._tidy_for(slot.value)
        except BaseException:
            with self._desk:
                self._counts["failed"] += 1
                self._desk.drop(slot)
            raise
        slot.stale = ""
        slot.old_at = slot.good_until = self._clock() + self._lifetime
        with self._desk:
            self._counts["made"] += 1
            closed = self._desk.closed
        if closed:
            self._discard([slot], "closed")
            raise ClosedError("the pool was closed while this call made a thing")
        return slot

    def _put_down(self, slot: Slot[T]) -> None:
        """Give back under the lock; what is not kept is destroyed outside."""
        with self._desk:
            kept = not slot.stale and self._desk.take_back(slot)
            why = slot.stale or ("closed" if self._desk.closed else "surplus")
        if not kept:
            self._discard([slot], why)

    def _look_again(self) -> None:
        """Serve who waits; destroy what was lost, and after closing all that is idle."""
        with self._desk:
            self._desk.serve()
            rest = self._desk.take_lost()
            if self._desk.closed:
                rest += self._desk.take_idle()
        for slot in rest:
            self._discard([slot], slot.stale or "closed")

    def _discard(self, slots: Iterable[Slot[T]], why: str) -> None:
        """Destroy, then free the slot: until it is gone, no other may be made in its place."""
        for slot in slots:
            self._empty(slot, why)
            with self._desk:
                self._desk.drop(slot)

    def _empty(self, slot: Slot[T], why: str) -> None:
        value, slot.value, slot.tidy = slot.value, EMPTY, None
        if value is EMPTY:
            return
        with self._desk:
            self._counts[why] += 1
        self._destroy(value)
        if why == "leaked":
            name = type(value).__name__
            warnings.warn(f"a {name} was never given back", ResourceWarning, stacklevel=2)

    def _fit(self, slot: Slot[T], now: float) -> Slot[T]:
        """A thing that is about to be lent, or another one in its place."""
        return slot

    def _tidy_for(self, value: T) -> Callable[[], object] | None:
        """What is called when this thing comes back."""
        return None

    def _could_not_tidy(self, slot: Slot[T], failure: BaseException) -> None:
        """Destroy it, and raise where somebody should know."""
        self._discard([slot], "broken")
        raise failure

    def _stamp(self, slot: Slot[T]) -> None:
        """It has come back now."""

    def _destroy(self, value: T) -> None:
        """The last that happens to a thing, in a slot that it still holds. Raises nothing."""

    def close(self) -> None:
        """Lend no more: who waits gets ClosedError, what is lent is destroyed when it comes back.

        Closing twice does nothing.
        """
        with self._desk:
            self._desk.closed = self._careful = True
            while self._waiters:
                self._waiters.popleft().hand(None)
        self._look_again()

    def stats(self) -> PoolStats:
        """The pool now; what was leaked is destroyed before it is counted."""
        if self._lost:
            self._look_again()
        with self._desk:
            desk, counts = self._desk, self._counts
            lent = sum(slot.uses for slot in desk.slots if slot.desk)
            return PoolStats(
                open=desk.open,
                idle=len(desk.idle),
                waiting=len(desk.waiters),
                acquired=desk.uses + lent,
                wait_time=self._wait_time,
                **{name: counts[name] for name in COUNTED},
            )


def whole_number(name: str, value: Any, least: int) -> int:
    """The value, where it is one; else ValueError with its name."""
    fits = is_whole(value) and least <= value <= sys.maxsize
    require(fits, name, value, f"a whole number of at least {least}")
    return int(value)


def seconds(name: str, value: Any) -> float:
    """The value, where it is a time that a lock can wait for; else ValueError with its name."""
    fits = is_number(value) and 0 <= value <= threading.TIMEOUT_MAX
    require(fits, name, value, "None or seconds from 0 on")
    return float(value)
