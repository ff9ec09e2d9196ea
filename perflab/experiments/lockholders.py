"""Who holds the interpreter's lock: a second thread ticks, and a call lets it tick or does not.

The second thread sleeps for 0.2 ms and notes the time, over and over. To note it, it needs the
lock. So while a call runs, its silence tells who has the lock, whatever else the machine does: a
busy machine makes ticks late, but it cannot make one that the lock forbids.

Ticks are counted in the first half of a call. At its end a caller whom others have waited for lets
them go first, and on a busy machine they may tick several times before it reads the clock.
"""

import hashlib
import json
import re
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require

TICK = 0.0002  # seconds
FEW, MANY = 2, 10  # ticks beside a call that keeps the lock, and one that gives it back
Call = Callable[[], object]


@dataclass(frozen=True)
class Watched:
    """A call that was made several times beside a ticking thread."""

    ticks: tuple[int, ...]  # in the first half of each call
    silence: float  # the longest time without a tick ÷ the call's length, median over the calls
    seconds: float  # the call's length, median

    @property
    def keeps(self) -> bool:
        """It keeps the lock: few ticks in most of the calls."""
        return float(np.median(self.ticks)) <= FEW

    @property
    def gives(self) -> bool:
        """It gives the lock back: many ticks in at least one call."""
        return max(self.ticks) >= MANY


def watched(call: Call, times: int = 5) -> Watched:
    """Make the call so many times beside a thread that ticks; it should take 20 ms or more."""
    require(callable(call), "call", call, "a function without arguments")
    moments: list[float] = []
    leaving = threading.Event()

    def tick() -> None:
        while not leaving.is_set():
            time.sleep(TICK)
            moments.append(time.perf_counter())

    ticker = threading.Thread(target=tick, name="ticker", daemon=True)
    ticker.start()
    spans = []
    try:
        for _ in range(times):
            time.sleep(0.005)  # so that the ticker is at work, and this thread has a fresh turn
            begin = time.perf_counter()
            call()
            spans.append((begin, time.perf_counter()))
    finally:
        leaving.set()
        ticker.join()
    return _seen(np.array(moments), spans)


def _seen(moments: NDArray[np.float64], spans: list[tuple[float, float]]) -> Watched:
    ticks, silences = [], []
    for begin, end in spans:
        inside = moments[(moments > begin) & (moments < end)]
        ticks.append(int(np.count_nonzero(inside < (begin + end) / 2)))
        silences.append(float(np.diff([begin, *inside, end]).max()) / (end - begin))
    lengths = [end - begin for begin, end in spans]
    return Watched(tuple(ticks), float(np.median(silences)), float(np.median(lengths)))


def giving() -> dict[str, Call]:
    """Calls that give the lock back; 20 ms and more each, as all here."""
    rng = np.random.default_rng(1)
    block, numbers = rng.bytes(30_000_000), rng.random(1_000_000)
    return {
        "hashlib.sha256 of 30 MB": lambda: hashlib.sha256(block).digest(),
        "zlib.compress": lambda: zlib.compress(block[:2_000_000]),
        "numpy.sort": lambda: np.sort(numbers),
    }


def keeping() -> dict[str, Call]:
    """Calls that keep it."""
    some = np.random.default_rng(2).random(300_000).tolist()
    rows = [{"id": number, "name": f"product {number}"} for number in range(60_000)]
    hopeless = re.compile("(a+)+b")
    return {
        "json.dumps": lambda: json.dumps(rows),
        "sorted": lambda: sorted(some),
        "sum": lambda: sum(range(3_000_000)),
        "a regex that backtracks": lambda: hopeless.match("a" * 21),
    }


def loop() -> int:
    """Python code: it gives the lock away when it has been asked for it for 5 ms."""
    total = 0
    for number in range(1_000_000):
        total += number
    return total
