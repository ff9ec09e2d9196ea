"""A heart that beats in an event loop, and what makes it miss beats."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BEAT = 0.005  # seconds
CALM = 0.06  # seconds before and after the call

Floats = NDArray[np.float64]
Span = tuple[float, float]
Run = Callable[[Callable[[], Span]], Awaitable[Span]]


@dataclass(frozen=True)
class Heart:
    """The beats around one call; all times in seconds since the beginning."""

    at: Floats  # when each beat came
    lag: Floats  # by how much it was late
    call: Span  # when the call began and ended

    @property
    def inside(self) -> int:
        """Beats in the first half of the call; at its end, who has waited may go before it."""
        begin, end = self.call
        return int(np.count_nonzero((self.at > begin) & (self.at < (begin + end) / 2)))


async def in_the_loop(call: Callable[[], Span]) -> Span:
    """As a coroutine that blocks does."""
    return call()


async def in_a_thread(call: Callable[[], Span]) -> Span:
    """As one is told to do it."""
    return await asyncio.to_thread(call)


async def heart(call: Callable[[], object], run: Run) -> Heart:
    """Let a heart beat in this loop, and make the call in its middle, the way that `run` says."""
    began = time.perf_counter()
    at: list[float] = []
    lag: list[float] = []

    async def beat() -> None:
        while True:
            due = time.perf_counter() + BEAT
            await asyncio.sleep(BEAT)
            at.append(time.perf_counter())
            lag.append(at[-1] - due)

    def timed() -> Span:
        begin = time.perf_counter()
        call()
        return begin, time.perf_counter()

    beating = asyncio.create_task(beat())
    await asyncio.sleep(CALM)
    begin, end = await run(timed)
    await asyncio.sleep(CALM)
    beating.cancel()
    return Heart(np.array(at) - began, np.array(lag), (begin - began, end - began))
