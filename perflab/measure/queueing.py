"""What queueing theory says exactly, and what it says on average."""

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perflab.errors import require


def response_times(gaps: ArrayLike, service: ArrayLike) -> NDArray[np.float64]:
    """Response time of each request at one server, first come, first served; in seconds.

    `gaps[i]` is the time from arrival i − 1 to arrival i, `service[i]` what request i takes. The
    recursion is Lindley's («The theory of queues with a single server», 1952): a request waits
    for what the one before it still had to wait and to work, less the gap between the two.

    Unrolled, the wait is a random walk less its running minimum, which needs no loop.
    """
    gaps, service = _floats("gaps", gaps), _floats("service", service)
    same = gaps.ndim == 1 and gaps.shape == service.shape and len(gaps) > 0
    require(same, "gaps", gaps.shape, f"an array as long as service, {service.shape}, not empty")
    for name, times in (("gaps", gaps), ("service", service)):
        good = bool(np.all((times >= 0) & np.isfinite(times)))
        require(good, name, times, "finite and at least 0 everywhere")
    walk = np.concatenate([[0.0], np.cumsum(service[:-1] - gaps[1:])])
    found: NDArray[np.float64] = walk - np.minimum.accumulate(walk) + service
    return found


def _floats(name: str, given: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.asarray(given, float)
    except (TypeError, ValueError, OverflowError):  # no numbers, or none that a float holds
        require(False, name, given, "an array of numbers")
        raise


def mm1_response_time(rate: float, service_time: float) -> float:
    """Mean response time at one server, Poisson arrivals, exponential service: S ÷ (1 − ρ).

    `rate` in requests a second and `service_time` in seconds, or any unit of time for both.
    ValueError for a utilisation ρ = rate × service_time of 1 or more: the queue grows for ever.
    """
    for name, value in (("rate", rate), ("service_time", service_time)):
        good = isinstance(value, int | float | np.integer) and not isinstance(value, bool)
        good = good and 0 <= value <= sys.float_info.max
        require(good, name, value, "a finite number, at least 0")
    utilisation = rate * service_time
    require(0 <= utilisation < 1, "utilisation", utilisation, "at least 0 and below 1")
    return service_time / (1 - utilisation)


@dataclass(frozen=True)
class InFlight:
    """How many were there at a time: `count[i]` from `time_ns[i]` until `time_ns[i + 1]`."""

    time_ns: NDArray[np.int64]
    count: NDArray[np.int64]

    @property
    def area_ns(self) -> int:
        """Requests × nanoseconds: the integral of the count over the whole trace, exact."""
        return int((self.count[:-1] * np.diff(self.time_ns)).sum())

    @property
    def mean(self) -> float:
        """How many were there on average, from the first coming to the last going; nan where both
        are the same moment."""
        span = int(self.time_ns[-1] - self.time_ns[0])
        return self.area_ns / span if span else math.nan

    def at(self, time_ns: ArrayLike) -> NDArray[np.int64]:
        """How many were there at these times; 0 before the first and after the last."""
        times = np.asarray(time_ns)
        usable = times.dtype.kind in "iu" or times.size == 0
        require(usable, "time_ns", times.dtype, "integers: nanoseconds")
        index = np.searchsorted(self.time_ns, times.astype(np.int64), side="right")
        return np.concatenate([[0], self.count])[index]


def in_flight(start_ns: ArrayLike, end_ns: ArrayLike) -> InFlight:
    """Count who is there at each moment, from when each came and went (integer nanoseconds).

    It looks at comings and goings only, never at how long a request stayed: so Little's law,
    which says that the mean count is arrival rate × mean stay, can be tried on the result.
    """
    start, end = np.asarray(start_ns), np.asarray(end_ns)
    same = start.ndim == 1 and start.shape == end.shape and len(start) > 0
    require(same, "start_ns", start.shape, f"an array as long as end_ns, {end.shape}, not empty")
    for name, times in (("start_ns", start), ("end_ns", end)):
        require(times.dtype.kind in "iu", name, times.dtype, "integers: nanoseconds")
    start, end = start.astype(np.int64), end.astype(np.int64)
    require(bool(np.all(end >= start)), "end_ns", end, "never before start_ns")
    times = np.unique(np.concatenate([start, end]))
    came = np.searchsorted(np.sort(start), times, side="right")
    gone = np.searchsorted(np.sort(end), times, side="right")
    return InFlight(times, came - gone)
