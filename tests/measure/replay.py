"""A recorded machine to replay: what consecutive calls of one function took, call after call.

`quiet_trace.npy` and `busy_trace.npy` hold 16,384 consecutive timings each, in seconds, of a sum
that takes half a millisecond; the first on an idle machine with two cores, the second on the same
machine beside tests/busy.py. `python tests/benchmarks/compare.py record busy` makes one.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


class Replay:
    """A clock that moves along a trace, one entry a call; call the object to read it.

    State: the time, and how many entries were used.
    """

    def __init__(self, trace: str, start: int = 0) -> None:
        recorded = np.load(HERE / f"{trace}_trace.npy").astype(np.float64)
        self._work = float(np.percentile(recorded, 5))  # what a call takes when nobody interferes
        self._entries = np.roll(recorded, -start).tolist()
        self._used = 0
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def variant(self, extra: float = 0.0) -> Callable[[], None]:
        """A function with `extra` more work: 0.1 for 10 %. Interruptions are not stretched."""
        added = extra * self._work

        def call() -> None:
            self.now += self._entries[self._used % len(self._entries)] + added
            self._used += 1

        return call
