"""Retries on virtual time: what they multiply, what limits them, and how to spread them.

The budget is a token bucket of the caller's: each request pays a share of a token in, each retry
takes a whole one out (Finagle's `RetryBudget`; «Handling Overload» in Google's SRE book gives
10 % as a rule). The jitter is «full»: a random part of the exponential delay (M. Brooker,
«Exponential Backoff and Jitter», AWS Architecture Blog, 2015).
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from perflab.errors import require
from perflab.measure.virtual import run_virtual


class Budget:
    """Retries for each request on average, and at most `most` in one go."""

    def __init__(self, ratio: float, most: float = 10.0) -> None:
        require(0 <= ratio <= 10, "ratio", ratio, "retries for each request, from 0 to 10")
        self.ratio, self.most = ratio, most
        self.tokens = most

    def request(self) -> None:
        """A request comes: it pays in."""
        self.tokens = min(self.most, self.tokens + self.ratio)

    def retry(self) -> bool:
        """Whether a retry may be made; if so it is paid for."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


# ── tiers that each try again


@dataclass
class Tiers:
    """What a chain of services did: times in seconds."""

    calls: list[float] = field(default_factory=list)  # when each call reached the dependency
    ended: list[float] = field(default_factory=list)  # when each request did, in whatever way
    response: list[float] = field(default_factory=list)  # and how long it took
    good: int = 0


def through_tiers(
    attempts: tuple[int, ...],
    budget: float | None = None,
    *,
    rate: float = 20.0,
    seconds: float = 15.0,
    outage: tuple[float, float] = (5.0, 10.0),
    call: float = 0.05,
    seed: int = 1,
) -> Tiers:
    """Requests arrive at random and pass tiers, the outermost first, each of which makes so many
    `attempts` at the next; the last calls a dependency, which takes `call` seconds to answer, or
    in the `outage` to fail. Every tier has a `budget` of its own, where one is given."""
    seen, rng = Tiers(), random.Random(seed)
    budgets = [None if budget is None else Budget(budget) for _ in attempts]

    async def tier(level: int) -> bool:
        clock = asyncio.get_running_loop().time
        if level == len(attempts):
            seen.calls.append(clock())
            down = outage[0] <= clock() < outage[1]
            await asyncio.sleep(call)
            return not down
        own = budgets[level]
        if own:
            own.request()
        for attempt in range(attempts[level]):
            if attempt and own and not own.retry():
                break
            if await tier(level + 1):
                return True
        return False

    async def request(began: float) -> None:
        good = await tier(0)
        seen.good += good  # not in one line: others count while it waits
        seen.ended.append(asyncio.get_running_loop().time())
        seen.response.append(seen.ended[-1] - began)

    async def main() -> None:
        clock, tasks = asyncio.get_running_loop().time, []
        while clock() < seconds:
            tasks.append(asyncio.create_task(request(clock())))
            await asyncio.sleep(rng.expovariate(rate))
        await asyncio.wait(tasks)

    run_virtual(main())
    return seen


# ── a herd that comes back


Delay = Callable[[int, random.Random], float]


def fixed(attempt: int, rng: random.Random) -> float:
    """A second, always."""
    return 1.0


def exponential(attempt: int, rng: random.Random) -> float:
    """0.1 s, twice as long each time, 10 s at most."""
    return min(10.0, 0.1 * 2.0**attempt)


def jittered(attempt: int, rng: random.Random) -> float:
    """A random part of the exponential delay."""
    return rng.uniform(0, exponential(attempt, rng))


def herd(
    delay: Delay, seed: int = 1, *, clients: int = 1_000, places: int = 20
) -> tuple[int, float]:
    """Calls in all, and seconds until all clients are served, of a dependency that takes `places`
    at a time, 50 ms each, and refuses the others at once. All come at the same moment."""
    rng = random.Random(seed)
    free, calls = places, 0

    async def client() -> None:
        nonlocal free, calls
        attempt = 0
        while True:
            calls += 1
            if free:
                free -= 1
                await asyncio.sleep(0.05)
                free += 1
                return
            await asyncio.sleep(delay(attempt, rng))
            attempt += 1

    async def main() -> float:
        await asyncio.gather(*(client() for _ in range(clients)))
        return asyncio.get_running_loop().time()

    seconds = run_virtual(main())
    return calls, seconds
