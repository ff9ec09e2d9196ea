"""The three states of a circuit breaker, and what each decides. Pure: no lock, no clock, no call.

An **era** is one stretch of time that a breaker spends in one state. A call belongs to the era
that let it in and is judged by it; when the era is over, what the call has to say is news from
another time. So a success that set out before the trip cannot close the breaker, and a failure
from before cannot open it again.
"""

import enum
import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from perflab.errors import is_number, is_whole, require

Exceptions = type[BaseException] | tuple[type[BaseException], ...]

FAILED = -1  # a failure in a window; a success is there as its number, which is never negative


class State(enum.Enum):
    """What a circuit breaker does with a call."""

    CLOSED = "closed"  # all is well: every call is made
    OPEN = "open"  # the dependency fails: no call is made
    HALF_OPEN = "half-open"  # it may have recovered: a few calls try it, the rest are not made


@dataclass(frozen=True)
class Rules:
    """When a breaker opens and closes; times in seconds."""

    failure_threshold: int | None
    reset_timeout: float
    success_threshold: int
    within: float
    failure_rate: float | None
    window: int
    max_probes: int
    ignore: Exceptions = ()

    def __post_init__(self) -> None:
        for name in ("success_threshold", "window", "max_probes"):
            value = getattr(self, name)
            require(_is_count(value), name, value, "a whole number, at least 1")
        for name in ("reset_timeout", "within"):
            value = getattr(self, name)
            require(_is_positive(value), name, value, "a finite number of seconds above 0")
        threshold, rate = self.failure_threshold, self.failure_rate
        known = threshold is None or _is_count(threshold)
        require(known, "failure_threshold", threshold, "a whole number, at least 1, or None")
        known = rate is None or (_is_positive(rate) and rate <= 1)
        require(known, "failure_rate", rate, "above 0 and at most 1, or None")
        trips = threshold is not None or rate is not None
        require(trips, "failure_threshold", threshold, "given where failure_rate is not")
        types = self.ignore if isinstance(self.ignore, tuple) else (self.ignore,)
        known = all(isinstance(one, type) and issubclass(one, BaseException) for one in types)
        require(known, "ignore", self.ignore, "an exception type, or a tuple of them")

    def counts(self, error: BaseException) -> bool:
        """Whether it says that the dependency failed."""
        return isinstance(error, Exception) and not isinstance(error, self.ignore)


def _is_count(value: object) -> bool:
    return is_whole(value) and value >= 1


def _is_positive(value: object) -> bool:
    return is_number(value) and 0 < value < 1e100


class Era:
    """One stretch of time in one state; the methods return the state in which to go on."""

    state: State

    def __init__(self, successes: "itertools.count[int]") -> None:
        self.tally: Iterator[object] = successes  # its next one counts a success
        self.closed = self.state is State.CLOSED  # quicker to ask
        self.quiet = False  # whether a success would change nothing but the count: no lock

    def admits(self, now: float) -> bool:
        """Whether a call may be made; one that may belongs to this era."""
        return False

    def succeeded(self) -> State:
        return self.state

    def failed(self, now: float) -> State:
        return self.state

    def ended(self) -> None:
        """A call that said nothing about the dependency."""

    def refusal(self, now: float) -> str:
        return ""


class Closed(Era):
    """Every call is let in.

    Its state: `failures`, when the last ones came that no success has followed, at most as many
    as open the breaker; `recent`, how the last calls ended, where a rate is asked for; `quiet`,
    true while there is no failure that a success would have to forget.
    """

    state = State.CLOSED

    def __init__(self, rules: Rules, successes: "itertools.count[int]", lock_free: bool) -> None:
        super().__init__(successes)
        self._rules, self._lock_free = rules, lock_free
        self.failures: deque[float] = deque(maxlen=rules.failure_threshold or 0)
        self.recent: deque[int] = deque(maxlen=rules.window if rules.failure_rate else 0)
        self.quiet = lock_free
        if rules.failure_rate is not None:
            # one call into C, which no other thread interrupts: take the next number, append it
            self.tally = map(self.recent.append, successes)

    def admits(self, now: float) -> bool:
        return True

    def succeeded(self) -> State:
        """A success that follows failures: they were not in a row."""
        self.failures.clear()
        self.quiet = self._lock_free
        return State.CLOSED

    def failed(self, now: float) -> State:
        self.failures.append(now)
        self.recent.append(FAILED)
        self.quiet = self._lock_free and not self.failures
        return State.OPEN if self._in_a_row(now) or self._too_many() else State.CLOSED

    def _in_a_row(self, now: float) -> bool:
        """So many failures without a success between them, and none of them long ago."""
        enough = len(self.failures) == self._rules.failure_threshold
        return enough and now - self.failures[0] <= self._rules.within

    def _too_many(self) -> bool:
        """Too large a share of the last calls; of fewer than a full window nothing is said."""
        rate, window = self._rules.failure_rate, self._rules.window
        if rate is None or len(self.recent) < window:
            return False
        return self.recent.count(FAILED) / window >= rate


class Open(Era):
    """No call is let in until `until`, a reading of the breaker's clock."""

    state = State.OPEN

    def __init__(self, until: float, successes: "itertools.count[int]") -> None:
        super().__init__(successes)
        self.until = until

    def refusal(self, now: float) -> str:
        return f"the circuit breaker is open for another {self.until - now:.3g} s"


class HalfOpen(Era):
    """A few calls are let in as probes: `max_probes` at a time.

    Its state: `probes` under way, when the `latest` set out, how many were `good`. A probe that
    says nothing for `reset_timeout` may never end (its thread hangs, its generator was forgotten,
    an interrupt came between its admission and its call): then one more may set out, else a
    single lost probe would keep everybody out for ever. Whichever of them ends first decides.
    """

    state = State.HALF_OPEN

    def __init__(self, rules: Rules, successes: "itertools.count[int]") -> None:
        super().__init__(successes)
        self._rules = rules
        self.probes = 0
        self.good = 0
        self.latest = -math.inf

    def admits(self, now: float) -> bool:
        full = self.probes >= self._rules.max_probes
        if full and now - self.latest < self._rules.reset_timeout:
            return False
        self.probes += 1
        self.latest = max(self.latest, now)  # clocks are read before the lock: out of order
        return True

    def succeeded(self) -> State:
        self.probes -= 1
        self.good += 1
        return State.CLOSED if self.good >= self._rules.success_threshold else State.HALF_OPEN

    def failed(self, now: float) -> State:
        self.probes -= 1
        return State.OPEN

    def ended(self) -> None:
        """A probe that says nothing about the dependency leaves its place to another."""
        self.probes -= 1

    def refusal(self, now: float) -> str:
        return "the circuit breaker is half-open and its probes are under way"
