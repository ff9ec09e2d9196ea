"""Connection pools: ours, Go's as the guide sets it up, and wrong ones made from ours."""

import math

from perflab.contracts import connectionpool as contract
from perflab.contracts.parts.pools import Factory
from perflab.guide import connectionpool as guide
from perflab.patterns.connectionpool import ConnectionPool

CONTRACT = contract


class AgeOnReturn(ConnectionPool):
    """The age is looked at only when a connection comes back."""

    def _fit(self, slot, now):
        if self._ping is not None and not self._answers(slot):
            return self._renew(slot, "broken")
        return slot


class PingsInside(ConnectionPool):
    """A connection is asked whether it is alive while the lock is held."""

    def _answers(self, slot):
        with self._desk:
            return super()._answers(slot)


class TrustsPing(ConnectionPool):
    """Who raises in ping counts as alive, and who says False too."""

    def _answers(self, slot):
        super()._answers(slot)
        return True


class NeverSweeps(ConnectionPool):
    """Only the connection that is asked for is looked at."""

    def sweep(self):
        self._next_sweep = math.inf


class ClosesInside(ConnectionPool):
    """What is one too many is closed while the lock is held."""

    def _put_down(self, slot):
        desk = self._desk
        with desk:
            kept = desk.take_back(slot)
            if not kept:
                slot.value.close()
                desk.drop(slot)


class PlaceFirst(ConnectionPool):
    """The place is free before the connection in it is closed."""

    def _discard(self, slots, why):
        for slot in slots:
            with self._desk:
                self._desk.drop(slot)
            self._empty(slot, why)


class KeepsAfterClose(ConnectionPool):
    """What comes back after closing is put among the idle."""

    def close(self):
        super().close()
        desk = self._desk

        def take_back(slot):
            desk.idle.append(slot)
            return True

        desk.take_back = take_back


class Careless(ConnectionPool):
    """Pools that were opened before an error stay open."""

    @classmethod
    def open_all(cls, connects, **limits):
        pools = [cls(connect, **limits) for connect in connects]
        for pool in pools:
            pool.acquire().release()
        return pools


OLD = "one that is too old is not lent"
IDLE = "one that was idle for too long is not lent"
SWEPT = "idle ones are closed in time though nobody asks for them"
DEAD = "after the server was restarted everybody gets a live one"
PING = "while one is asked whether it is alive, others are lent"
CLOSING = "while one is being closed, others are lent, and its place is not"
ARRIVES = "one that arrives after closing is closed, outside the lock"
SHARDS = {
    "every server is told user and password",
    "the limits hold for every server",
    "where one server cannot be reached, no pool stays open",
    "where the first connection fails, nothing stays behind",
}
GUIDE = {"what was forgotten is given back", IDLE, DEAD, ARRIVES, *SHARDS}
FAILS = [
    (ConnectionPool, set()),
    (contract.on_database(guide, choose=lambda waiting: 0), GUIDE),
    (contract.on_database(guide, choose=lambda waiting: waiting - 1),
     GUIDE | {"first come, first served"}),
    (AgeOnReturn, {OLD, IDLE, SWEPT, ARRIVES}),
    (PingsInside, {PING}),
    (TrustsPing, {DEAD}),
    (NeverSweeps, {SWEPT}),
    (ClosesInside, {CLOSING}),
    (PlaceFirst, {CLOSING}),
    (KeepsAfterClose, {"what comes back after closing is closed"}),
    (Careless, {"where one server cannot be reached, no pool stays open"}),
]  # fmt: skip
LIMITS = {
    "max_open": [None, 0, -1, 1.5, "x", True, math.nan, 10**400],
    "max_idle": [-1, 1.5, "x", True, math.nan],
    "max_lifetime": [0, -1, "x", True, math.nan, math.inf, 10**400],
    "max_idle_time": [0, -1, "x", True, math.nan, math.inf],
    "ping": [1, "x", True],
    "clock": [None, 1, "x"],
}
NONSENSE = {
    "ConnectionPool(connect)": (ConnectionPool, [None, 1, "x"]),
    **{
        f"ConnectionPool({name})": (
            lambda bad, name=name: ConnectionPool(Factory(), **{name: bad}),
            values,
        )
        for name, values in LIMITS.items()
    },
    "ConnectionPool.acquire(timeout)": (
        ConnectionPool(Factory()).acquire,
        [-1, "x", True, math.nan, math.inf, 10**400, []],
    ),
    "ConnectionPool.open_all(connects)": (ConnectionPool.open_all, [None, 1, [1], "x"]),
}
