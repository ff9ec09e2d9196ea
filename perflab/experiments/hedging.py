"""Hedged requests on virtual time: ask a second replica when the first takes its time.

Source: J. Dean, L. A. Barroso, «The Tail at Scale», Communications of the ACM 56 (2013).
"""

import asyncio
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require
from perflab.measure.virtual import run_virtual

Floats = NDArray[np.float64]
USUAL, SPREAD = 0.010, 0.3  # seconds in the median, and the σ of the lognormal
STALL, STALLS = 0.120, 0.02  # seconds more, and the share of calls that stall
MEAN = USUAL * float(np.exp(SPREAD**2 / 2)) + STALLS * STALL


@dataclass(frozen=True)
class Hedged:
    """What it came to: response times in seconds, and calls sent for each request."""

    response: Floats
    calls: float


class _Replica:
    """Serves one request at a time, first come, first served.

    State: `_queue`, `_serving` and its `_timer`.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._loop = rng, asyncio.get_running_loop()
        self._queue: deque[_Request] = deque()
        self._serving: _Request | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, request: "_Request") -> None:
        self._queue.append(request)
        if self._serving is None:
            self._next()

    def drop(self, request: "_Request") -> None:
        """Forget it, be it waiting or at work; nothing where it is neither."""
        if self._serving is request and self._timer is not None:
            self._timer.cancel()
            self._next()
        elif request in self._queue:
            self._queue.remove(request)

    def _next(self) -> None:
        self._serving = self._queue.popleft() if self._queue else None
        if self._serving is not None:
            took = USUAL * self._rng.lognormal(0.0, SPREAD)
            took += STALL if self._rng.random() < STALLS else 0.0
            self._timer = self._loop.call_later(took, self._end, self._serving)

    def _end(self, request: "_Request") -> None:
        self._next()
        request.answered()


class _Request:
    """State: `seconds` until the first answer, once that has come; `calls` made for it."""

    def __init__(self, one: _Replica, other: _Replica, delay: float | None, cancel: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._began, self._cancel = self._loop.time(), cancel
        self._replicas = (one, other)
        self.seconds, self.calls = 0.0, 1
        one.ask(self)
        self._hedge = None if delay is None else self._loop.call_later(delay, self._second)

    def _second(self) -> None:
        if not self.seconds:
            self.calls = 2
            self._replicas[1].ask(self)

    def answered(self) -> None:
        if self.seconds:
            return  # the slower of two
        self.seconds = self._loop.time() - self._began
        if self._hedge is not None:
            self._hedge.cancel()
        if self._cancel and self.calls == 2:
            for replica in self._replicas:
                replica.drop(self)


def hedging(
    load: float,
    delay: float | None = None,
    *,
    cancel: bool = True,
    requests: int = 4_000,
    replicas: int = 10,
    seed: int = 1,
) -> Hedged:
    """Requests arrive at random at so many replicas, at this utilisation; each asks one of them.

    After `delay` seconds without an answer (None: never) it asks another, and takes the first
    answer. With `cancel` the other call ends on the spot, be it waiting or at work; without, it
    is worked through.
    """
    require(0 < load < 1, "load", load, "a utilisation above 0 and below 1")
    public, served, chosen = (np.random.default_rng([seed, stream]) for stream in (1, 2, 3))
    arrivals = np.cumsum(public.exponential(MEAN / (load * replicas), requests))
    first = chosen.integers(replicas, size=requests)
    second = (first + chosen.integers(1, replicas, size=requests)) % replicas
    sent: list[_Request] = []

    async def main() -> None:
        loop, all_of_them = asyncio.get_running_loop(), [_Replica(served) for _ in range(replicas)]

        def arrive(one: int, other: int) -> None:
            sent.append(_Request(all_of_them[one], all_of_them[other], delay, cancel))

        for moment, one, other in zip(arrivals, first, second, strict=True):
            loop.call_at(float(moment), arrive, int(one), int(other))
        await asyncio.sleep(float(arrivals[-1]))
        while not all(request.seconds for request in sent):
            await asyncio.sleep(1.0)

    run_virtual(main())
    calls = sum(request.calls for request in sent) / requests
    return Hedged(np.array([request.seconds for request in sent]), calls)
