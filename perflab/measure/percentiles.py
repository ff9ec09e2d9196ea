"""Percentiles of latency samples: nearest rank in whole numbers, and how far to trust them.

The p-th percentile of n samples is the smallest sample that at least p % of them do not exceed: the
one at rank ⌈n·p/100⌉ in ascending order (definition 1 of Hyndman and Fan, "Sample Quantiles in
Statistical Packages", The American Statistician 50(4), 1996; numpy's method="inverted_cdf"). Ranks
are computed with fractions, not floats: `99.9 / 100 * 1000` is a little more than 999 as a float,
and rounding that up names the wrong sample.

A percentile far out rests on few samples: here at least ten have to lie beyond it, or the caller
says that an estimate will do.
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perflab.errors import TooFewSamplesError, is_number, require

BEYOND = 10  # samples that have to lie beyond a percentile before it is more than an estimate


def percentile(samples: ArrayLike, p: float, *, estimate: bool = False) -> float:
    """Return the p-th percentile (0–100, nearest rank) of `samples`, in their unit.

    Raises TooFewSamplesError where fewer than ten samples lie beyond it, that is from fewer than
    10/(1 − p/100) samples, unless `estimate=True` accepts that; ValueError where a sample is
    negative, infinite or not a number, or p is not in 0–100.
    """
    return percentiles(samples, (p,), estimate=estimate)[0]


def percentiles(
    samples: ArrayLike, ps: Sequence[float], *, estimate: bool = False
) -> tuple[float, ...]:
    """Return several percentiles of `samples` in the order of `ps`, sorting no more than once.

    Raises what `percentile` raises.
    """
    values = as_latencies(samples, "samples", finite=True)
    ranks = ranks_of(ps, len(values), estimate)
    if not ranks:
        return ()
    places = np.array(ranks) - 1
    # A partial sort: the samples at these places are what they would be in a sorted array.
    return tuple(np.partition(values, np.unique(places))[places].tolist())


def percentile_interval(
    samples: ArrayLike, p: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Return (low, high), two samples that enclose the true p-th percentile with `confidence`.

    Nothing is assumed about the distribution: the number of samples below the true percentile is
    binomial, so counting ranks is enough. Each end errs with at most half of 1 − `confidence`.
    Samples have to be independent; neighbours in a queue are not, and make the interval too narrow.

    Source: Hahn and Meeker, "Statistical Intervals" (1991), section 5.2; for computing, Le Boudec,
    "Performance Evaluation of Computer and Communication Systems" (2010), theorem 2.1.

    Raises TooFewSamplesError where even the smallest and the largest sample do not enclose it with
    that confidence; ValueError for bad samples, p outside 0–100 (its ends have no interval), and a
    confidence that is not between 0 and 1.
    """
    values = as_latencies(samples, "samples", finite=True)
    part, whole = as_ratio(p)
    require(0 < part < whole, "p", p, "more than 0 and less than 100")
    require(is_number(confidence), "confidence", confidence, "a number between 0 and 1")
    require(0 < confidence < 1, "confidence", confidence, "between 0 and 1, both excluded")
    low, high = _interval_ranks(len(values), part / whole, 1 - confidence)
    if low < 1 or high > len(values):
        raise TooFewSamplesError(_too_few_for_interval(len(values), p, confidence))
    ends = np.partition(values, [low - 1, high - 1])[[low - 1, high - 1]]
    return float(ends[0]), float(ends[1])


def ranks_of(ps: Sequence[float], n: int, estimate: bool) -> list[int]:
    """Return for each p the rank from 1 to n of its sample, having checked that n will do."""
    several = isinstance(ps, Iterable) and not isinstance(ps, str)
    require(several, "ps", ps, "a sequence of numbers from 0 to 100")
    ranks = []
    for p in ps:
        part, whole = as_ratio(p)
        if n == 0 or (n * (whole - part) < BEYOND * whole and not estimate):
            raise TooFewSamplesError(_too_few(n, p))
        ranks.append(max(1, -(-n * part // whole)))  # rounded up, in whole numbers
    return ranks


def as_ratio(p: float) -> tuple[int, int]:
    """Return p/100 as a fraction of p as it is written: 999/1000 for 99.9, which no float is."""
    if type(p) is not float:
        require(is_number(p), "p", p, "a number from 0 to 100")
    return _ratio(p)


@lru_cache(maxsize=256, typed=True)  # typed: a float32 and a float that are equal print differently
def _ratio(p: float) -> tuple[int, int]:
    require(0 <= p <= 100, "p", p, "a number from 0 to 100")
    return (Fraction(str(p)) / 100).as_integer_ratio()


def as_latencies(samples: ArrayLike, name: str, *, finite: bool) -> NDArray[np.float64]:
    """Return `samples` as a flat array of floats; refuse what cannot be a latency.

    Where `finite` is not asked for, infinity passes: it is what a request that never ended took.
    """
    allowed = "a finite number, at least 0" if finite else "a number, at least 0"
    try:
        given = np.asarray(samples)
    except ValueError:  # lists of different lengths
        given = np.empty((0, 0))
    require(given.ndim == 1, name, samples, "one-dimensional: an array of numbers")
    numeric = given.dtype.kind in "iuf" or given.size == 0
    require(numeric, name, samples, "numbers, at least 0")
    values = given.astype(np.float64, copy=False)
    good = (values >= 0) & (values < np.inf) if finite else values >= 0  # false for NaN too
    if not good.all():
        first = int(np.argmin(good))
        require(False, f"{name}[{first}]", float(values[first]), allowed)
    return values


def _interval_ranks(n: int, q: float, error: float) -> tuple[int, int]:
    """Return the ranks that enclose the q-quantile: 0 or n + 1 where no sample bounds it."""
    if n == 0:
        return 0, 1
    # Of n samples k lie at or below the quantile; its logarithm up to a constant, by recurrence.
    k = np.arange(n)
    steps = np.log((n - k) / (k + 1)) + math.log(q / (1 - q))
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    weights = np.exp(logs - logs.max())
    at_most = np.cumsum(weights) / weights.sum()  # P(K ≤ k)
    # low is wrong where K < low, high where K ≥ high.
    low = int(np.searchsorted(at_most, error / 2, side="right"))
    high = int(np.searchsorted(at_most, 1 - error / 2, side="left")) + 1
    return low, high


def _too_few(n: int, p: float) -> str:
    part, whole = as_ratio(p)
    if n == 0:
        return f"p{p:.10g} of no samples: record some first"
    if part == whole:
        return (
            f"p100 of {n:,} samples: no number of samples shows it; ask for the maximum, or pass "
            "estimate=True"
        )
    needed = -(-BEYOND * whole // (whole - part))
    furthest = (n - BEYOND) * 10_000 // n / 100  # rounded down to what a reader would write
    ask = f"ask for p{furthest:g} at most" if furthest > 0 else "ask for the samples themselves"
    return (
        f"p{p:.10g} of {n:,} samples: at least {needed:,} are needed, so that {BEYOND} lie "
        f"beyond it; record more, {ask}, or pass estimate=True"
    )


def _too_few_for_interval(n: int, p: float, confidence: float) -> str:
    part, whole = as_ratio(p)
    rarest = max(part, whole - part) / whole
    needed = max(n + 1, math.ceil(math.log((1 - confidence) / 2) / math.log(rarest)))
    return (
        f"an interval for p{p:.10g} with confidence {confidence:g} from {n:,} samples: at least "
        f"{needed:,} are needed; record more, or ask for less confidence or a percentile further in"
    )
