"""The convoy: a thread that waits for a millisecond, beside threads that compute in Python.

When its wait is over it needs the interpreter's lock again, and whoever computes gives that away
only after the switch interval. Described by Beazley, «Understanding the Python GIL» (2010).
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perflab.measure import trace_memory
from perflab.systems import neighbour

WAIT = 0.001  # seconds that are asked for
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Waits:
    """Waits of a millisecond, one after the other: when each began, and how long it took; and
    this process's memory meanwhile. All in seconds since the beginning, and in bytes."""

    begin: Floats
    took: Floats
    resident: tuple[Floats, Floats]

    def median(self, since: float = 0.0, until: float = np.inf) -> float:
        """Of the waits that began in this time."""
        return float(np.median(self.took[(self.begin >= since) & (self.begin < until)]))


@contextmanager
def switching_every(seconds: float) -> Iterator[None]:
    """Inside, a thread that has the lock is asked for it after so many seconds; else after 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def waits(seconds: float, busy: int = 0, interval: float = 0.005, after: float = 0.0) -> Waits:
    """Wait for a millisecond, over and over, for so many seconds; `busy` threads begin to compute
    `after` so many seconds, and end as long before the end."""
    begin, took = [], []
    with switching_every(interval), trace_memory() as tracer:
        origin = tracer.trace.started
        for stretch, threads in ((after, 0), (seconds - 2 * after, busy), (after, 0)):
            with ExitStack() as beside:
                for _ in range(threads):
                    beside.enter_context(neighbour())
                end = time.perf_counter() + stretch
                while (now := time.perf_counter()) < end:
                    time.sleep(WAIT)
                    took.append(time.perf_counter() - now)
                    begin.append(now - origin)
    trace = tracer.trace
    (resident,) = trace.rss.values()
    return Waits(np.array(begin), np.array(took), (trace.time, resident.astype(float)))


def beside(run: Waits, interval: float, busy: tuple[float, float]) -> tuple[Floats, Floats]:
    """The median wait beside 0 and 1 computing threads, of a run in which one computed for this
    time, and beside 2 and 4, tried here."""
    seen = [run.median(0.0, busy[0]), run.median(*busy)]
    seen += [waits(0.25, threads, interval).median() for threads in (2, 4)]
    return np.array([0.0, 1.0, 2.0, 4.0]), np.array(seen)
