"""What must hold of a circuit breaker as Python uses it: blocks, decorators, coroutines, hooks.

Under test is a class like `perflab.patterns.CircuitBreaker`, with its arguments. What must hold
of any breaker, the guide's among them, stands in `perflab.contracts.breaker`.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.dependency import FAILURES, RESET, Dependency, ended, fails
from perflab.contracts.threads import PATIENCE, Running, at_once, eventually
from perflab.errors import CircuitOpenError
from perflab.measure.virtual import VirtualClock, run_virtual

Breakers = Callable[..., Any]


def tripped(breakers: Breakers, **options: Any) -> tuple[Any, VirtualClock]:
    """An open breaker whose time-out has just passed."""
    clock = VirtualClock()
    breaker = breakers(FAILURES, RESET, clock=clock, **options)
    fails(breaker)
    clock.advance(RESET + 1)
    return breaker, clock


def _key_error() -> None:
    raise KeyError


@check(
    "with success_threshold=2 one good probe does not close it",
    "Count the good probes of the half-open time, and close at the threshold.",
)
def two_successes(breakers: Breakers) -> Evidence:
    breaker, _ = tripped(breakers, success_threshold=2)
    seen = []
    for _ in range(2):
        ended(breaker)
        seen.append(breaker.state.name)
    return Evidence(seen == ["HALF_OPEN", "CLOSED"], f"after one and two {', '.join(seen)}")


@check(
    "with max_probes=2 half-open admits two of 16",
    "Count the probes under way under the lock, and refuse when they are so many.",
)
def two_probes(breakers: Breakers) -> Evidence:
    breaker, _ = tripped(breakers, max_probes=2)
    dependency = Dependency()
    callers = at_once(16, lambda _: ended(breaker, dependency.held))
    eventually(lambda: dependency.inside + sum(caller.ended for caller in callers) == 16)
    found = dependency.inside
    dependency.gate.set()
    for caller in callers:
        caller.join()
    return Evidence(found == 2, f"{found} of 16 at once")


@check(
    "an ignored error is no failure and no success",
    "It says nothing about the dependency: it neither counts nor forgets what has counted.",
)
def ignored(breakers: Breakers) -> Evidence:
    breaker = breakers(FAILURES, RESET, ignore=KeyError)
    for _ in range(10):
        ended(breaker, _key_error)
    first = breaker.state.name
    for _ in range(FAILURES):
        fails(breaker, 1)
        ended(breaker, _key_error)
    holds = first == "CLOSED" and breaker.state.name == "OPEN"
    return Evidence(holds, f"{first} after ten, {breaker.state.name} between failures")


@check(
    "a probe that ends in an ignored error gives its place back",
    "However the probe ends, its place is free again. Without a verdict it is still half-open.",
)
def ignored_probe(breakers: Breakers) -> Evidence:
    breaker, _ = tripped(breakers, ignore=KeyError)
    ended(breaker, _key_error)
    state, after = breaker.state.name, ended(breaker)
    return Evidence(state == "HALF_OPEN" and after == "good", f"{state}, the next call: {after}")


@check(
    "a probe whose task is cancelled gives its place back",
    "CancelledError is no Exception: give the place back in `finally` or for BaseException.",
)
def cancelled_probe(breakers: Breakers) -> Evidence:
    breaker, _ = tripped(breakers)

    async def main() -> None:
        async def probe() -> None:
            with breaker:
                await asyncio.sleep(3600)

        task = asyncio.create_task(probe())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})

    run_virtual(main())
    after = ended(breaker)
    return Evidence(after == "good", f"the next call: {after}")


@check(
    "tasks that take turns in `with` blocks are not mixed up",
    "Tasks share their thread and end in any order. Keep the time in which a call was let in where "
    "only its task finds it: a context variable.",
)
def taking_turns(breakers: Breakers) -> Evidence:
    """An early call ends well beside a probe: taken for the probe's, its success would close."""
    breaker = breakers(FAILURES, RESET, clock=(clock := VirtualClock()))

    async def main() -> str:
        async def call(seconds: float) -> None:
            with breaker:
                await asyncio.sleep(seconds)

        early = asyncio.create_task(call(10))
        await asyncio.sleep(1)
        fails(breaker)
        clock.advance(RESET + 1)
        probe = asyncio.create_task(call(100))
        await early
        state: str = breaker.state.name
        await probe
        return state

    state = run_virtual(main())
    holds = state == "HALF_OPEN" and breaker.state.name == "CLOSED"
    return Evidence(holds, f"{state} beside the probe, {breaker.state.name} after it")


