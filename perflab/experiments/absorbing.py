"""A queue in front of a service that is asked for more than it can do: on virtual time, and live.

Nobody gives up or tries again here; what that adds is the subject of `overload`.
"""

import asyncio
import queue
import threading
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from perflab.measure import run_virtual

Floats = NDArray[np.float64]
BODY = 100_000  # bytes that a live request brings


@dataclass
class _Notes:
    """What happened; in live runs several threads write, hence the lock."""

    rows: list[tuple[float, float]] = field(default_factory=list)  # (came, response time)
    held: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def change(self, now: float, by: int) -> None:
        with self.lock:
            self.held.append((now, self.held[-1][1] + by))

    def done(self, came: float, now: float) -> None:
        self.rows.append((came, now - came))
        self.change(now, -1)


@dataclass(frozen=True)
class Absorbed:
    """What became of the requests that came in the first `busy` seconds."""

    busy: float
    came: Floats  # when each of those that were let in came, in this order
    response: Floats  # seconds from then to its answer
    refused: int  # those that found the queue full
    held: tuple[Floats, Floats]  # at these times so many were in the queue or being served

    @property
    def share_refused(self) -> float:
        return self.refused / (self.refused + len(self.came))

    @property
    def empties_after(self) -> float:
        """Seconds from the last possible arrival to the last answer."""
        return float((self.came + self.response).max()) - self.busy

    @property
    def answered(self) -> int:
        """Answers within the busy time."""
        return int(np.count_nonzero(self.came + self.response < self.busy))


def _found(busy: float, notes: _Notes) -> Absorbed:
    came, response = np.array(sorted(notes.rows)).T
    times, count = np.array(notes.held).T
    return Absorbed(busy, came, response, notes.refused, (times, count))


def absorb(
    limit: int | None, load: float = 1.2, busy: float = 60.0, seed: int = 1, rate: float = 100.0
) -> Absorbed:
    """Requests come at random for `busy` seconds, `load` times as many as the one server can
    serve (`rate` a second on average); they wait in a queue of `limit` places, or of any number.

    On virtual time. Arrivals and service times have a random stream each, so that every limit
    meets the same load.
    """
    draws = int(2 * load * rate * busy) + 50
    gaps = np.random.default_rng([seed, 1]).exponential(1 / (load * rate), draws)
    arrivals = np.cumsum(gaps)
    arrivals = arrivals[arrivals < busy]
    service = np.random.default_rng([seed, 2]).exponential(1 / rate, len(arrivals))
    notes = _Notes()
    run_virtual(_served(arrivals, service, limit or 0, notes))
    return _found(busy, notes)


async def _served(arrivals: Floats, service: Floats, limit: int, notes: _Notes) -> None:
    clock = asyncio.get_running_loop().time
    line: asyncio.Queue[tuple[float, float] | None] = asyncio.Queue(limit)

    async def come() -> None:
        for arrival, work in zip(arrivals, service, strict=True):
            await asyncio.sleep(arrival - clock())
            try:
                line.put_nowait((clock(), work))
                notes.change(clock(), +1)
            except asyncio.QueueFull:
                notes.refused += 1
        await line.put(None)

    coming = asyncio.create_task(come())
    while (one := await line.get()) is not None:
        came, work = one
        await asyncio.sleep(work)
        notes.done(came, clock())
    await coming


def absorb_live(
    limit: int | None, load: float = 1.2, busy: float = 2.0, workers: int = 2, service: float = 0.01
) -> Absorbed:
    """The same with threads, which wait 10 ms for each request, and requests that come evenly and
    bring a body each."""
    line: queue.Queue[tuple[float, bytearray] | None] = queue.Queue(limit or 0)
    notes, began = _Notes(), time.perf_counter()

    def serve() -> None:
        while (one := line.get()) is not None:
            time.sleep(service)
            notes.done(one[0], time.perf_counter() - began)

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for due in np.arange(0, busy, service / workers / load).tolist():
        time.sleep(max(0.0, due - (time.perf_counter() - began)))
        try:
            line.put_nowait((due, bytearray(BODY)))
            notes.change(time.perf_counter() - began, +1)
        except queue.Full:
            notes.refused += 1
    for _ in threads:
        line.put(None)
    for thread in threads:
        thread.join()
    return _found(busy, notes)
