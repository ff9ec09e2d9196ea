"""Panels made from results: the same few views of a load test, in every chapter."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from perflab.book.plots import Panel
from perflab.errors import require
from perflab.systems import LoadResult

Floats = NDArray[np.float64]
MB = 1e6


def over_time(result: LoadResult, p: float = 50, step: float = 0.1) -> tuple[Floats, Floats]:
    """A percentile of the response time in milliseconds, in steps of `step` seconds; nan where
    no request ended. x is the middle of each step."""
    require(0 < p <= 100, "p", p, "above 0 and at most 100")
    _step(step)
    ended, times = result.end[result.ok], result.response_time[result.ok]
    slots = np.floor(ended / step).astype(int)
    last = int(slots.max(initial=0))
    values = np.full(last + 1, np.nan)
    for slot in range(last + 1):
        inside = times[slots == slot]
        if len(inside):
            values[slot] = np.percentile(inside, p, method="inverted_cdf") * 1e3
    middles = (np.arange(last + 1) + 0.5) * step
    return middles.astype(float), values


def distribution(groups: Mapping[str, Floats], marks: Mapping[str, float]) -> Panel:
    """How many requests took how long, by group, with marks: all in milliseconds, above 0."""
    times = np.concatenate(list(groups.values()))
    edges = np.geomspace(times.min(), times.max() * 1.001, 40)
    middle = np.sqrt(edges[1:] * edges[:-1])
    return Panel(
        "requests",
        {name: (middle, np.histogram(part, edges)[0]) for name, part in groups.items()},
        log=True,
        steps=True,
        x_marks=marks,
        x_label="latency (ms)",
        x_log=True,
        height=1.3,
    )


def highest_memory(runs: Iterable[LoadResult]) -> list[float]:
    """The server's largest resident memory in each run, in MB."""
    return [float(np.nanmax(one.readings["server_rss"])) / MB for one in runs]


def memory(runs: Mapping[str, LoadResult], height: float = 0.7) -> Panel:
    """Resident memory of each run's server over time; of server and generator for one run."""
    require(len(runs) > 0, "runs", runs, "at least one run by name")
    if len(runs) == 1:
        (result,) = runs.values()
        lines = {
            "server": _resident(result, "server_rss"),
            "load generator": _resident(result, "tester_rss"),
        }
    else:
        lines = {name: _resident(result, "server_rss") for name, result in runs.items()}
    return Panel("memory (MB)", lines, height=height)


def processor(result: LoadResult, height: float = 0.7, step: float = 0.25) -> Panel:
    """CPU that server and generator used, in percent of a core, averaged over `step` seconds."""
    _step(step)
    time = result.readings["time"]
    edges = np.empty(0, int)
    if len(time):
        edges = np.unique(np.searchsorted(time, np.arange(time[0], time[-1], step)))
    lines = {}
    for name, column in (("server", "server_cpu"), ("load generator", "tester_cpu")):
        used = np.diff(result.readings[column][edges]) / np.diff(time[edges])
        lines[name] = ((time[edges][1:] + time[edges][:-1]) / 2, 100 * used)
    return Panel("CPU (% of a core)", lines, height=height)


def _step(step: float) -> None:
    require(0 < step < float("inf"), "step", step, "more than 0 seconds")


def _resident(result: LoadResult, column: str) -> tuple[Floats, Floats]:
    return result.readings["time"], result.readings[column] / MB
