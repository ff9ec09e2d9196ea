"""Main effects and interactions of a full factorial experiment, on a logarithmic scale.

Every fix is on or off, and every combination was tried on the same visits. What is compared is the
time that a combination takes on average, put together from the median of the visits whose page the
cache knows and the median of the others; a fix's *gain* is how many times as fast it makes that.
The intervals come from a bootstrap over visits of either kind: what is drawn again and again is a
visit with all its ways.

Source: Box, Hunter and Hunter, «Statistics for Experimenters» (2005), chapter 5; the bootstrap of
whole blocks as in Efron and Tibshirani, «An Introduction to the Bootstrap» (1993).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require

Floats = NDArray[np.float64]
DRAWS = 2_000


@dataclass(frozen=True)
class Effect:
    """How many times as fast, with the middle 95 % of what the bootstrap says."""

    gain: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.gain:.2f}× ({self.low:.2f}–{self.high:.2f})"


class Factorial:
    """A full factorial: `seconds` has a row for each visit and a column for each of `subsets`.

    `known` says of which visits the cache had the page, where it is used; `ratio` is the share of
    such visits in the traffic that is spoken of.

    State: for each draw of the bootstrap, the first of them the data as they are, the logarithm
    of each subset's time. ValueError where a subset is missing or a time is not above 0.
    """

    def __init__(
        self, seconds: Floats, subsets: Sequence[str], known: NDArray[np.bool_], ratio: float,
        seed: int = 1,
    ) -> None:  # fmt: skip
        self.fixes = max(subsets, key=len)
        self._at = {frozenset(use): column for column, use in enumerate(subsets)}
        complete = len(self._at) == len(subsets) == 2 ** len(self.fixes)
        require(complete, "subsets", list(subsets), "every subset once")
        shaped = seconds.ndim == 2 and seconds.shape == (len(known), len(subsets))
        require(shaped, "seconds", seconds.shape, f"visits × {len(subsets)}")
        require(bool(np.all(seconds > 0)), "seconds", seconds.min(), "above 0 everywhere")
        require(0 <= ratio <= 1, "ratio", ratio, "from 0 to 1")
        rng = np.random.default_rng(seed)
        middles = (_medians(seconds[part], rng) for part in (known, ~known))
        self._logs = np.log(ratio * next(middles) + (1 - ratio) * next(middles))

    def time(self, use: str) -> float:
        """The time with these fixes, in seconds."""
        return float(np.exp(self._log(use)[0]))

    def gain(self, fix: str, given: str = "") -> Effect:
        """What one more fix brings where these are there already."""
        return _effect(self._log(given) - self._log(given + fix))

    def main(self, fix: str, already: int | None = None) -> Effect:
        """What a fix brings on average over all combinations of the others; with `already`, of
        those alone that hold so many of them."""
        others = self.fixes.replace(fix, "")
        sizes = range(len(others) + 1) if already is None else [already]
        given = ["".join(some) for size in sizes for some in combinations(others, size)]
        return _effect(np.mean([self._log(g) - self._log(g + fix) for g in given], axis=0))

    def shortfall(self, one: str, other: str) -> Effect:
        """By how much two fixes together miss the product of what each brings without the other,
        on average over the rest: 1 where they are independent, more where one takes what the
        other would have brought, less where one makes room for the other."""
        rest = self.fixes.replace(one, "").replace(other, "")
        given = [
            "".join(some) for size in range(len(rest) + 1) for some in combinations(rest, size)
        ]
        return _effect(
            np.mean(
                [
                    self._log(g) + self._log(g + one + other)
                    - self._log(g + one) - self._log(g + other)
                    for g in given
                ],
                axis=0,
            )
        )  # fmt: skip

    def _log(self, use: str) -> Floats:
        logs: Floats = self._logs[:, self._at[frozenset(use)]]
        return logs


def _medians(seconds: Floats, rng: np.random.Generator) -> Floats:
    """The median of each column, of the rows as they are and then of rows drawn from them."""
    require(len(seconds) > 0, "known", len(seconds), "some visits of either kind")
    drawn = rng.integers(len(seconds), size=(DRAWS, len(seconds)))
    drawn[0] = np.arange(len(seconds))
    medians: Floats = np.median(seconds[drawn], axis=1)
    return medians


def _effect(logs: Floats) -> Effect:
    gains = np.exp(logs)
    low, high = np.percentile(gains, [2.5, 97.5])
    return Effect(float(gains[0]), float(low), float(high))