@check(
    "a coroutine is judged when it ends, by decorator and by call",
    "Calling a coroutine function only makes the coroutine. Await it under guard.",
)
def coroutines(breakers: Breakers) -> Evidence:
    async def bad() -> None:
        await asyncio.sleep(1)
        raise ConnectionError

    async def main(call: Callable[[], Any]) -> int:
        made = 0
        for _ in range(10):
            try:
                await call()
            except ConnectionError:
                made += 1
            except CircuitOpenError:
                pass
        return made

    by_decorator = run_virtual(main(breakers(FAILURES, RESET)(bad)))
    breaker = breakers(FAILURES, RESET)
    by_call = run_virtual(main(lambda: breaker.call(bad)))
    found = f"{by_decorator} and {by_call} of 10 let through"
    return Evidence(by_decorator == by_call == FAILURES, found)


@check(
    "a generator is judged when it ends, not when it is made",
    "Calling a generator function runs nothing of it. Let it in at its first item, count how it "
    "ends; one that is given up says nothing.",
)
def generators(breakers: Breakers) -> Evidence:
    def bad() -> Iterator[int]:
        yield 1
        raise ConnectionError

    async def bad_async() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError

    async def all_of(items: AsyncIterator[int]) -> list[int]:
        return [item async for item in items]

    found = []
    for function, use in ((bad, list), (bad_async, lambda items: run_virtual(all_of(items)))):
        breaker = breakers(FAILURES, RESET)
        guarded = breaker(function)
        for _ in range(10):
            with contextlib.suppress(ConnectionError, CircuitOpenError):
                use(guarded())
        stats = breaker.stats()
        found.append(f"{stats.failures} + {stats.rejected}")
    return Evidence(found == ["3 + 7"] * 2, f"failed + refused of 10: {', '.join(found)}")


@check(
    "a hook may use the breaker, and keeps nobody waiting",
    "It is called under the lock. Note the change there, leave the lock, then tell.",
    may_hang=True,
)
def hooks(breakers: Breakers) -> Evidence:
    told, gate = [], threading.Event()

    def hook(old: Any, new: Any) -> None:
        told.append(f"{old.name}-{new.name}")
        breaker.stats()
        gate.wait()

    breaker = breakers(FAILURES, RESET, on_change=hook)
    tripping = Running(lambda: fails(breaker))
    eventually(lambda: bool(told))
    other = Running(lambda: ended(breaker))
    waits_not = other.join(1.0) and other.result() == "refused"
    gate.set()
    tripping.join()
    return Evidence(waits_not and told == ["CLOSED-OPEN"], f"told {', '.join(told)}")


@check(
    "hooks are told in order, whichever thread turned it",
    "Two threads that tell after they have left the lock overtake each other. Queue the news under "
    "the lock, and let one thread at a time empty the queue.",
)
def in_order(breakers: Breakers) -> Evidence:
    """The first thread is held while it tells; meanwhile others turn it three times more."""
    told: list[str] = []
    gate, held = threading.Event(), threading.Event()

    def hook(old: Any, new: Any) -> None:
        if not held.is_set():
            held.set()
            gate.wait()
        told.append(new.name)

    breaker = breakers(1, RESET, clock=(clock := VirtualClock()), on_change=hook)
    first = Running(lambda: fails(breaker, 1))
    held.wait(PATIENCE)
    clock.advance(RESET + 1)
    free = [Running(turn).join() for turn in (lambda: ended(breaker), lambda: fails(breaker, 1))]
    gate.set()
    first.join()
    if not all(free):
        return Evidence(False, "others wait while one is told")
    holds = told == ["OPEN", "HALF_OPEN", "CLOSED", "OPEN"]
    return Evidence(holds, ", ".join(told))
