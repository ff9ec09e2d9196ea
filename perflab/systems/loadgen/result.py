"""What a load test measured: every request, both processes' memory, and where it was."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require
from perflab.measure.machine import Machine
from perflab.systems.loadgen.wire import ERRORS
from perflab.systems.loadgen.workload import Closed, Floats, Workload

if TYPE_CHECKING:
    import pandas as pd


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
    def first_byte_time(self) -> NDArray[np.float32]:
        """Seconds from the start to the first byte of the answer; 0 where none came."""
        return self.samples["first_byte"]

    @property
    def route(self) -> NDArray[np.uint32]:
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
        import pandas as pd

        frame = pd.DataFrame(self.samples).drop(columns=["route", "error"])
        frame.insert(0, "path", np.array(self.paths)[self.route])
        for name in ("service_time", "wait_time", "response_time", "error"):
            frame[name] = getattr(self, name)
        return frame

    def per_second(self) -> "pd.DataFrame":
        """A row for each second: requests `intended` and `sent` in it, and of those that ended in
        it the `ok`, the `errors`, and p50 and p99 of the successes' response time (else nan)."""
        import pandas as pd

        seconds = int(max(self.window, self.end.max(initial=0.0)) - 1e-9) + 1
        ended, ok, took = self.end.astype(int), self.ok, self.response_time
        frame = pd.DataFrame(
            {
                "intended": np.bincount(self.intended_start.astype(int), minlength=seconds),
                "sent": np.bincount(self.start.astype(int), minlength=seconds),
                "ok": np.bincount(ended[ok], minlength=seconds),
                "errors": np.bincount(ended[~ok], minlength=seconds),
            }
        )
        times = pd.Series(took[ok]).groupby(ended[ok])
        for p in (50, 99):
            frame[f"p{p}"] = times.agg(np.percentile, q=p, method="inverted_cdf")
        frame.index.name = "second"
        return frame

    def __repr__(self) -> str:
        wrong = ", ".join(f"{n:,} {kind}" for kind, n in self.errors.items()) or "no errors"
        return (
            f"LoadResult({self.end.size:,} requests, {self.throughput:,.0f}/s, "
            f"p50 {self.percentile(50) * 1e3:.2f} ms, p99 {self.percentile(99) * 1e3:.2f} ms, "
            f"{wrong}, {self.not_sent:,} not sent)"
        )


def _share(time: Floats, cpu: Floats) -> float:
    seen = np.flatnonzero(~np.isnan(cpu))
    if seen.size < 2 or time[seen[-1]] <= time[seen[0]]:
        return float("nan")
    first, last = seen[0], seen[-1]
    return float((cpu[last] - cpu[first]) / (time[last] - time[first]))
