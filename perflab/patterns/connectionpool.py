"""A connection pool: what is dear to open is used again, and the server is not overrun.

It lends connections of any DB-API driver (PEP 249), first come, first served. To open one costs
a server some milliseconds and megabytes, and one that executes more statements at once than it
has cores and disks to work on only makes all of them slower: `max_open` is a limit that protects
it, not a number to be raised until nobody waits.

State and races are those of lending.py. What is added here happens to a connection in its holder's
hands, outside the lock:

- *before it is lent*: one that is too old, was idle for too long or does not answer is closed, and
  another is opened in its slot. (psycopg_pool looks at the age only when one comes back, and then
  lends what has expired since.)
- *when it comes back*: it is rolled back, so that nobody reads or commits what another has left.

There is no thread of its own: with the first call that comes after the shorter of the two limits
has passed once more, all idle connections are looked through (`sweep`).
"""

import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from perflab.errors import require
from perflab.patterns.parts.desk import Slot
from perflab.patterns.parts.lending import LendingPool, seconds


class Connection(Protocol):
    """The part of a DB-API connection that the pool itself uses."""

    def rollback(self) -> Any: ...

    def close(self) -> Any: ...


C = TypeVar("C", bound=Connection)


class ConnectionPool(LendingPool[C]):
    """Lends the connections that `connect()` opens: `with pool.acquire(timeout) as connection`.

    - `max_open`: never more than so many are open, nor being opened or closed.
    - `max_idle`: so many are kept open for the next caller (None: all).
    - `max_lifetime`, `max_idle_time`: seconds from its opening, and without use, after which a
      connection is no longer lent (None: no limit). One that is in use is left alone.
    - `ping(connection)`: called before an idle connection is lent; where it returns False or
      raises, the connection counts as dead (None: connections are lent unasked).

    ValueError names an argument that is none. Nothing is opened before it is needed.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        max_open: int = 10,
        max_idle: int | None = None,
        max_lifetime: float | None = None,
        max_idle_time: float | None = None,
        ping: Callable[[C], object] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        require(callable(connect), "connect", connect, "a function that opens a connection")
        right = ping is None or callable(ping)
        require(right, "ping", ping, "a function of a connection, or None")
        require(max_open is not None, "max_open", max_open, "a whole number of at least 1")
        super().__init__(connect, max_open, max_idle, clock)
        self._lifetime = _limit("max_lifetime", max_lifetime)
        self._idle_time = _limit("max_idle_time", max_idle_time)
        self._interval = min(self._lifetime, self._idle_time)
        self._next_sweep = clock() + self._interval
        self._stamps = max_idle_time is not None
        self._ping, self._asks = ping, ping is not None
        self._checks = self._asks or self._interval < math.inf

    def _fit(self, slot: Slot[C], now: float) -> Slot[C]:
        """1. Too old, or idle for too long: another. 2. Dead: another. 3. Good as it is."""
        if now >= slot.good_until:
            slot = self._renew(slot, "expired")
        elif self._asks and not self._answers(slot):
            slot = self._renew(slot, "broken")
        if now >= self._next_sweep:
            self.sweep()
        return slot

    def _answers(self, slot: Slot[C]) -> bool:
        try:
            return self._ping(slot.value) is not False  # type: ignore[misc]  # not None: it asks
        except Exception:
            return False
        except BaseException:  # interrupted in the middle of an answer: of no use to anybody
            self._discard([slot], "broken")
            raise

    def _tidy_for(self, value: C) -> Callable[[], object]:
        return value.rollback

    def _could_not_tidy(self, slot: Slot[C], failure: BaseException) -> None:
        """Its server is gone; the user's own statement has said so."""
        self._discard([slot], "broken")
        if not isinstance(failure, Exception):
            raise failure

    def _stamp(self, slot: Slot[C]) -> None:
        dull = self._clock() + self._idle_time
        slot.good_until = dull if dull < slot.old_at else slot.old_at

    def _destroy(self, value: C) -> None:
        with suppress(Exception):  # a connection that cannot even be closed is gone as well
            value.close()

    def sweep(self) -> None:
        """Close the idle connections that have been idle, or open, for too long."""
        self._next_sweep = (now := self._clock()) + self._interval
        with self._desk:
            idle = self._desk.take_idle()
            old = [
                slot for slot in idle if now >= slot.good_until or not self._desk.take_back(slot)
            ]
        self._discard(old, "expired")

    @classmethod
    def open_all(
        cls, connects: Iterable[Callable[[], C]], **limits: Any
    ) -> "list[ConnectionPool[C]]":
        """A pool for each of several servers, all with the same limits, each tried once.

        Where one cannot be reached its error is raised, and the pools before it are closed.
        """
        fits = isinstance(connects, Iterable)
        require(fits, "connects", connects, "functions that open connections")
        pools: list[ConnectionPool[C]] = []
        try:
            for connect in connects:
                pools.append(cls(connect, **limits))
                with pools[-1].acquire():
                    pass
        except BaseException:
            for pool in pools:
                pool.close()
            raise
        return pools


def _limit(name: str, value: float | None) -> float:
    """Seconds as a number; no limit is infinity."""
    if value is None:
        return math.inf
    require(seconds(name, value) > 0, name, value, "None or seconds, more than 0")
    return float(value)
