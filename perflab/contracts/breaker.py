"""What must hold of a circuit breaker.

Under test is a maker `make(max_failures, reset_timeout, clock=clock)` of a breaker with a method
`execute(fn)`, which returns what `fn` returns and raises what it raises, or CircuitOpenError
without calling it. `guide_style` makes one of `perflab.patterns.CircuitBreaker`.

Its first checks, of what a single caller sees, stand in `perflab.contracts.parts.tripping`.
"""

import threading
from collections.abc import Callable
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import tripping
from perflab.contracts.parts.dependency import (
    FAILURES,
    RESET,
    Breaker,
    Dependency,
    Maker,
    fail,
    guide_style,
    outcome,
    probing,
    tripped,
)
from perflab.contracts.threads import PATIENCE, Running, at_once, eventually
from perflab.measure.virtual import VirtualClock

__all__ = ["Maker", "guide_style"]

AT_ONCE = 8  # a lock held during a call makes most of them wait for 1.5 s

opens, passes_on = tripping.opens, tripping.passes_on
closes, bad_probe = tripping.closes, tripping.bad_probe
crashes, interrupts = tripping.crashes, tripping.interrupts
alternating, hours_apart = tripping.alternating, tripping.hours_apart


# ── side by side


@check(
    "five calls are under way at once",
    "The lock is held during the call: everybody waits in line. Decide under the lock whether the "
    "call may be made, leave it, call, and take it again to count the outcome.",
)
def side_by_side(make: Maker) -> Evidence:
    breaker, dependency = make(FAILURES, RESET, clock=VirtualClock()), Dependency()
    calls = at_once(5, lambda _: breaker.execute(dependency.held))
    eventually(lambda: dependency.inside == 5)
    found = dependency.inside
    dependency.gate.set()
    for call in calls:
        call.join()
    return Evidence(found == 5, f"{found} of 5 calls at once")


@check(
    "20 callers, a hang of 0.3 s each: held for 6 caller-seconds",
    "Who waits in line for another's hang is held as well. Make calls outside the lock.",
)
def caller_seconds(make: Maker) -> Evidence:
    """The hang is a gate: each time that it opens, whoever is still there was held for 0.3 s."""
    breaker, gate = make(FAILURES, RESET, clock=VirtualClock()), threading.Semaphore(0)
    inside: list[int] = []

    def hang() -> None:
        inside.append(1)
        gate.acquire()
        raise TimeoutError

    callers = at_once(20, lambda _: outcome(breaker, hang))
    eventually(lambda: len(inside) == 20)
    held = released = 0
    while left := sum(not caller.ended for caller in callers):
        held += left
        now, released = len(inside) - released, len(inside)
        gate.release(now)
        someone = eventually(lambda: _left(callers) == 0 or len(inside) > released)  # noqa: B023  # asked at once
        if not someone:
            return Evidence(False, "a caller is still waiting")
    return Evidence(held == 20, f"held for {0.3 * held:.1f} caller-seconds")


@check(
    "while a probe is under way, others hear at once that it is open",
    "They wait for the lock that the probe holds. Mark under the lock that a probe has set out, "
    "leave the lock, and refuse everybody else meanwhile.",
)
def others_hear(make: Maker) -> Evidence:
    breaker, dependency, probe, _ = probing(make, lambda: None)
    other = Running(lambda: outcome(breaker, lambda: None))
    told = other.join()
    dependency.gate.set()
    probe.join()
    return Evidence(
        told and other.result() == "refused", "told at once" if told else "waits for its end"
    )


@check(
    "half-open admits one of 16 callers who come at once",
    "All 16 find that the time-out is over. Under the lock, the first who does takes the place of "
    "the probe; while it is taken, refuse.",
)
def herd(make: Maker) -> Evidence:
    breaker, _ = tripped(make)
    dependency = Dependency()
    callers = at_once(16, lambda _: outcome(breaker, dependency.held))
    eventually(lambda: dependency.inside > 1 or sum(c.ended for c in callers) == 15)
    found = dependency.inside
    dependency.gate.set()
    for caller in callers:
        caller.join()
    return Evidence(found == 1, f"{found} of 16 at once")


