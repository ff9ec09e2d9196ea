"""Log-linear buckets: as Gil Tene's HdrHistogram (hdrhistogram.org) lays them out."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perflab.errors import is_number, require


@dataclass(frozen=True, slots=True)
class Buckets:
    """Which bucket a latency belongs to, and what a bucket stands for.

    Bucket 0 takes [0, lowest), the last one, `overflow`, everything above `highest`. Between them
    each octave, from lowest·2^k to lowest·2^(k+1), is cut into `cuts` buckets of the same width.
    """

    lowest: float
    highest: float
    cuts: int
    overflow: int

    @staticmethod
    def covering(lowest: float, highest: float, precision: float) -> "Buckets":
        for name, value in (("lowest", lowest), ("highest", highest), ("precision", precision)):
            require(is_number(value), name, value, "a number")
        require(1e-12 <= lowest < math.inf, "lowest", lowest, "at least 1e-12 s")
        require(2 * lowest <= highest < 1e9, "highest", highest, "from 2·lowest to a billion s")
        require(0.0001 <= precision <= 0.3, "precision", precision, "from 0.0001 to 0.3")
        # A bucket [a, b) stands for 2ab/(a+b), which is off by (b−a)/(b+a) at either end: at most
        # 1/(2·cuts + 1), in the first bucket of an octave. Below the precision and not at it, so
        # that the last bit of a float does not break the promise.
        cuts = math.floor((1 / precision - 1) / 2) + 1
        unbounded = Buckets(float(lowest), float(highest), cuts, 0)
        last = int(unbounded.places(np.array([highest]), highest, highest)[0])
        return replace(unbounded, overflow=last + 1)

    def places(
        self, samples: NDArray[np.float64], shortest: float, longest: float
    ) -> NDArray[np.int32]:
        """Return the bucket of each sample; `shortest` and `longest` are their range."""
        within = samples if longest <= self.highest else np.minimum(samples, self.highest)
        # A latency is mantissa·2^exponent·lowest with the mantissa from 1/2 up to 1.
        mantissa, exponent = np.frexp(within / self.lowest)
        mantissa *= 2 * self.cuts
        place = mantissa.astype(np.int32)
        exponent -= 2
        exponent *= self.cuts
        place += exponent
        place += 1
        if shortest < self.lowest:
            np.maximum(place, 0, out=place)
        if longest > self.highest:
            place[samples > self.highest] = self.overflow
        return place

    def edges(self, place: int) -> tuple[float, float]:
        """Return the latencies where a bucket begins and ends."""
        if place == 0:
            return 0.0, self.lowest
        if place == self.overflow:
            return self.highest, math.inf
        octave, cut = divmod(place - 1, self.cuts)
        start, width = self.lowest * 2**octave, self.lowest * 2**octave / self.cuts
        return start + cut * width, min(start + (cut + 1) * width, self.highest)

    def middle(self, place: int) -> float:
        """Return the latency that a bucket stands for: equally far, in ratio, from both ends."""
        lower, upper = self.edges(place)
        if place == 0 or place == self.overflow:
            return upper / 2
        return 2 * lower * upper / (lower + upper)
