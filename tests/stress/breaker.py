"""Circuit breakers: many threads, a dependency that comes and goes, and what must hold."""

import contextlib
import gc
import itertools
import random
import sys
import threading
import time

from perflab.errors import CircuitOpenError
from perflab.patterns import CircuitBreaker, State
from perflab.patterns.parts.eras import HalfOpen, Open
from perflab.patterns.parts.guarding import under_way

PROBES, RESET = 2, 30.0
LEGAL = {
    State.CLOSED: {State.OPEN},
    State.OPEN: {State.HALF_OPEN},
    State.HALF_OPEN: {State.OPEN, State.CLOSED},
}


class Service:
    """A breaker and what it guards. `now` is its clock, moved only to where an open time ends,
    under `moving`: a late write of an earlier moment would set it back."""

    def __init__(self):
        self.moving = threading.Lock()
        self.now = 0.0
        self.healthy = True
        self.most = 0  # probes at once
        self.changes = []
        self.breaker = CircuitBreaker(
            5, RESET, 2, failure_rate=0.5, window=50, max_probes=PROBES, ignore=KeyError,
            clock=lambda: self.now, on_change=lambda *change: self.changes.append(change),
        )  # fmt: skip
        self.guarded = self.breaker(self.work)

    def work(self, dice):
        era = self.breaker.era
        if isinstance(era, HalfOpen):
            self.most = max(self.most, era.probes)
        if dice < 0.02:
            raise KeyError if dice < 0.01 else KeyboardInterrupt
        if not self.healthy or dice > 0.97:
            raise ConnectionError

    def in_a_block(self, dice):
        with self.breaker:
            self.work(dice)

    def call(self, dice):
        self.breaker.call(self.work, dice)

    def let_time_pass(self):
        """Moved twice to the same moment it stands still: no probe is ever given up for lost."""
        with self.moving:
            era = self.breaker.era
            if isinstance(era, Open):
                self.now = max(self.now, era.until)


def stress(seconds: float, threads: int, seed: int) -> str:
    """Each call is counted once, probes keep to their limit, states follow as they should."""
    service, stop = Service(), threading.Event()
    made, refused, wrong = [0] * threads, [0] * threads, []

    def caller(number):
        dice = random.Random(f"{seed} {number}")
        ways = (service.guarded, service.guarded, service.in_a_block, service.call)
        while not stop.is_set():
            made[number] += 1
            try:
                dice.choice(ways)(dice.random())
            except CircuitOpenError:
                refused[number] += 1
                service.let_time_pass()
            except (ConnectionError, KeyError, KeyboardInterrupt):
                pass
        if under_way.get() is not None:
            wrong.append(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        callers = [threading.Thread(target=caller, args=(n,), daemon=True) for n in range(threads)]
        for one in callers:
            one.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            service.healthy = not service.healthy
            time.sleep(0.005)
        stop.set()
        for one in callers:
            one.join(60)
            assert not one.is_alive(), "a caller waits without end"
    finally:
        sys.setswitchinterval(interval)
    _hold(service, sum(made), sum(refused), wrong)
    stats = service.breaker.stats()
    return (
        f"{sum(made):,} calls, {sum(refused):,} refused, {stats.trips:,} trips, {stats.late} late"
    )


def _hold(service, made, refused, wrong):
    stats = service.breaker.stats()
    ended = stats.successes + stats.failures + stats.ignored
    assert stats.rejected == refused, (stats, refused)
    assert ended + stats.rejected == made, (stats, made)
    assert service.most <= PROBES, f"{service.most} probes at once"
    assert not wrong, f"threads {wrong} still think they are in a block"
    news = service.changes
    assert all(new in LEGAL[old] for old, new in news), "a step that is none"
    assert all(a[1] is b[0] for a, b in itertools.pairwise(news)), "told out of order"
    assert sum(new is State.OPEN for _, new in news) == stats.trips > 0


def growth(operations: int) -> str:
    """So many calls, of every kind and through many trips, leave no object behind."""
    service = Service()
    dice = random.Random(1)

    def some(count):
        guarded = service.guarded
        for number in range(count):
            if number % 100_000 < 1_000:
                service.healthy = number % 500 < 250
                with contextlib.suppress(Exception, KeyboardInterrupt):
                    service.in_a_block(dice.random())
                service.let_time_pass()
                del service.changes[:]
            else:
                service.healthy = True
                with contextlib.suppress(CircuitOpenError):
                    guarded(0.5)

    some(200_000)
    before = _objects()
    some(operations)
    grown = _objects() - before
    assert grown < 100, f"{grown} objects more"
    return f"{operations:,} calls, {service.breaker.stats().trips:,} trips, {grown:+d} objects"


def _objects():
    gc.collect()
    return len(gc.get_objects())
