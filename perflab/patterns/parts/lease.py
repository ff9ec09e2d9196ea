"""A lease of a pooled thing, and the figures of a pool."""

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

from perflab.errors import DoubleReleaseError
from perflab.patterns.parts.desk import Slot

if TYPE_CHECKING:
    from perflab.patterns.parts.lending import LendingPool

T = TypeVar("T")
COUNTED = ("waits", "timeouts", "made", "failed", "surplus", "expired", "broken", "leaked")


@dataclass(frozen=True)
class PoolStats:
    """A pool at one moment; the counters run from its making. Times in seconds."""

    open: int  # things there are, being made and being destroyed
    idle: int  # of these, ready for use
    waiting: int  # callers that wait now
    acquired: int  # leases handed out
    waits: int  # callers that found nothing and had to wait
    wait_time: float  # of all those together
    timeouts: int  # waits that ended with AcquireTimeoutError
    made: int  # things made
    failed: int  # attempts to make one that raised
    surplus: int  # destroyed because max_idle were idle
    expired: int  # destroyed because of their age, or idle for too long
    broken: int  # destroyed because they did not answer or could not be reset
    leaked: int  # destroyed because a lease was dropped and not given back

    @property
    def in_use(self) -> int:
        """Neither idle nor to be had."""
        return self.open - self.idle


class Lease(Generic[T]):
    """The right to use a thing, until the end of a `with` or until `release()`.

    State: `_slot`, deleted when it is given back: of two who try, one finds it gone.
    """

    __slots__ = ("_pool", "_slot")
    _pool: "LendingPool[T]"
    _slot: Slot[T]

    def __enter__(self) -> T:
        try:
            return self._slot.value
        except AttributeError:
            raise DoubleReleaseError("this lease has been given back") from None

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """1. To who waits, under the lock. 2. Too many idle: destroyed. 3. Put down, no lock."""
        try:
            slot = self._slot
            del self._slot
        except AttributeError:
            raise DoubleReleaseError("this lease has been given back") from None
        pool = self._pool
        if slot.tidy is not None:
            try:
                slot.tidy()
            except BaseException as failure:
                pool._could_not_tidy(slot, failure)
                return
        if pool._stamps:
            pool._stamp(slot)
        if pool._careful or pool._waiters or (pool._tight and len(pool._idle) >= pool._max_idle):
            pool._put_down(slot)
            return
        slot.lent = False
        pool._idle.append(slot)
        if pool._waiters or pool._lost or pool._careful:  # came meanwhile, and did not see it
            pool._look_again()

    def release(self) -> None:
        """Give back without a `with`; DoubleReleaseError where that has been done."""
        self.__exit__()
