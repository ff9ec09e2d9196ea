"""A latency histogram of constant size whose percentiles are right to within one per cent.

The buckets are those of Gil Tene's HdrHistogram (hdrhistogram.org): each doubling of the latency
is cut into the same number of equally wide buckets, so the error relative to the latency is the
same from a microsecond to an hour. Unlike averages of percentiles, histograms add up: that of an
hour is the sum of its minutes'.

Recording is one append to a list. The list is counted into the buckets, with numpy and many
samples at a time, when it is full or somebody asks.
"""

import math
import struct
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perflab.errors import is_number, require
from perflab.measure.buckets import Buckets
from perflab.measure.percentiles import as_latencies, ranks_of

if TYPE_CHECKING:
    import pandas as pd

PENDING = 4_096  # samples not yet counted, at most and one for each thread: some 128 kB
CHUNK = 4_096  # samples counted at a time: what numpy makes of them stays in the cache


class LatencyHistogram:
    """Counts latencies in seconds; safe to record, merge and query from several threads.

    `lowest` is the shortest latency told apart from 0, `highest` the longest that has a bucket,
    and `precision` the largest relative error of a reported latency between them (0.01: 1 %).

    State, guarded by `_lock`: the counts of the buckets, the exact minimum, maximum and sum of the
    counted samples. Beside it `_pending`, samples recorded but not yet counted: anyone appends to
    its end, only the holder of `_lock` takes from its front.
    """

    def __init__(
        self, lowest: float = 1e-6, highest: float = 3600.0, precision: float = 0.01
    ) -> None:
        self._buckets = Buckets.covering(lowest, highest, precision)
        self._lock = threading.Lock()
        self._pending: list[float] = []
        self._counts = np.zeros(self._buckets.overflow + 1, dtype=np.int64)
        self._min = math.inf
        self._max = -math.inf
        self._sum = 0.0
        if not _gil_enabled():
            self.record = self._record_locked  # type: ignore[method-assign]  # chosen once, not per call

    def record(self, seconds: float) -> None:
        """Count one latency. ValueError, and nothing counted, where it is negative or no number."""
        # The append is one operation under the GIL, and to this very list always: were the list
        # swapped for a new one, a thread that had just fetched the old one would lose its sample.
        pending = self._pending
        if type(seconds) is float and seconds >= 0.0:
            pending.append(seconds)
        else:
            pending.append(_checked(seconds))
        if len(pending) >= PENDING:
            self._flush()

    def record_many(self, seconds: ArrayLike) -> None:
        """Count an array of latencies; ValueError, and none of them counted, where one is bad."""
        samples = as_latencies(seconds, "seconds", finite=False)
        with self._lock:
            self._count(samples)

    def merge(self, other: "LatencyHistogram") -> None:
        """Add everything `other` holds to this histogram, exactly; `other` stays as it is.

        ValueError where the two have different buckets.
        """
        same = isinstance(other, LatencyHistogram) and other._buckets == self._buckets
        require(same, "other", other, "a histogram with the same lowest, highest and precision")
        # One lock after the other, never both: two that merge each other would wait for ever.
        with other._lock:
            other._count_pending()
            counts, low, high, total = other._counts.copy(), other._min, other._max, other._sum
        with self._lock:
            self._add(counts, low, high, total)

    def percentile(self, p: float, *, estimate: bool = False) -> float:
        """Return the p-th percentile (0–100, nearest rank) in seconds, within `precision`.

        Raises TooFewSamplesError from fewer than 10/(1 − p/100) samples unless `estimate=True`.
        """
        return self._percentiles((p,), estimate)[0]

    def percentiles(self, ps: Sequence[float], *, estimate: bool = False) -> tuple[float, ...]:
        """Return several percentiles, all of the same moment, in the order of `ps`.

        The first and the last rank are exact. A percentile among latencies above `highest` is
        reported as the maximum, with a RuntimeWarning.
        """
        return self._percentiles(ps, estimate)

    @property
    def count(self) -> int:
        """Latencies recorded."""
        with self._lock:
            self._count_pending()
            return int(self._counts.sum())

    @property
    def overflow(self) -> int:
        """How many of them lie above `highest`."""
        with self._lock:
            self._count_pending()
            return int(self._counts[-1])

    @property
    def min(self) -> float:
        """The shortest latency, exact; NaN where none was recorded."""
        with self._lock:
            self._count_pending()
            return self._min if self._min <= self._max else math.nan

    @property
    def max(self) -> float:
        """The longest latency, exact; NaN where none was recorded."""
        with self._lock:
            self._count_pending()
            return self._max if self._min <= self._max else math.nan

    @property
    def mean(self) -> float:
        """The mean latency, of the samples and not of the buckets; NaN where none was recorded."""
        with self._lock:
            self._count_pending()
            n = int(self._counts.sum())
            return self._sum / n if n else math.nan

    @property
    def nbytes(self) -> int:
        """Bytes of the counts; samples not yet counted take some 128 kB more at most."""
        return self._counts.nbytes

    def to_frame(self) -> "pd.DataFrame":
        """Return the buckets that hold something: `lower`, `upper` in s, `count`, and `share`.

        A bucket takes latencies from `lower` up to but without `upper`; `share` is the part of all
        samples up to there, from 0 to 1. The last row's `upper` is infinite where samples lie above
        `highest`.
        """
        import pandas as pd

        with self._lock:
            self._count_pending()
            counts = self._counts.copy()
        used = np.flatnonzero(counts)
        edges = [self._buckets.edges(place) for place in used.tolist()]
        return pd.DataFrame(
            {
                "lower": np.array([lower for lower, _ in edges], dtype=float),
                "upper": np.array([upper for _, upper in edges], dtype=float),
                "count": counts[used],
                "share": counts[used].cumsum() / max(1, counts.sum()),
            }
        )

    def _record_locked(self, seconds: float) -> None:
        """`record` where the interpreter runs without the GIL."""
        checked = _checked(seconds)
        with self._lock:
            self._pending.append(checked)
            if len(self._pending) >= PENDING:
                self._count_pending()

    def _flush(self) -> None:
        with self._lock:
            self._count_pending()

    def _count_pending(self) -> None:
        """Count what is pending now; `_lock` is held. Others may append while this runs."""
        n = len(self._pending)
        if n:
            # struct makes an array of a list of floats in half of numpy's time.
            self._count(np.frombuffer(struct.pack(f"{n}d", *self._pending[:n])))
            del self._pending[:n]  # one operation too; what came after n moves to the front

    def _count(self, samples: NDArray[np.float64]) -> None:
        """Count checked samples; `_lock` is held."""
        for start in range(0, len(samples), CHUNK):
            part = samples[start : start + CHUNK]
            low, high = float(part.min()), float(part.max())
            places = self._buckets.places(part, low, high)
            counts = np.bincount(places, minlength=len(self._counts))
            self._add(counts, low, high, float(part.sum()))

    def _add(self, counts: NDArray[np.int64], low: float, high: float, total: float) -> None:
        self._counts += counts
        self._min = min(self._min, low)
        self._max = max(self._max, high)
        self._sum += total

    def _percentiles(self, ps: Sequence[float], estimate: bool) -> tuple[float, ...]:
        with self._lock:
            self._count_pending()
            up_to = self._counts.cumsum()
            low, high = self._min, self._max
        n = int(up_to[-1])
        ranks = ranks_of(ps, n, estimate)
        places = up_to.searchsorted(ranks).tolist()
        if self._buckets.overflow in places:
            self._warn_of_overflow(n - int(up_to[-2]), n)
        exact = {1: low, n: high}
        return tuple(
            exact[rank] if rank in exact else min(max(self._buckets.middle(place), low), high)
            for rank, place in zip(ranks, places, strict=True)
        )

    def _warn_of_overflow(self, above: int, n: int) -> None:
        if above > 1:  # the only one is the maximum, which is known exactly
            warnings.warn(
                f"{above:,} of {n:,} latencies lie above highest={self._buckets.highest:g} s; a "
                "percentile among them is reported as the maximum",
                RuntimeWarning,
                stacklevel=4,  # the line that asked
            )


def _checked(seconds: float) -> float:
    """Return a latency as a float, or refuse it."""
    require(is_number(seconds), "seconds", seconds, "a number, at least 0")
    require(seconds >= 0, "seconds", seconds, "a number, at least 0")
    try:
        return float(seconds)
    except OverflowError:  # a whole number larger than any float
        return math.inf


def _gil_enabled() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())
