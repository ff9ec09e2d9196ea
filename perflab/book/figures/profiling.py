"""Chapter 2's figures. Each title is computed from the result that it stands above."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from perflab.book import panels
from perflab.book.chapter import Chapter
from perflab.book.figures.flame import flames
from perflab.book.plots import Panel
from perflab.contracts.leak import Look
from perflab.experiments.script import Sampled
from perflab.systems import LoadResult

__all__ = ["flames", "leaks", "looks", "middleware", "snapshot", "watched"]

Floats = NDArray[np.float64]
SINCE_START = "time since start (s)"
MB = 1e6


def watched(ch: Chapter, seconds: Mapping[str, Floats], resident: Sequence[int]) -> None:
    """2.1: the page's time in each round, unwatched and under each profiler; memory below."""
    medians = {name: float(np.median(took)) for name, took in seconds.items()}
    times = medians["cProfile"] / medians["unwatched"]
    sampled = medians["sampler"] / medians["unwatched"]
    rounds = np.arange(1, len(resident) + 1)
    ch.figure(
        "2.1",
        f"Under cProfile the page takes {times:.1f}× its time, under a sampler {sampled:.1f}×",
        "round",
        [
            Panel(
                "latency of the page (ms)",
                {name: (rounds, 1e3 * np.array(took)) for name, took in seconds.items()},
                log=True,
                height=1.3,
            ),
            Panel("memory (MB)", {"this process": (rounds, np.array(resident) / MB)}, height=0.6),
        ],
    )


def looks(ch: Chapter, seen: Mapping[int, Sampled]) -> None:
    """2.2: the sort's share against how often the sampler looks; latency of a round, memory."""
    every = sorted(seen)
    runs = [seen[ms] for ms in every]
    by_looks = [100 * run.by_looks / run.true for run in runs]
    by_time = [100 * run.by_seconds / run.true for run in runs]
    ch.figure(
        "2.2",
        f"Looking every {every[0]} ms sees {by_looks[0]:.0f} % of the sort's share, "
        f"weighed by time {by_time[0]:.0f} %",
        "a look every … ms",
        [
            Panel(
                "sort's share, % of the truth",
                {"by looks": (every, by_looks), "by time": (every, by_time)},
                marks={"truth": 100.0},
                height=1.3,
            ),
            Panel(
                "latency (ms)",
                {"sort and loop": (every, [1e3 * run.latency for run in runs])},
                height=0.7,
            ),
            Panel(
                "memory (MB)",
                {"this process": (every, [run.resident / MB for run in runs])},
                height=0.6,
            ),
        ],
        x_log=True,
        predicted_in=0,
    )


def middleware(ch: Chapter, users: Mapping[int, LoadResult], inside: Mapping[int, float]) -> None:
    """2.4: mean latency as users have it and as a middleware has it, against clients."""
    clients = list(users)
    felt = [1e3 * float(run.response_time[run.ok].mean()) for run in users.values()]
    said = [1e3 * seconds for seconds in inside.values()]
    rate = [run.throughput for run in users.values()]
    ch.figure(
        "2.4",
        f"{clients[-1]} clients wait {felt[-1]:.1f} ms; the middleware says {said[-1]:.2f} ms",
        "clients",
        [
            Panel(
                "mean latency (ms)",
                {"users": (clients, felt), "middleware": (clients, said)},
                log=True,
                height=1.3,
            ),
            Panel("pages/s", {"server": (clients, rate)}, height=0.7),
            Panel(
                "memory (MB)",
                {"server": (clients, panels.highest_memory(users.values()))},
                height=0.7,
            ),
        ],
        x_log=True,
    )


def leaks(
    ch: Chapter,
    runs: Mapping[str, tuple[Sequence[Look], Floats]],
    alarms: Mapping[str, Mapping[str, Sequence[float]]],
    limit: float = 104.9,
) -> None:
    """2.6: resident memory of two services above their start, with who raised an alarm when."""
    time = {name: np.array([look.seconds for look in seen]) for name, (seen, _) in runs.items()}
    held = {name: np.array([look.rss for look in seen]) / MB for name, (seen, _) in runs.items()}
    first = {
        f"alarm by the {how}: «{name}»": min(times)
        for name, one in alarms.items()
        for how, times in one.items()
        if times
    }
    named = [name for name, one in alarms.items() if one["limit"]]
    ch.figure(
        "2.6",
        f"The limit of 100 MB accuses what {' and what '.join(named) or 'neither'}",
        SINCE_START,
        [
            Panel(
                "slowest latency (ms)",
                {name: _slowest(time[name], took) for name, (_, took) in runs.items()},
                log=True,
                height=0.8,
            ),
            Panel(
                "memory above the start (MB)",
                {name: (time[name], held[name]) for name in runs},
                marks={"the guide's limit": limit},
                x_marks=first,
                height=1.6,
            ),
        ],
    )


def _slowest(time: Floats, took: Floats, step: float = 0.1) -> tuple[Floats, Floats]:
    """The slowest request of each `step` seconds, in ms."""
    slots = np.floor(time / step).astype(int)
    known = np.unique(slots)
    return (known + 0.5) * step, np.array([1e3 * took[slots == slot].max() for slot in known])


def snapshot(
    ch: Chapter, latency: Floats, taken: Sequence[float], memory: Sequence[tuple[float, float]]
) -> None:
    """2.11: each request's latency while in the middle a heap snapshot is taken, and the memory:
    memory_profiler's timeline, pairs of MiB and seconds."""
    worst, usual = latency[:, 1].max(), np.median(latency[:, 1])
    held = np.array(memory)
    ch.figure(
        "2.11",
        f"While the snapshot is taken a request waits {worst / usual:,.0f} times as long",
        SINCE_START,
        [
            Panel(
                "latency of a request (ms)",
                {"requests": (latency[:, 0], latency[:, 1])},
                log=True,
                height=1.3,
            ),
            Panel(
                "memory (MB)",
                {"this process": (held[:, 1], held[:, 0] * 1.048576)},
                height=0.7,
            ),
        ],
        events={"the snapshot": (taken[0], taken[1])},
    )
