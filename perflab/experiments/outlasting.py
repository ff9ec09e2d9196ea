"""A limiter in front of work that turns slow and cannot be stopped, on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from perflab.errors import BulkheadFullError
from perflab.measure.virtual import run_virtual

Floats = NDArray[np.float64]


class Limiter(Protocol):
    """What limits calls: awaits `fn()` in a slot; `ctx` is set when the caller gives up."""

    async def execute(self, ctx: asyncio.Event, fn: Callable[[], Awaitable[Any]]) -> Any: ...


@dataclass(frozen=True)
class SlowSpell:
    """What callers and dependency saw. Times in seconds, a caller each in order of arrival."""

    due: Floats
    response: Floats  # until they had an answer, or an error
    good: NDArray[np.bool_]
    under_way: tuple[Floats, Floats]  # when, and how much work was under way at the dependency
    callers: tuple[Floats, Floats]  # when, and how many callers were waiting


def slow_spell(
    make: Callable[[int, float], Limiter],
    *,
    limit: int = 4,
    timeout: float = 0.1,
    rate: float = 50.0,
    seconds: float = 8.0,
    slow: tuple[float, float] = (2.0, 4.0),
    took: tuple[float, float] = (0.02, 2.0),
    seed: int = 1,
) -> SlowSpell:
    """Callers come at random; work begun in the `slow` time takes the second of `took`."""
    arrivals = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds)))
    response, good = np.zeros(len(arrivals)), np.zeros(len(arrivals), bool)
    counts = {"under way": [(0.0, 0)], "callers": [(0.0, 0)]}

    async def main() -> None:
        limiter, clock = make(limit, timeout), asyncio.get_running_loop().time

        def change(which: str, by: int) -> None:
            counts[which].append((clock(), counts[which][-1][1] + by))

        async def work() -> None:
            end = clock() + took[slow[0] <= clock() < slow[1]]
            change("under way", +1)
            while clock() < end:
                try:
                    await asyncio.sleep(end - clock())
                except asyncio.CancelledError:
                    continue  # as a thread, or another computer, does not stop
            change("under way", -1)

        async def caller(number: int) -> None:
            began = clock()
            change("callers", +1)
            try:
                await limiter.execute(asyncio.Event(), work)
                good[number] = True
            except (TimeoutError, BulkheadFullError):  # an error for the caller either way
                pass
            change("callers", -1)
            response[number] = clock() - began

        calls = []
        for number, moment in enumerate(arrivals):
            await asyncio.sleep(float(moment) - clock())
            calls.append(asyncio.create_task(caller(number)))
        await asyncio.wait(calls)
        await asyncio.sleep(max(took))

    run_virtual(main())
    held = {name: tuple(np.array(rows).T) for name, rows in counts.items()}
    return SlowSpell(arrivals, response, good, held["under way"], held["callers"])
