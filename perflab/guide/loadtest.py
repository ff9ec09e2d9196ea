"""The guide's load tester, ported with its defects (guide, lines 1079–1210, Go).

Kept as they are:

- the rate of a worker is an integer division: 100/s with 30 workers becomes 90/s, and below one
  a second for each worker it divides by zero (a panic in Go, ZeroDivisionError here);
- each worker has a ticker of its own and all start together, so requests leave in bursts;
- a ticker holds one tick: while a worker waits for an answer, the ticks that follow are dropped
  and what should have been sent then is in no report;
- latency ends with the header, and the body is closed unread, which costs the connection;
- errors and answers of any status count as successes;
- p95 and p99 are one rank too high where n·p is whole, and are given for any n;
- requests a second are counted over the duration asked for, although the workers wait longer,
  up to the client's time-out, for the answers under way at its end.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

TIMEOUT = 10.0  # seconds: of the guide's HTTP client


class Response(Protocol):
    """What a GET returns once its header is there."""

    @property
    def status(self) -> int: ...

    async def read(self) -> bytes: ...

    def close(self) -> None:
        """Give it up; unless it was read to its end, its connection is closed with it."""


Get = Callable[[], Awaitable[Response]]


@dataclass(frozen=True)
class LoadTestResult:
    """What the guide's tester reports; latencies in seconds."""

    total_requests: int = 0
    successful_requests: int = 0
    failed_requests: int = 0
    average_latency: float = 0.0
    p95_latency: float = 0.0
    p99_latency: float = 0.0
    rps: float = 0.0


class Ticker:
    """Go's time.Ticker: a tick each 1/`per_second`, on a channel that holds one.

    Its state: `number`, the tick that waits in the channel or will be the next to come.
    """

    def __init__(self, per_second: int) -> None:
        if per_second == 0:  # Go divides a second by it, in integers, and panics
            raise ZeroDivisionError("integer divide by zero")
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._per_second = per_second
        self.number = 1

    @property
    def due(self) -> float:
        return self._began + self.number / self._per_second

    def take(self) -> None:
        """Empty the channel. Ticks that came while it was full are gone."""
        self.number += 1
        while self.due <= self._clock():
            self.number += 1


class LoadTest:
    """GETs at `rate` a second by `concurrency` workers for `duration` seconds.

    Go's select takes any of the cases that are ready: a worker that finds the time over and a tick
    waiting stops or sends once more, at random. `seed` makes that choice repeatable.
    """

    def __init__(
        self, get: Get, concurrency: int, duration: float, rate: int, *, seed: int = 1
    ) -> None:
        self.get, self.concurrency, self.duration, self.rate = get, concurrency, duration, rate
        self._select = random.Random(seed)

    async def run(self) -> LoadTestResult:
        end = asyncio.get_running_loop().time() + self.duration
        latencies: list[float] = []
        workers = (self._worker(end, latencies) for _ in range(self.concurrency))
        await asyncio.gather(*workers)
        return self._result(latencies)

    async def _worker(self, end: float, latencies: list[float]) -> None:
        clock = asyncio.get_running_loop().time
        ticker = Ticker(self.rate // self.concurrency)
        while await self._ticks(ticker, end):
            ticker.take()
            start = clock()
            response = await self._answer()
            latency = clock() - start
            if response is not None:
                response.close()
            latencies.append(latency)

    async def _ticks(self, ticker: Ticker, end: float) -> bool:
        """Go's select: true when a tick has come, false when the time is over."""
        now = asyncio.get_running_loop().time()
        if ticker.due <= now:  # a tick waits: over or not, select may take it
            return now < end or self._select.random() < 0.5
        await asyncio.sleep(min(ticker.due, end) - now)
        return ticker.due < end

    async def _answer(self) -> Response | None:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self.get()
        except Exception:  # Go's client returns an error, which the guide does not look at
            return None

    def _result(self, latencies: list[float]) -> LoadTestResult:
        if not latencies:
            return LoadTestResult()
        latencies.sort()
        total = len(latencies)
        return LoadTestResult(
            total_requests=total,
            successful_requests=total,
            failed_requests=0,
            average_latency=sum(latencies) / total,
            p95_latency=latencies[int(total * 0.95)],
            p99_latency=latencies[int(total * 0.99)],
            rps=total / self.duration,
        )
