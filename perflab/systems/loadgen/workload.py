"""What load is asked for: closed workloads (users), open ones (arrivals), schedules.

Everything here is decided before the first byte is sent and depends on its arguments and a seed
alone. Terms: Schroeder, Wierman, Harchol-Balter, «Open Versus Closed: A Cautionary Tale» (2006).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perflab.errors import require

MOST_REQUESTS = 20_000_000  # a schedule of this length is 160 MB of start times
Floats = NDArray[np.float64]


def number(name: str, value: object, low: float, high: float) -> float:
    """`value` as a float if it is a real number within low … high; else ValueError naming it."""
    allowed = f"a number from {low:g} to {high:g}"
    real = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    require(real and low <= value <= high, name, value, allowed)  # type: ignore[operator]  # `real` guards it; NaN fails the comparison
    return float(value)  # type: ignore[arg-type]  # guarded above


def whole(name: str, value: object, low: int, high: int) -> int:
    """`value` as an int if it is a whole number within low … high; else ValueError naming it."""
    result = number(name, value, low, high)
    require(result == int(result), name, value, "a whole number")
    return int(result)


@dataclass(frozen=True)
class Closed:
    """A fixed number of users: each sends, waits for the answer, thinks, and sends again.

    The rate follows from the server's speed. Ends after `duration` seconds (3 if nothing is said),
    or when `requests` have been sent, whichever comes first. `think_time` in seconds.
    """

    users: int = 64
    duration: float | None = None
    requests: int | None = None
    think_time: float = 0.0

    def __post_init__(self) -> None:
        if self.duration is None and self.requests is None:
            object.__setattr__(self, "duration", 3.0)
        whole("users", self.users, 1, 20_000)
        number("think_time", self.think_time, 0, 3600)
        if self.duration is not None:
            number("duration", self.duration, 0.001, 86_400)
        if self.requests is not None:
            whole("requests", self.requests, 1, MOST_REQUESTS)


@dataclass(frozen=True, eq=False)
class Open:
    """Requests arrive by their own clock, whether earlier ones have been answered or not.

    `arrivals` is "constant" (evenly spaced), "poisson" (independent of each other, so that their
    number varies from run to run with the seed), or an array of the intended start times
    themselves, in seconds from 0, ascending; then `rate` is left out. Rate in requests a second.
    """

    rate: float | None = None
    duration: float | None = None
    arrivals: str | ArrayLike = "constant"

    def __post_init__(self) -> None:
        if self.duration is not None:
            number("duration", self.duration, 0.001, 86_400)
        if isinstance(self.arrivals, str):
            require(self.arrivals in ("constant", "poisson"), "arrivals", self.arrivals,
                    '"constant", "poisson" or an array of start times')  # fmt: skip
            rate = number("rate", self.rate, 0.001, 1_000_000)
            object.__setattr__(self, "duration", 3.0 if self.duration is None else self.duration)
            require(rate * float(self.duration or 0) <= MOST_REQUESTS, "rate", self.rate,
                    f"so that rate × duration is at most {MOST_REQUESTS:,} requests")  # fmt: skip
        else:
            self._take_schedule()

    def _take_schedule(self) -> None:
        require(self.rate is None, "rate", self.rate, "left out where arrivals are start times")
        try:
            times = np.array(self.arrivals, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):  # no numbers, or none that a float holds
            times = np.empty(0)
        shown = f"{times.size} start times"
        require(times.ndim == 1 and 0 < times.size <= MOST_REQUESTS, "arrivals", shown,
                f"a sequence of 1 to {MOST_REQUESTS:,} start times")  # fmt: skip
        good = np.isfinite(times).all() and times[0] >= 0 and (np.diff(times) >= 0).all()
        require(bool(good), "arrivals", shown, "finite, from 0 on, ascending")
        last = float(times[-1])
        if self.duration is None:
            object.__setattr__(self, "duration", max(last, 0.001))
        require(last <= float(self.duration or 0) <= 86_400, "duration", self.duration,
                f"at least the last start time, {last:g}, and at most 86400")  # fmt: skip
        times.flags.writeable = False
        object.__setattr__(self, "arrivals", times)

    def schedule(self, seed: int = 1) -> Floats:
        """The intended start times, in seconds, ascending; the same for the same seed."""
        if not isinstance(self.arrivals, str):
            return np.asarray(self.arrivals, dtype=np.float64)
        assert self.rate is not None
        assert self.duration is not None
        return arrival_times([(self.rate, self.rate, self.duration)], self.arrivals, seed)


Workload = Closed | Open


def arrival_times(
    stages: Sequence[tuple[float, float, float]], arrivals: str = "constant", seed: int = 1
) -> Floats:
    """Start times for a rate that moves in straight lines: stages of (from, to, seconds).

    `[(100, 100, 2), (400, 400, 2)]` is a step, `[(0, 500, 10)]` a ramp. The k-th request starts
    where the expected number of arrivals reaches k (constant), or the k-th point of a Poisson
    process of rate 1 (Çinlar's inversion; Lewis and Shedler 1979, section 1).
    """
    whole("seed", seed, 0, 1 << 62)
    known = isinstance(arrivals, str) and arrivals in ("constant", "poisson")
    require(known, "arrivals", arrivals, '"constant" or "poisson"')
    bounds, base = [0.0], 0.0
    several = isinstance(stages, list | tuple)
    require(several, "stages", stages, "a list of (from, to, seconds)")
    for stage in stages:
        require(_is_stage(stage), "stages", stage, "(from, to, seconds), none of them below 0")
    for first, last, seconds in stages:
        bounds.append(bounds[-1] + (first + last) / 2 * seconds)
    total = bounds[-1]
    require(0 < total <= MOST_REQUESTS, "stages", f"{total:g} requests", f"≤ {MOST_REQUESTS:,}")
    counts = _counts(total, arrivals, seed)
    times = np.empty_like(counts)
    for (first, last, seconds), low, high in zip(stages, bounds, bounds[1:], strict=False):
        inside = (counts >= low) & (counts < high)
        times[inside] = base + _invert(counts[inside] - low, first, last, seconds)
        base += seconds
    return times


def _is_stage(stage: Any) -> bool:
    numbers = isinstance(stage, list | tuple) and len(stage) == 3
    numbers = numbers and all(isinstance(one, int | float) and 0 <= one <= 1e9 for one in stage)
    return bool(numbers and stage[2] > 0)


def _counts(total: float, arrivals: str, seed: int) -> Floats:
    if arrivals == "constant":
        return np.arange(math.ceil(total - 1e-9), dtype=np.float64)  # 0.1 × 30 is 3 requests
    rng, gaps = np.random.default_rng(seed), int(total + 10 * math.sqrt(total) + 20)
    points: Floats = np.cumsum(rng.exponential(size=gaps))
    return points[points < total]


def _invert(count: Floats, first: float, last: float, seconds: float) -> Floats:
    """When the integral of a rate that goes from `first` to `last` reaches `count`."""
    slope = (last - first) / seconds
    if abs(slope) < 1e-12:
        return count / first
    root = np.sqrt(np.maximum(first * first + 2 * slope * count, 0.0))
    times: Floats = 2 * count / np.maximum(first + root, 1e-300)  # no cancellation, no 0 / slope
    return times
