"""Chapter 8's figures. Each title is computed from the result that it stands above."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from perflab.book import panels
from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.systems import LoadResult

SINCE_START = "time since start (s)"


def users_and_arrivals(ch: Chapter, runs: Mapping[str, LoadResult]) -> None:
    """8.1: latency of a closed and an open run at one rate, requests in flight, memory."""
    step = 0.1
    p99 = {name: run.percentile(99) * 1e3 for name, run in runs.items()}
    ch.figure(
        "8.1",
        f"The same rate: p99 {p99['closed']:.0f} ms with users who wait, "
        f"{p99['open']:.0f} ms with arrivals",
        SINCE_START,
        [
            Panel(
                "slowest latency (ms)",
                {name: panels.over_time(run, 100, step) for name, run in runs.items()},
                log=True,
            ),
            Panel("in flight", {name: _in_flight(run, step) for name, run in runs.items()}),
            panels.memory(runs),
        ],
    )


def freeze(ch: Chapter, run: LoadResult, report: Any, frozen: tuple[float, float]) -> None:
    """8.2: each request's response time against when it was due, with the guide's p99 across."""
    p99 = run.percentile(99) * 1e3
    ch.figure(
        "8.2",
        f"One frozen second: p99 {p99:,.0f} ms, reported as {report.p99_latency * 1e3:,.0f} ms "
        "by a tester that waits",
        SINCE_START,
        [
            Panel(
                "response time (ms)",
                {"by the clock": (run.intended_start[run.ok], 1e3 * run.response_time[run.ok])},
                points=("by the clock",),
                marks={"p99": p99, "p99 of the guide's tester": report.p99_latency * 1e3},
                log=True,
                height=1.3,
            ),
            panels.memory({"by the clock": run}),
        ],
        events={"the server is frozen": frozen},
        predicted_in=0,
    )


def failures(ch: Chapter, run: LoadResult) -> None:
    """8.3: how many requests took how long, the failed ones apart."""
    times = run.response_time * 1e3
    groups = {"failed": times[~run.ok], "answered": times[run.ok]}
    everyone, good = times.mean(), groups["answered"].mean()
    ch.figure(
        "8.3",
        f"With the failures in it the mean (dashed) is {everyone:.1f} ms, of answers {good:.1f} ms",
        SINCE_START,
        [
            panels.distribution(groups, {"all": everyone, "answers": good}),
            panels.memory({"mixed": run}),
        ],
    )


def knee(
    ch: Chapter,
    live: Mapping[int, LoadResult],
    model: Mapping[int, LoadResult],
    capacity: float,
) -> None:
    """8.7: goodput, latency of what was answered in time, and memory against the offered rate."""
    rates = list(live)
    good = {name: _goodput(runs) for name, runs in (("measured", live), ("long simulation", model))}
    peak = int(np.argmax(good["measured"]))
    p50 = [run.percentile(50) * 1e3 if run.ok.any() else np.nan for run in live.values()]
    ch.figure(
        "8.7",
        f"Goodput peaks at {rates[peak]:,}/s offered; at {rates[-1]:,}/s "
        f"{good['measured'][-1] / rates[-1]:.0%} are answered in time",
        "payments offered (1/s)",
        [
            Panel(
                "goodput (1/s)",
                {name: (rates, values) for name, values in good.items()}
                | {"theory": (rates, np.minimum(rates, capacity))},
                height=1.3,
            ),
            Panel("p50 of answers in time (ms)", {"measured": (rates, p50)}, log=True),
            Panel(
                "memory (MB)", {"server": (rates, panels.highest_memory(live.values()))}, height=0.7
            ),
        ],
        predicted_in=0,
    )


def _goodput(runs: Mapping[int, LoadResult]) -> list[float]:
    return [float(run.ok.sum() / run.window) for run in runs.values()]


def _in_flight(run: LoadResult, step: float) -> tuple[Any, Any]:
    """Requests in flight, averaged over `step` seconds."""
    edges = np.arange(0, run.end.max(), step)
    comings, goings = np.sort(run.start), np.sort(run.end)
    area = np.array([_area(comings, edge) - _area(goings, edge) for edge in edges])
    return edges[:-1] + step / 2, np.diff(area) / step


def _area(times: Any, until: float) -> float:
    """The integral over time, up to a moment, of how many of `times` have come."""
    return float(np.clip(until - times, 0, None).sum())
