"""Circuit breakers: what a closed one costs a call of a function that does nothing.

Peers count failures in a row; nopanic and pyresilience look at a rate over a window, and ours with
a window of as many calls is beside them. All of ours count; the count costs about a sixth.
"""

from collections.abc import Callable
from typing import Any

from perflab.patterns import CircuitBreaker
from tests.benchmarks.racing import Race


def nothing() -> None:
    """The function under guard."""


def calls(guarded: Callable[[], object]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n):
            guarded()

    return run


def blocks(breaker: Any) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n):
            with breaker:
                nothing()

    return run


def circuitbreaker() -> Any:
    from circuitbreaker import CircuitBreaker as Peer

    return Peer(failure_threshold=5)


def pybreaker() -> Any:
    from pybreaker import CircuitBreaker as Peer

    return Peer(fail_max=5)


def purgatory() -> Any:
    from purgatory import SyncCircuitBreakerFactory

    return SyncCircuitBreakerFactory()


def nopanic() -> Any:
    from nopanic import circuit_breaker

    return circuit_breaker(failure_threshold=0.5)


def pyresilience() -> Any:
    from pyresilience import CircuitBreakerConfig, resilient

    return resilient(circuit_breaker=CircuitBreakerConfig())


RACES = [
    Race(
        "a guarded call",
        {
            "ours": lambda: calls(CircuitBreaker(5)(nothing)),
            "circuitbreaker": lambda: calls(circuitbreaker()(nothing)),
            "purgatory": lambda: calls(purgatory()("peer")(nothing)),
            "pybreaker": lambda: calls(pybreaker()(nothing)),
        },
        {"circuitbreaker": 4, "pybreaker": 10},
        idle_bytes=CircuitBreaker,
    ),
    Race(
        "a guarded call, by rate",
        {
            "ours": lambda: calls(CircuitBreaker(failure_rate=0.5)(nothing)),
            "nopanic": lambda: calls(nopanic()(nothing)),
            "pyresilience": lambda: calls(pyresilience()(nothing)),
        },
        {"nopanic": 6},
        idle_bytes=lambda: CircuitBreaker(failure_rate=0.5),
    ),
    Race(
        "a guarded block",
        {
            "ours": lambda: blocks(CircuitBreaker(5)),
            "circuitbreaker": lambda: blocks(circuitbreaker()),
            "purgatory": lambda: blocks(purgatory().get_breaker("peer")),
        },
        {},
    ),
]
