"""Chapter 1's figures. Each title is computed from the result that it stands above."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from perflab.book import panels
from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.measure import InFlight, MemoryTrace, mm1_response_time
from perflab.systems import LoadResult, Trace

Floats = NDArray[np.float64]
SINCE_START = "time since start (s)"


def step(ch: Chapter, first: Floats, second: Floats, memory: MemoryTrace) -> None:
    """1.1: the time of each call, of the same work run twice, the second time by a neighbour."""
    ended = np.cumsum(np.concatenate([first, second]))
    calls = len(first)
    (resident,) = memory.rss.values()
    shown = memory.time <= ended[-1]
    ch.figure(
        "1.1",
        f"The same code looks {second.mean() / first.mean():.1f}× as slow: a neighbour had come",
        SINCE_START,
        [
            Panel(
                "latency of a call (ms)",
                {
                    "first": (ended[:calls], first * 1e3),
                    "second": (ended[calls:], second * 1e3),
                },
            ),
            Panel(
                "memory (MB)",
                {"this process": (memory.time[shown], resident[shown] / 1e6)},
                height=0.7,
            ),
        ],
        events={"a neighbour computes": (float(ended[calls - 1]), float(ended[-1]))},
    )


def two_groups(ch: Chapter, pages: LoadResult, counts: NDArray[np.bool_]) -> None:
    """1.2: how many requests took how long, those apart whose product (by route) had to count."""
    times, slow = pages.response_time[pages.ok] * 1e3, counts[pages.route[pages.ok]]
    groups = {"found by its key": times[~slow], "has to count": times[slow]}
    mean, p50, p99 = times.mean(), np.median(times), pages.percentile(99) * 1e3
    ch.figure(
        "1.2",
        f"Two kinds of requests: the mean is {mean / p50:.1f}× the median, "
        f"the p99 {p99 / p50:.0f}×",
        SINCE_START,
        [
            panels.distribution(groups, {"p50": p50, "mean": mean, "p99": p99}),
            panels.memory({"product pages": pages}),
        ],
        predicted_in=0,
    )


def flying(ch: Chapter, payments: LoadResult, there: InFlight, step: float = 0.1) -> None:
    """1.4: latency, and below it how many requests are in flight, averaged over `step` seconds."""
    time = there.time_ns / 1e9
    area = np.concatenate([[0.0], np.cumsum(there.count[:-1] * np.diff(time))])
    edges = np.arange(time[0], time[-1], step)
    average = np.diff(np.interp(edges, time, area)) / step
    times, p50 = panels.over_time(payments, 50, step)
    ch.figure(
        "1.4",
        f"On average {there.mean:.1f} payments are in flight, at times {there.count.max()}",
        SINCE_START,
        [
            Panel("p50 latency (ms)", {"measured": (times, p50)}),
            Panel(
                "in flight",
                {"measured": (edges[:-1] + step / 2, average)},
                marks={"mean": there.mean},
            ),
            panels.memory({"payments": payments}),
        ],
    )


def clients(ch: Chapter, runs: Mapping[int, LoadResult], most: float) -> None:
    """1.5: latency, throughput, CPU and memory against the number of clients."""
    users = list(runs)
    p50 = [one.percentile(50) * 1e3 for one in runs.values()]
    rate = [one.throughput for one in runs.values()]
    cpu = [100 * one.server_cpu for one in runs.values()]
    four, last = users.index(4), len(users) - 1
    ch.figure(
        "1.5",
        f"From 4 clients to {users[last]}: throughput ×{rate[last] / rate[four]:.1f}, "
        f"latency ×{p50[last] / p50[four]:.0f}, CPU {cpu[last]:.0f} % of a core",
        "clients",
        [
            Panel("p50 latency (ms)", {"measured": (users, p50)}, log=True),
            Panel("payments/s", {"measured": (users, rate)}, marks={"4 places ÷ 5 ms": most}),
            Panel("CPU (% of a core)", {"server": (users, cpu)}, height=0.7),
            Panel(
                "memory (MB)", {"server": (users, panels.highest_memory(runs.values()))}, height=0.7
            ),
        ],
        x_log=True,
        predicted_in=1,
    )


def load(
    ch: Chapter,
    offered: Mapping[float, LoadResult],
    traces: Mapping[float, Trace],
    long_run: Mapping[float, float],
) -> None:
    """1.6: mean response time against utilisation: theory, long simulations, the live runs by rate.

    A live run stands at the utilisation that its own service times made of its rate.
    """
    busy = [rate * trace.holding.mean() for rate, trace in traces.items()]
    live = [trace.response.mean() * 1e3 for trace in traces.values()]
    grid = np.linspace(0.05, 0.95, 40)
    theory = [mm1_response_time(rho / 5, 5) for rho in grid]
    loads, means = list(long_run), list(long_run.values())
    ch.figure(
        "1.6",
        f"{loads[-1] / loads[0]:.0f} times the load, {means[-1] / means[0]:.0f} times "
        "the latency: it grows as 1 ÷ (1 − ρ)",
        "utilisation ρ",
        [
            Panel(
                "mean response time (ms)",
                {
                    "theory": (grid, theory),
                    "long simulation": (loads, means),
                    "measured": (busy, live),
                },
                points=("long simulation", "measured"),
                log=True,
                height=1.3,
            ),
            Panel(
                "memory (MB)",
                {"server": (busy, panels.highest_memory(offered.values()))},
                height=0.7,
            ),
        ],
        predicted_in=0,
    )


def steps(ch: Chapter, run: LoadResult) -> None:
    """1.10: latency above, CPU and memory below, while the load rises in steps."""
    time, p50 = panels.over_time(run, 50)
    before, worst = float(np.nanmedian(p50[time < 1])), float(np.nanmax(p50))
    (_, cpu), _ = panels.processor(run).lines.values()
    ch.figure(
        "1.10",
        f"Latency grows {worst / before:.0f}-fold, while the server's CPU stays below "
        f"{np.nanmax(cpu):.0f} % of a core",
        SINCE_START,
        [
            Panel("latency (ms)", {"p50": (time, p50), "p90": panels.over_time(run, 90)}, log=True),
            panels.processor(run),
            panels.memory({"steps": run}),
        ],
        events={"1,000 payments a second": (2.0, 3.0)},
    )
