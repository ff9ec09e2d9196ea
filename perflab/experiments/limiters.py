"""Three ways to let so many through in a second, and the second in which each lets most through."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from perflab.measure.virtual import VirtualClock

Clock = Callable[[], float]


class Limiter(Protocol):
    """Says of each request whether it may pass, at the time that its clock shows."""

    def allows(self) -> bool: ...


class FixedWindow:
    """Counts the requests of each second, from full second to full second."""

    def __init__(self, rate: int, clock: Clock) -> None:
        self.rate, self.clock = rate, clock
        self.window, self.count = -1, 0

    def allows(self) -> bool:
        if int(self.clock()) != self.window:
            self.window, self.count = int(self.clock()), 0
        self.count += 1
        return self.count <= self.rate


class TokenBucket:
    """Tokens flow in at the rate until the bucket holds `burst`; each request takes one."""

    def __init__(self, rate: int, burst: int, clock: Clock) -> None:
        self.rate, self.burst, self.clock = rate, burst, clock
        self.tokens, self.at = float(burst), clock()

    def allows(self) -> bool:
        now = self.clock()
        self.tokens = min(self.burst, self.tokens + self.rate * (now - self.at))
        self.at = now
        passes = self.tokens >= 1
        self.tokens -= passes
        return passes


class SlidingLog:
    """Keeps the times of those that passed in the last second."""

    def __init__(self, rate: int, clock: Clock) -> None:
        self.rate, self.clock = rate, clock
        self.passed: deque[float] = deque()

    def allows(self) -> bool:
        now = self.clock()
        while self.passed and self.passed[0] <= now - 1:
            self.passed.popleft()
        passes = len(self.passed) < self.rate
        if passes:
            self.passed.append(now)
        return passes


def passed(make: Callable[[Clock], Limiter], begin: float = 0.9, until: float = 4.0) -> list[float]:
    """When requests pass that are offered once a millisecond from `begin` on.

    The millisecond is 1/1,024 s: a power of two, so that no rounding decides.
    """
    clock = VirtualClock()
    limiter = make(clock)
    clock.advance(round(begin * 1024) / 1024)
    times = []
    while clock() < until:
        if limiter.allows():
            times.append(clock())
        clock.advance(1 / 1024)
    return times


def most_in_a_second(times: list[float]) -> int:
    """The most that passed in any second, from included to not included."""
    window: deque[float] = deque()
    most = 0
    for moment in times:
        window.append(moment)
        while window[0] <= moment - 1:
            window.popleft()
        most = max(most, len(window))
    return most
