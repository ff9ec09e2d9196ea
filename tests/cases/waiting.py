"""Pools in which callers wait: both of ours, and wrong ones made from ours."""

from perflab.contracts import waiting as contract
from perflab.patterns.connectionpool import ConnectionPool
from perflab.patterns.objectpool import ObjectPool
from perflab.patterns.parts.desk import Desk

CONTRACT = contract
NONSENSE = {}


class LooksFirst(Desk):
    """Looks for something free, and stands in the queue afterwards."""

    def join(self, waiter):
        slot = self.free()
        if slot is None:
            self.waiters.append(waiter)
        else:
            waiter.hand(slot)


class LastFirst(Desk):
    """Who came last is served first."""

    def take_back(self, slot):
        self.waiters.rotate(1)
        return super().take_back(slot)


class Generous(Desk):
    """Where very many wait, one more is made."""

    def free(self):
        slot = super().free()
        if slot is None and len(self.waiters) > 5:
            self.open += 1
            return self._add()
        return slot


class Deaf(Desk):
    """What is lost stays lost."""

    def look_for_lost(self):
        self.lost.clear()


class Stays(Deaf):
    """Who gave up stays in the queue."""

    def leave(self, waiter):
        return waiter in self.waiters


class LeaksPlace(Desk):
    """A place whose thing could not be made is not counted back."""

    def drop(self, slot):
        super().drop(slot)
        self.open += slot.stale == "empty"


class TellsNobody(Desk):
    """A place that becomes free is not offered to who waits."""

    def drop(self, slot):
        slot.desk = None
        self.open -= 1


def with_desk(desk):
    """Our object pool with another desk."""
    return type(desk.__name__, (ObjectPool,), {"_desk_type": desk, "__doc__": desk.__doc__})


class NoSecondLook(ObjectPool):
    """Whoever puts a thing down does not look at the queue afterwards."""

    def _look_again(self):
        if self._desk.closed:
            super()._look_again()


class MadeInside(ObjectPool):
    """Things are made while the lock is held."""

    def _renew(self, slot, why):
        make = self._make
        self._make = lambda: self._inside(make)
        return super()._renew(slot, why)

    def _inside(self, make):
        self._make = make
        with self._desk:
            return make()


class LeavesWaiting(ObjectPool):
    """Closing forgets those who wait."""

    def close(self):
        with self._desk:
            self._desk.closed = self._careful = True
        self._look_again()


class DropsLate(ObjectPool):
    """Who gave up is sent away, also when it was handed something at the last moment."""

    def _sleep(self, waiter, timeout, began):
        if not waiter.wait(timeout):
            with self._desk:
                self._desk.leave(waiter)
            if waiter.got is not None:
                waiter.got.desk = waiter.got = None
            raise TimeoutError


class Reusable(ObjectPool):
    """One lease for each thing, used again and again: giving back twice hits the next user."""

    def acquire(self, timeout=None):
        lease = super().acquire(timeout)
        slot, pool = lease._slot, self

        class Again:
            def __enter__(self):
                return slot.value

            def __exit__(self, *error):
                pool._put_down(slot)

        return Again()


LIMIT = "never more than max_open, also when eight ask at once"
ORDER = "first come, first served"
WAKE = "no wake-up is lost, wherever in acquire a thing comes back"
LATE = "a time-out that races a hand-off loses nothing"
OVERTAKES = "a newcomer does not overtake who waits"
TIME_OUT = "who gives up in time leaves nothing behind"
MADE = "while one thing is being made, others are lent and come back"
FAILED = "a failed create frees its place and wakes who waits"
FAILING = "a create that keeps failing parks nobody, and loses no place"
LEAKED = "what was forgotten is given back"
INTERRUPT = "an interrupt while waiting leaves the pool as it was"
FAILS = [
    (ObjectPool, set()),
    (ConnectionPool, set()),
    (with_desk(LooksFirst), {WAKE}),
    (with_desk(LastFirst), {ORDER}),
    (with_desk(Generous), {LIMIT}),
    (with_desk(Deaf), {LEAKED}),
    (with_desk(Stays), {TIME_OUT, LATE, LEAKED, INTERRUPT, OVERTAKES, MADE}),
    (with_desk(LeaksPlace), {FAILING}),
    (with_desk(TellsNobody), {FAILED}),
    (NoSecondLook, {"who comes while a thing is put down gets it"}),
    (MadeInside, {MADE}),
    (LeavesWaiting, {"closing tells those who wait"}),
    (DropsLate, {LATE}),
    (Reusable, {"what is given back twice is refused, and lent to one only"}),
]
