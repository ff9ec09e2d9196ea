"""A bench for circuit breakers: a dependency that counts, and breakers brought into a state.

Time is a VirtualClock. Whoever has to be in the middle of a call is held there by a gate.
"""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from perflab.contracts.threads import Running, eventually
from perflab.errors import CircuitOpenError
from perflab.measure.virtual import VirtualClock

RESET = 30.0  # seconds
FAILURES = 3  # in a row, until it opens


class Breaker(Protocol):
    """What guards calls."""

    def execute(self, fn: Callable[[], Any]) -> Any: ...


Maker = Callable[..., Breaker]


def guide_style(breaker: Callable[..., Any], **options: Any) -> Maker:
    """A maker of breakers that are called as the guide's, of a class that is called as ours.

    They trip as well where half of the last 20 calls failed.
    """

    class GuideStyle:
        def __init__(
            self, max_failures: int, reset_timeout: float, *, clock: Callable[[], float]
        ) -> None:
            rate = {"failure_rate": 0.5, "window": 20}
            self.execute = breaker(
                max_failures, reset_timeout, clock=clock, **(rate | options)
            ).call

    return GuideStyle


class Dependency:
    """What is called: counts its calls, fails where it is told to, holds calls where asked to."""

    def __init__(self) -> None:
        self.calls = self.inside = 0
        self._lock = threading.Lock()
        self.gate = threading.Event()  # a held call goes on when it is set

    def good(self) -> str:
        self.calls += 1
        return "good"

    def bad(self) -> None:
        self.calls += 1
        raise ConnectionError("refused")

    def held(self, end: Callable[[], Any] = lambda: None) -> Any:
        """Stay inside until the gate opens, then do what `end` does."""
        with self._lock:
            self.calls += 1
            self.inside += 1
        self.gate.wait()
        return end()


def outcome(breaker: Breaker, fn: Callable[[], Any]) -> str:
    """How a call ended: "good", "refused", or the name of what it raised."""
    try:
        breaker.execute(fn)
    except CircuitOpenError:
        return "refused"
    except BaseException as error:
        return type(error).__name__
    return "good"


def fail(breaker: Breaker, times: int = FAILURES) -> None:
    for _ in range(times):
        outcome(breaker, Dependency().bad)


def tripped(make: Maker) -> tuple[Breaker, VirtualClock]:
    """An open breaker whose time-out has just passed: the next call is a probe."""
    clock = VirtualClock()
    breaker = make(FAILURES, RESET, clock=clock)
    fail(breaker)
    clock.advance(RESET + 1)
    return breaker, clock


def probing(
    make: Maker, end: Callable[[], Any]
) -> tuple[Breaker, Dependency, Running, VirtualClock]:
    """A breaker with a probe under way; it ends as `end` does when the gate opens."""
    breaker, clock = tripped(make)
    dependency = Dependency()
    probe = Running(lambda: outcome(breaker, lambda: dependency.held(end)))
    eventually(lambda: dependency.inside == 1)
    return breaker, dependency, probe, clock


# ── of a breaker that is called as ours is


class _GuideStyle(NamedTuple):
    """A breaker of ours as the bench's functions call one."""

    execute: Callable[[Callable[[], Any]], Any]


def ended(breaker: Any, fn: Callable[[], Any] = lambda: None) -> str:
    """How a call ended: "good", "refused", or the name of what it raised."""
    return outcome(_GuideStyle(breaker.call), fn)


def fails(breaker: Any, times: int = FAILURES) -> None:
    fail(_GuideStyle(breaker.call), times)
