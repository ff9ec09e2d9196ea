"""What a load test measured: every request, both processes' memory, and where it was."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require
from perflab.measure.machine import Machine
from perflab.systems.loadgen.wire import ERRORS
from perflab.systems.loadgen.workload import Closed, Floats, Workload

if TYPE_CHECKING:
    import pandas as pd

    from perflab.systems.loadgen.comparing import LoadComparison
    from perflab.systems.loadgen.thresholds import Thresholds


@dataclass(frozen=True, eq=False, repr=False)
class LoadResult:
    """The record of one run. Arrays have an entry for each request sent, failed ones included,
    in the order of their intended start; times are seconds since `t0`.

    `response_time = end − intended_start` is what a user waits; it is `wait_time` (until the
    request could be sent) plus `service_time` (what the server and the way took). In a closed
    workload a request is intended when its user has finished thinking.

    `lateness` is the generator's own fault: from when a request was due and a connection was
    free to when it was sent. Waiting for a free connection is not in it, since the limit belongs
    to the test; that an answer lay unread while the generator was busy cannot be seen from here.
    """

    target: str
    paths: tuple[str, ...]
    workload: Workload
    settings: dict[str, Any]  # warm_up, timeout, connections, seed
    samples: NDArray[np.void]  # wire.SAMPLE_FIELDS
    readings: NDArray[np.void]  # wire.READING_FIELDS; nan where a process could not be read
    not_sent: int  # scheduled, but no connection was free until the end and `grace`
    t0: float  # the beginning of the measurement on this machine's time.perf_counter()
    machine: Machine

    @property
    def intended_start(self) -> Floats:
        return self.samples["intended_start"]

    @property
    def start(self) -> Floats:
        return self.samples["start"]

    @property
    def end(self) -> Floats:
        return self.samples["end"]

    @property
    def service_time(self) -> Floats:
        return self.end - self.start

    @property
    def wait_time(self) -> Floats:
        return self.start - self.intended_start

    @property
    def response_time(self) -> Floats:
        return self.end - self.intended_start

    @property
    def lateness(self) -> NDArray[np.float32]:
        return self.samples["lateness"]

    @property
    def connect_time(self) -> NDArray[np.float32]:
        """Seconds until the connection stood; 0 where an open one was used."""
        return self.samples["connect"]

    @property
    def tls_time(self) -> NDArray[np.float32]:
        """Seconds from the start until TLS stood, the connecting included; 0 where no handshake
        was made."""
        return self.samples["tls"]

    @property
    def first_byte_time(self) -> NDArray[np.float32]:
        """Seconds from the start to the first byte of the answer; 0 where none came."""
        return self.samples["first_byte"]

    @property
    def route(self) -> NDArray[np.uint16]:
        """Which of `paths` each request asked for, as an index."""
        return self.samples["route"]

    @property
    def status(self) -> NDArray[np.uint16]:
        return self.samples["status"]

    @property
    def bytes(self) -> NDArray[np.uint32]:
        return self.samples["bytes"]

    @property
    def error(self) -> NDArray[np.str_]:
        """The kind of failure of each request, "none" for a success."""
        kinds: NDArray[np.str_] = np.array(ERRORS)[self.samples["error"]]
        return kinds

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Successes: answered in full, with a status below 400."""
        good: NDArray[np.bool_] = self.samples["error"] == 0
        return good

    @property
    def errors(self) -> dict[str, int]:
        """How many requests failed, by kind; kinds that did not occur are left out."""
        counts = np.bincount(self.samples["error"], minlength=len(ERRORS))
        return {
            kind: int(n) for kind, n in zip(ERRORS, counts, strict=True) if n and kind != "none"
        }

    @property
    def connections_opened(self) -> int:
        return int(self.samples["connections"].sum())

    @property
    def window(self) -> float:
        """The seconds that throughput is counted over: the workload's duration, or, where a number
        of requests was asked for, until the last of them ended."""
        last = float(self.end.max()) if self.end.size else 0.0
        asked = self.workload.duration
        if isinstance(self.workload, Closed) and self.workload.requests is not None:
            return min(last, asked) if asked is not None else last
        return float(asked or 0.0)

    @property
    def throughput(self) -> float:
        """Successes a second that ended within the window."""
        good = np.count_nonzero(self.ok & (self.end <= self.window))
        return float(good / self.window) if self.window > 0 else 0.0

    def percentile(self, p: float, of: str = "response_time") -> float:
        """The p-th percentile (0–100, nearest rank) of the successes' `response_time`,
        `service_time`, `wait_time` or `lateness`; nan without a success."""
        require(0 <= p <= 100, "p", p, "from 0 to 100")
        allowed = ("response_time", "service_time", "wait_time", "lateness")
        require(of in allowed, "of", of, f"one of {', '.join(allowed)}")
        times = getattr(self, of)[self.ok]
        return float(np.percentile(times, p, method="inverted_cdf")) if times.size else float("nan")

    @property
    def server_cpu(self) -> float:
        """Cores' worth of CPU that the server used, on average; nan where it was not read."""
        return _share(self.readings["time"], self.readings["server_cpu"])

    @property
    def tester_cpu(self) -> float:
        """The same of the load generator: near 1 it is itself the bottleneck."""
        return _share(self.readings["time"], self.readings["tester_cpu"])

    def to_frame(self) -> "pd.DataFrame":
        """A row for each request: its path and times, status, bytes, kind of error."""
        from perflab.systems.loadgen.tables import requests

        return requests(self)

    def per_second(self) -> "pd.DataFrame":
        """A row for each second: requests `intended` and `sent` in it, and of those that ended in
        it the `ok`, the `errors`, and p50 and p99 of the successes' response time (else nan)."""
        from perflab.systems.loadgen.tables import seconds

        return seconds(self)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the figures may be the generator's own rather than the server's; empty if not.

        1. It used more than 0.9 of a core: it may have been the bottleneck.
        2. The p99 of its lateness is above a tenth of the p99 of response time, and 0.1 ms.
        3. Requests were not sent, since no connection was free: they would have waited longest.
        """
        from perflab.systems.loadgen.thresholds import warnings_of

        return warnings_of(self)

    def compare(self, other: "LoadResult", p: float = 99) -> "LoadComparison":
        """How many times ours the `other` run's p-th percentile of response time is, with a 99 %
        interval by a block bootstrap over time (perflab.systems.loadgen.comparing).

        Successes alone count: look at `errors` first, and compare runs of one workload. The
        interval covers what chance does within a run; where dependence reaches further than a
        hundredth of the run it is too narrow (on synthetic runs right in 94 of 100 at 4 %). It
        does NOT cover what changed on the machine between the runs: repeat both in turn for that.

        DifferentMachinesError for runs of two machines, TooFewSamplesError where one has fewer
        than 10/(1 − p/100) successes, ValueError for a p outside 0–100.
        """
        from perflab.systems.loadgen.comparing import compare_results

        return compare_results(self, other, p)

    def meets(
        self, *, p50: float | None = None, p95: float | None = None, p99: float | None = None,
        p999: float | None = None, errors: float | None = None, not_sent: int | None = None,
        throughput: float | None = None, lateness_p99: float | None = None,
    ) -> "Thresholds":  # fmt: skip
        """Whether the run keeps these limits: `assert result.meets(p99=0.2, errors=0.01)`.

        Upper limits: percentiles of the successes' response time and of lateness in seconds,
        `errors` as a share of the requests sent, `not_sent` as a count. Lower limit: `throughput`
        a second. A percentile with too few successes (10/(1 − p/100)) does not hold. ValueError
        for no limit, and for one that makes no sense.
        """
        from perflab.systems.loadgen.thresholds import check

        limits = {"p50": p50, "p95": p95, "p99": p99, "p999": p999, "errors": errors,
                  "not_sent": not_sent, "throughput": throughput}  # fmt: skip
        return check(self, limits | {"lateness_p99": lateness_p99})

    def save(self, path: str | Path) -> Path:
        """Write everything to `path` (.npz); `LoadResult.load` gives an equal result back."""
        from perflab.systems.loadgen import storage

        return storage.save(self, path)

    @staticmethod
    def load(path: str | Path) -> "LoadResult":
        """The result in a file that `save` wrote. Nothing is unpickled; ValueError for a file
        that is no such one, of another version or damaged, OSError where it cannot be read."""
        from perflab.systems.loadgen import storage

        return storage.load(path)

    def __repr__(self) -> str:
        wrong = ", ".join(f"{n:,} {kind}" for kind, n in self.errors.items()) or "no errors"
        line = (
            f"LoadResult({self.end.size:,} requests, {self.throughput:,.0f}/s, "
            f"p50 {self.percentile(50) * 1e3:.2f} ms, p99 {self.percentile(99) * 1e3:.2f} ms, "
            f"{wrong}, {self.not_sent:,} not sent)"
        )
        return "\n".join((line, *(f"beware: {warning}" for warning in self.warnings)))


def _share(time: Floats, cpu: Floats) -> float:
    seen = np.flatnonzero(~np.isnan(cpu))
    if seen.size < 2 or time[seen[-1]] <= time[seen[0]]:
        return float("nan")
    first, last = seen[0], seen[-1]
    return float((cpu[last] - cpu[first]) / (time[last] - time[first]))