@check(
    "a call of the breaker within a call of it comes back",
    "It waits for a lock that its own caller holds, for ever. Make calls outside the lock.",
    may_hang=True,
)
def within(make: Maker) -> Evidence:
    breaker, dependency = make(FAILURES, RESET, clock=VirtualClock()), Dependency()
    breaker.execute(lambda: breaker.execute(dependency.good))
    return Evidence(dependency.calls == 1, f"{dependency.calls} of 1 call made")


# ── news from another time


@check(
    "a success that set out before the trip does not close it",
    "Ask of each success when its call set out. Number the times that the breaker opens and "
    "closes, and count an outcome only in the time in which its call was let in.",
)
def late_success(make: Maker) -> Evidence:
    breaker, dependency = make(FAILURES, RESET, clock=VirtualClock()), Dependency()
    if not _trips_beside(breaker, dependency, 1):
        return Evidence(True, "none can be late: calls go one after another")
    after = outcome(breaker, dependency.good)
    return Evidence(after == "refused", f"then a call is {_said(after)}")


@check(
    "a late success beside a probe does not close it either",
    "Half-open, any success is taken for the probe's. Know the probe by the time it was let in.",
)
def late_success_beside_a_probe(make: Maker) -> Evidence:
    clock = VirtualClock()
    breaker, dependency = make(FAILURES, RESET, clock=clock), Dependency()
    probed = Dependency()

    def probe() -> None:
        clock.advance(RESET + 1)
        Running(lambda: outcome(breaker, probed.held))
        eventually(lambda: probed.inside == 1)

    if not _trips_beside(breaker, dependency, 1, then=probe):
        return Evidence(True, "none can be late: calls go one after another")
    after = outcome(breaker, dependency.good)
    probed.gate.set()
    return Evidence(after == "refused", f"then a call is {_said(after)}")


@check(
    "failures that set out before the trip do not open it again",
    "When it has closed again, calls from before may still fail: they say nothing of the present. "
    "Count an outcome only in the time in which its call was let in.",
)
def late_failures(make: Maker) -> Evidence:
    clock = VirtualClock()
    breaker, dependency = make(FAILURES, RESET, clock=clock), Dependency()

    def recover() -> None:
        clock.advance(RESET + 1)
        outcome(breaker, dependency.good)

    if not _trips_beside(breaker, dependency, FAILURES, dependency.bad, recover):
        return Evidence(True, "none can be late: calls go one after another")
    after = outcome(breaker, dependency.good)
    return Evidence(after == "good", f"then a call is {_said(after)}")


# ── places of probes


@check(
    "a probe that ends in an interrupt gives its place to another",
    "The place is given back where the call returns or fails; give it back however it ends, "
    "KeyboardInterrupt and CancelledError included.",
)
def interrupted_probe(make: Maker) -> Evidence:
    breaker, _ = tripped(make)
    dependency = Dependency()

    def interrupted() -> None:
        raise KeyboardInterrupt

    outcome(breaker, interrupted)
    after = outcome(breaker, dependency.good)
    return Evidence(after == "good", f"the next call is {_said(after)}")


@check(
    "a probe that never ends does not keep everybody out for ever",
    "Its thread may hang in a dead connection. When it has said nothing for another reset "
    "time-out, let one more set out.",
)
def lost_probe(make: Maker) -> Evidence:
    breaker, dependency, probe, clock = probing(make, lambda: None)
    clock.advance(RESET + 1)
    other = Running(lambda: outcome(breaker, dependency.good))
    heard = other.join()
    dependency.gate.set()
    probe.join()
    said = _said(other.result()) if heard else f"still waiting after {PATIENCE:g} s"
    return Evidence(heard and other.result() == "good", f"the next call is {said}")


def _trips_beside(
    breaker: Breaker,
    dependency: Dependency,
    calls: int,
    end: Callable[[], Any] = lambda: None,
    then: Callable[[], None] = lambda: None,
) -> bool:
    """While so many calls are under way, others trip it; `then`, and the calls come to their end.

    False where no call can end beside them.
    """
    early = at_once(calls, lambda _: outcome(breaker, lambda: dependency.held(end)))
    together = eventually(lambda: dependency.inside == calls)
    beside = together and Running(lambda: fail(breaker)).join()
    if beside:
        then()
    dependency.gate.set()
    for call in early:
        call.join()
    return beside


def _left(callers: list[Running]) -> int:
    return sum(not caller.ended for caller in callers)


def _said(outcome: str) -> str:
    return {"good": "made", "refused": "refused"}.get(outcome, outcome)
