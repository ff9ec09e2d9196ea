"""A connection pool, ours: any calls in any order, against its rules written down as lists."""

import gc
import math
import warnings
from contextlib import ExitStack

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from perflab.contracts.parts.pools import Factory, Thing
from perflab.errors import AcquireTimeoutError, ClosedError, DoubleReleaseError
from perflab.measure import VirtualClock
from perflab.patterns import ConnectionPool
from perflab.patterns.parts import lending


@pytest.fixture(params=[True, False], ids=["lock-free", "locked"], autouse=True)
def _path(request, monkeypatch):
    """Each test runs with the GIL's path and with the locked one."""
    monkeypatch.setattr(lending, "LOCK_FREE", request.param)


class Model(RuleBasedStateMachine):
    """Any calls in any order, against the rules written down as lists; one thread, no waiting."""

    @initialize(
        max_open=st.integers(1, 4),
        max_idle=st.integers(0, 4),
        lifetime=st.sampled_from([None, 25.0]),
        idle_time=st.sampled_from([None, 10.0]),
        ping=st.booleans(),
    )
    def start(self, max_open, max_idle, lifetime, idle_time, ping):
        self.clock, self.factory = VirtualClock(), Factory()
        self.max_open, self.max_idle, self.ping = max_open, min(max_idle, max_open), ping
        self.lifetime, self.idle_time = lifetime or math.inf, idle_time or math.inf
        self.pool = ConnectionPool(
            self.factory, max_open, max_idle, lifetime, idle_time,
            Thing.ping if ping else None, clock=self.clock,
        )  # fmt: skip
        self.lent: list[tuple[object, Thing]] = []
        self.idle: list[tuple[Thing, float]] = []  # and when each came back
        self.born: dict[Thing, float] = {}
        self.acquired = self.expired = self.broken = self.surplus = self.leaked = 0
        self.timeouts = 0
        self.next_sweep = min(self.lifetime, self.idle_time)
        self.closed = False

    def too_old(self, thing, since):
        now = self.clock.now
        return now >= min(self.born[thing] + self.lifetime, since + self.idle_time)

    def swept(self):
        if self.clock.now >= self.next_sweep:
            old = [thing for thing, since in self.idle if self.too_old(thing, since)]
            self.expired += len(old)
            self.idle = [one for one in self.idle if one[0] not in old]
            self.next_sweep = self.clock.now + min(self.lifetime, self.idle_time)

    def expected(self):
        """The thing that is lent next, None for a new one; what is of no use any more is closed."""
        if not self.idle:
            return None
        thing, since = self.idle.pop()
        if self.too_old(thing, since):
            self.expired += 1
            thing = None
        elif self.ping and not thing.alive:
            self.broken += 1
            thing = None
        self.swept()
        return thing

    @rule()
    def acquire(self):
        if self.closed:
            with pytest.raises(ClosedError):
                self.pool.acquire()
            return
        if len(self.lent) == self.max_open:
            self.timeouts += 1
            with pytest.raises(AcquireTimeoutError):
                self.pool.acquire(0)
            return
        expected = self.expected()
        lease = self.pool.acquire(0)
        with ExitStack() as stack:
            thing = stack.enter_context(lease)
            stack.pop_all()
        assert not thing.closed
        if expected is None:
            assert thing is self.factory.made[-1]
            self.born[thing] = self.clock.now
        else:
            assert thing is expected
        self.acquired += 1
        self.lent.append((lease, thing))

    def came_back(self, thing):
        if not self.closed and len(self.idle) < self.max_idle:
            self.idle.append((thing, self.clock.now))
        elif not self.closed:
            self.surplus += 1

    @precondition(lambda self: self.lent)
    @rule(which=st.integers(0, 3))
    def release(self, which):
        lease, thing = self.lent.pop(which % len(self.lent))
        rollbacks = thing.rollbacks
        lease.release()
        assert thing.rollbacks == rollbacks + 1
        self.came_back(thing)
        with pytest.raises(DoubleReleaseError):
            lease.release()

    @precondition(lambda self: self.lent)
    @rule()
    def forget(self):
        self.lent.pop()
        gc.collect(0)
        self.leaked += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.pool.stats()

    @rule(seconds=st.sampled_from([1.0, 4.0, 11.0]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @precondition(lambda self: self.idle)
    @rule(which=st.integers(0, 3))
    def dies(self, which):
        self.idle[which % len(self.idle)][0].alive = False

    @rule()
    def sweep(self):
        self.pool.sweep()
        self.next_sweep = -math.inf
        self.swept()

    @precondition(lambda self: len(self.born) > 8)
    @rule()
    def close(self):
        self.pool.close()
        self.closed = True
        self.idle.clear()

    @invariant()
    def the_books_agree(self):
        seen = self.pool.stats()
        assert (seen.open, seen.idle) == (len(self.lent) + len(self.idle), len(self.idle))
        assert seen.open == self.factory.open <= self.max_open
        assert seen.in_use == len(self.lent)
        assert seen.made == len(self.factory.made)
        assert (seen.acquired, seen.timeouts) == (self.acquired, self.timeouts)
        found = (seen.expired, seen.broken, seen.surplus, seen.leaked)
        assert found == (self.expired, self.broken, self.surplus, self.leaked)


def test_any_sequence_of_calls_does_what_the_rules_say():
    """Which connection is lent, what is closed for which reason, and every counter."""
    run_state_machine_as_test(Model)
