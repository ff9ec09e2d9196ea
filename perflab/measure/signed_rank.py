"""The Hodges–Lehmann estimate of a shift and its exact interval, from paired differences.

J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests", Annals of Mathematical
Statistics 34 (1963); M. Hollander and D. A. Wolfe, "Nonparametric Statistical Methods", section 3.
The only assumption is that each difference lies as likely above the true shift as below it, at any
distance: no normal law, no equal variance, no resampling. One wild value moves nothing.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require

EXACT_UP_TO = 150  # beyond, the normal law is within 0.3 % of the rank, on the safe side


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift and its interval, in the differences' unit; infinite where too few are given."""

    estimate: float
    low: float
    high: float


def hodges_lehmann(differences: NDArray[np.float64], level: float) -> Shift:
    """Estimate the shift of `differences` (one axis, n ≥ 1) with an interval at error `level`.

    The estimate is the median of the n(n+1)/2 Walsh averages (dᵢ + dⱼ)/2, i ≤ j; the interval lies
    between the k-th smallest and the k-th largest, k from the signed-rank distribution. It misses
    the true shift with a probability of at most `level`; ties only make it wider.
    """
    require(0 < level < 1, "level", level, "between 0 and 1")
    n = len(differences)
    require(n >= 1, "differences", differences, "one at least")
    ordered = np.sort(differences)
    pairs = n * (n + 1) // 2
    middle = (_walsh(ordered, (pairs + 1) // 2) + _walsh(ordered, pairs // 2 + 1)) / 2
    rank = interval_rank(n, level)
    if rank == 0:
        return Shift(middle, -math.inf, math.inf)
    return Shift(middle, _walsh(ordered, rank), _walsh(ordered, pairs + 1 - rank))


def _walsh(ordered: NDArray[np.float64], k: int) -> float:
    """The k-th smallest Walsh average, by halving the range it lies in: all n²/2 are never made."""
    low, high = float(ordered[0]), float(ordered[-1])
    while low < (middle := (low + high) / 2) < high:
        partners = np.searchsorted(ordered, 2 * middle - ordered, side="right")
        alone = np.searchsorted(ordered, middle, side="right")
        if (partners.sum() + alone) // 2 >= k:
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=4096)
def interval_rank(n: int, level: float) -> int:
    """The k of the interval for n differences; 0 where n is too small for this level."""
    if n <= EXACT_UP_TO:
        cumulated = np.cumsum(_null_distribution(n))
        return int(np.searchsorted(cumulated, level / 2, side="right"))
    mean = n * (n + 1) / 4
    deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return math.floor(mean + NormalDist().inv_cdf(level / 2) * deviation + 0.5)


@lru_cache(maxsize=256)
def _null_distribution(n: int) -> NDArray[np.float64]:
    """P(the positive ranks among 1 … n add up to t), t = 0 … n(n+1)/2, signs by fair coins."""
    law = np.ones(1)
    for rank in range(1, n + 1):
        longer = np.zeros(len(law) + rank)
        longer[: len(law)] += law / 2
        longer[rank:] += law / 2
        law = longer
    return law
