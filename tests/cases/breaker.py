"""Circuit breakers: ours, the guide's, and wrong ones."""

import functools

from perflab.contracts import breaker as contract
from perflab.contracts.breaker import guide_style
from perflab.errors import CircuitOpenError
from perflab.guide.breaker import CircuitBreaker as GuideBreaker
from perflab.guide.breaker import CircuitState
from perflab.patterns import CircuitBreaker
from perflab.patterns.parts.eras import HalfOpen

CONTRACT = contract


class LockTakenAway(GuideBreaker):
    """The guide's, with its lock taken away from around the call; it counts every Exception."""

    def execute(self, fn):
        with self._mutex:
            if self.state is CircuitState.OPEN:
                if self._clock() - self.last_fail_time <= self.reset_timeout:
                    raise CircuitOpenError("circuit breaker is open")
                self.state = CircuitState.HALF_OPEN
        try:
            result = fn()
        except Exception:
            with self._mutex:
                self.failures += 1
                self.last_fail_time = self._clock()
                if self.failures >= self.max_failures:
                    self.state = CircuitState.OPEN
            raise
        with self._mutex:
            self.failures = 0
            self.state = CircuitState.CLOSED
        return result


class Herd(CircuitBreaker):
    """Half-open it lets everybody in, as circuitbreaker, purgatory and pyresilience do."""

    def _turn(self, state, now):
        super()._turn(state, now)
        if isinstance(self.era, HalfOpen):
            self.era.admits = lambda now: True


class NoEras(CircuitBreaker):
    """An outcome counts for whatever time it comes in."""

    def succeeded(self, era):
        super().succeeded(self.era)

    def failed(self, era, error):
        super().failed(self.era, error)


class LeakedPlace(CircuitBreaker):
    """A probe's place is given back by a verdict alone."""

    def failed(self, era, error):
        if self._rules.counts(error):
            super().failed(era, error)


class Patient(CircuitBreaker):
    """Waits for its probe for ever."""

    def _turn(self, state, now):
        super()._turn(state, now)
        if isinstance(self.era, HalfOpen):
            self.era.admits = functools.partial(self._admits, self.era)

    def _admits(self, era, now):
        free = era.probes == 0
        era.probes += free
        return free


class Interruptible(CircuitBreaker):
    """Takes an interrupt for a failure."""

    def failed(self, era, error):
        super().failed(era, OSError())


FAILS = [
    (guide_style(CircuitBreaker), set()),
    (
        GuideBreaker,
        {
            "a crash counts as a failure too",
            "a dependency that fails every second time is left alone",
            "three failures an hour apart do not open it",
            "five calls are under way at once",
            "20 callers, a hang of 0.3 s each: held for 6 caller-seconds",
            "while a probe is under way, others hear at once that it is open",
            "a call of the breaker within a call of it comes back",
            "a probe that never ends does not keep everybody out for ever",
        },
    ),
    (
        LockTakenAway,
        {
            "a dependency that fails every second time is left alone",
            "three failures an hour apart do not open it",
            "while a probe is under way, others hear at once that it is open",
            "half-open admits one of 16 callers who come at once",
            "a success that set out before the trip does not close it",
            "a late success beside a probe does not close it either",
            "failures that set out before the trip do not open it again",
        },
    ),
    (
        guide_style(Herd),
        {
            "half-open admits one of 16 callers who come at once",
            "while a probe is under way, others hear at once that it is open",
            "a late success beside a probe does not close it either",
        },
    ),
    (
        guide_style(NoEras),
        {
            "a late success beside a probe does not close it either",
            "failures that set out before the trip do not open it again",
        },
    ),
    (
        guide_style(LeakedPlace),
        {"a probe that ends in an interrupt gives its place to another"},
    ),
    (
        guide_style(Patient),
        {"a probe that never ends does not keep everybody out for ever"},
    ),
    (
        guide_style(Interruptible),
        {
            "an interrupt or a cancelled task is no failure",
            "a probe that ends in an interrupt gives its place to another",
        },
    ),
    (
        guide_style(CircuitBreaker, failure_rate=None),
        {"a dependency that fails every second time is left alone"},
    ),
    (
        guide_style(CircuitBreaker, within=1e6),
        {"three failures an hour apart do not open it"},
    ),
]

COUNTS = [None, "x", [], {}, True, 0, -1, 1.0, float("nan"), object()]
TIMES = [None, "x", [], {}, True, 0, -1, float("nan"), float("inf"), 10**400, object()]

NONSENSE = {
    "CircuitBreaker(failure_threshold)": (CircuitBreaker, COUNTS),
    "CircuitBreaker(reset_timeout)": (lambda bad: CircuitBreaker(3, bad), TIMES),
    "CircuitBreaker(success_threshold)": (lambda bad: CircuitBreaker(3, 1, bad), COUNTS),
    "CircuitBreaker(within)": (lambda bad: CircuitBreaker(within=bad), TIMES),
    "CircuitBreaker(failure_rate)": (
        lambda bad: CircuitBreaker(failure_rate=bad),
        ["x", [], True, 0, -1, 1.1, float("nan"), object()],
    ),
    "CircuitBreaker(window)": (lambda bad: CircuitBreaker(window=bad), COUNTS),
    "CircuitBreaker(max_probes)": (lambda bad: CircuitBreaker(max_probes=bad), COUNTS),
    "CircuitBreaker(ignore)": (
        lambda bad: CircuitBreaker(ignore=bad),
        [None, 1, "x", int, OSError(), [OSError], (OSError, 1)],
    ),
    "CircuitBreaker(on_change)": (lambda bad: CircuitBreaker(on_change=bad), [1, "x", []]),
    "CircuitBreaker(clock)": (lambda bad: CircuitBreaker(clock=bad), [None, 1, "x"]),
    "CircuitBreaker.call(fn)": (CircuitBreaker().call, [None, 1, "x"]),
    "CircuitBreaker(…)(fn)": (CircuitBreaker(), [None, 1, "x"]),
}
