"""What is known of a run while it goes on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perflab.systems.loadgen.wire import READING_FIELDS, SAMPLE_FIELDS
from perflab.systems.loadgen.workload import Closed, Workload

SAMPLE_TYPE = np.dtype(SAMPLE_FIELDS)
READING_TYPE = np.dtype(READING_FIELDS)
Records = NDArray[np.void]


@dataclass(frozen=True)
class Progress:
    """A run so far. What is said of the last interval is since the report before this one."""

    elapsed: float  # seconds since the measurement began; negative in the warm-up
    fraction: float  # of the run, warm-up included, 0 … 1
    requests: int  # ended so far, errors included
    errors: int  # so far
    rate: float  # successes a second in the last interval
    p50: float  # response time in the last interval, seconds; nan without a success
    p99: float
    server_rss: float  # bytes; nan where it is not known
    tester_rss: float


class Tracker:
    """Gathers what the engine sends.

    State: the packed samples and readings so far; where the last report ended.
    """

    def __init__(self, workload: Workload, warm_up: float) -> None:
        self._workload, self._warm_up = workload, warm_up
        self._samples, self._readings = bytearray(), bytearray()
        self._errors = self._reported = 0
        self._reported_at = -warm_up

    def add_samples(self, packed: bytes) -> None:
        self._samples += packed
        self._errors += int(np.count_nonzero(np.frombuffer(packed, SAMPLE_TYPE)["error"]))

    def add_readings(self, packed: bytes) -> None:
        self._readings += packed

    def samples(self) -> Records:
        """All samples in the order of their intended start, then of their start.

        Sorted where they lie, since a million are 50 MB: as plain bytes, which sort as their
        numbers do where these are not negative and begin with the highest byte.
        """
        samples: Records = np.frombuffer(self._samples, SAMPLE_TYPE)
        keys = [samples[name] for name in ("intended_start", "start")]
        for key in keys:
            key += 0.0  # -0.0, where a closed run without a warm-up begins, has a sign
            key.byteswap(inplace=True)
        samples.view(f"S{SAMPLE_TYPE.itemsize}").sort()
        for key in keys:
            key.byteswap(inplace=True)
        samples.flags.writeable = False
        return samples

    def readings(self) -> Records:
        readings: Records = np.frombuffer(self._readings, READING_TYPE)
        for name in READING_TYPE.names or ():
            readings[name][readings[name] == -1] = np.nan
        readings.flags.writeable = False
        return readings

    def progress(self, over: bool = False) -> Progress:
        """The report up to the last reading; the next one's interval begins here."""
        size = SAMPLE_TYPE.itemsize
        fresh = np.frombuffer(self._samples[self._reported * size :], SAMPLE_TYPE)
        last = np.frombuffer(self._readings[-READING_TYPE.itemsize :], READING_TYPE)
        elapsed = float(last["time"][0]) if last.size else -self._warm_up
        good = fresh[fresh["error"] == 0]
        p50, p99 = np.nan, np.nan
        if good.size:
            times = good["end"] - good["intended_start"]
            p50, p99 = np.percentile(times, (50, 99), method="inverted_cdf")
        seconds = elapsed - self._reported_at
        self._reported += fresh.size
        self._reported_at = elapsed
        return Progress(
            elapsed=elapsed,
            fraction=1.0 if over else self._fraction(elapsed),
            requests=self._reported,
            errors=self._errors,
            rate=good.size / seconds if seconds > 0 else np.nan,
            p50=float(p50),
            p99=float(p99),
            server_rss=_known(last, "server_rss"),
            tester_rss=_known(last, "tester_rss"),
        )

    def _fraction(self, elapsed: float) -> float:
        parts = [0.0]
        if self._workload.duration:
            parts.append((elapsed + self._warm_up) / (self._workload.duration + self._warm_up))
        if isinstance(self._workload, Closed) and self._workload.requests:
            parts.append(self._reported / self._workload.requests)
        return min(max(parts), 1.0)


def _known(reading: Records, name: str) -> float:
    return float(reading[name][0]) if reading.size and reading[name][0] >= 0 else np.nan
