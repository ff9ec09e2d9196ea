"""Chapter 7's figures. Each title is computed from the result that it stands above."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.experiments.countedserver import Bursts
from perflab.experiments.filesite import Fetched
from perflab.experiments.rawclient import Asked
from perflab.experiments.tcp import Backlog, Writes
from perflab.measure import MemoryTrace

Floats = NDArray[np.float64]
MB = 1e6


def kept(ch: Chapter, runs: Mapping[str, Asked], round_trip: float = 0.020) -> None:
    """7.1: each request's latency, with its connection kept or new, and the server's memory."""
    medians = [float(np.median(run.seconds)) for run in runs.values()]
    numbers = np.arange(1, len(next(iter(runs.values())).seconds) + 1)
    held = {"server, plain": runs["plain, new"], "server, TLS": runs["TLS 1.3, new"]}
    ch.figure(
        "7.1",
        f"A request takes up to {max(medians) / min(medians):.1f}× as long on a new connection",
        "request number",
        [
            Panel(
                "latency (ms)",
                {name: (numbers, 1e3 * run.seconds) for name, run in runs.items()},
                marks={
                    f"{n} round trip{'s' if n > 1 else ''}": 1e3 * n * round_trip
                    for n in range(1, 5)
                },
                log=True,
                height=1.7,
            ),
            Panel(
                "memory (MB)",
                {name: (numbers, run.resident / MB) for name, run in held.items()},
                height=0.7,
            ),
        ],
    )


def bursts(ch: Chapter, runs: Mapping[str, Bursts]) -> None:
    """7.2: connections opened so far, the slowest request of each burst, and memory."""
    opened = {name: int(run.connections[-1]) for name, run in runs.items()}
    first, *_ = opened
    numbers = np.arange(1, len(runs[first].seconds) + 1)
    ch.figure(
        "7.2",
        f"One client opens {opened[first]} connections; with the right limit it opens "
        f"{min(opened.values())}",
        "burst of 50 requests",
        [
            Panel(
                "connections opened",
                {name: (numbers, run.connections) for name, run in runs.items()},
                height=1.2,
            ),
            Panel(
                "slowest latency (ms)",
                {name: (numbers, 1e3 * run.seconds) for name, run in runs.items()},
                log=True,
            ),
            Panel(
                "memory (MB)",
                {name: (numbers, run.resident / MB) for name, run in runs.items()},
                height=0.7,
            ),
        ],
        predicted_in=0,
    )


def compressed(
    ch: Chapter,
    took: Mapping[str, Mapping[float, Floats]],
    resident: list[int],
    computed: Mapping[str, float],
) -> None:
    """7.4: latency against the link's bandwidth in Mbit/s, where it was computed that each level
    stops paying, and the server's memory."""
    medians = {
        name: (list(by), [1e3 * float(np.median(times)) for times in by.values()])
        for name, by in took.items()
    }
    widths = next(iter(medians.values()))[0]
    plain = medians["plain"][1]
    best = max(plain[0] / line[1][0] for line in medians.values())
    worst = max(line[1][-1] / plain[-1] for line in medians.values())
    inside = {
        f"{name}, computed": at
        for name, at in computed.items()
        if name in took and widths[0] < at < widths[-1]
    }
    ch.figure(
        "7.4",
        f"At {widths[0]:g} Mbit/s compression is up to {best:.1f}× faster; at {widths[-1]:g} "
        f"Mbit/s the slowest level makes the answer {worst:.1f}× slower",
        "bandwidth of the link (Mbit/s)",
        [
            Panel("latency (ms)", medians, log=True, height=1.7, x_marks=inside),
            Panel(
                "memory (MB)",
                {"server": (widths, [one / MB for one in resident])},
                height=0.7,
            ),
        ],
        x_log=True,
        predicted_in=0,
        predicted_on="x",
    )


def middlewares(
    ch: Chapter, sizes: list[int], time: Mapping[str, list[float]], held: Mapping[str, list[int]]
) -> None:
    """7.5: what a middleware needs for an answer, in time and memory, against its size."""
    guide, ours = held["guide's"][0], held["ours"][0]
    ch.figure(
        "7.5",
        f"For {sizes[0]} bytes the guide's allocates {guide / 1e3:,.0f} kB, ours "
        f"{ours / 1e3:,.0f} kB",
        "size of the answer (bytes)",
        [
            Panel(
                "latency (ms)",
                {name: (sizes, [1e3 * one for one in line]) for name, line in time.items()},
                log=True,
            ),
            Panel(
                "memory per answer (kB)",
                {name: (sizes, [one / 1e3 for one in line]) for name, line in held.items()},
                log=True,
            ),
        ],
        x_log=True,
    )


def writes(ch: Chapter, runs: Mapping[str, Writes], memory: MemoryTrace) -> None:
    """7.7: each answer's latency, by how it was written; and this process's memory meanwhile."""
    usual = {name: 1e3 * float(np.median(run.seconds)) for name, run in runs.items()}
    numbers = np.arange(1, len(next(iter(runs.values())).seconds) + 1)
    (resident,) = memory.rss.values()
    ch.figure(
        "7.7",
        f"The same bytes: {max(usual.values()):.0f} ms in two writes on a kept connection, "
        f"{min(usual.values()):.2f} ms in one",
        "request number",
        [
            Panel(
                "latency (ms)",
                {name: (numbers, 1e3 * run.seconds) for name, run in runs.items()},
                log=True,
                height=1.5,
            ),
            Panel(
                "memory (MB)",
                {"this process": (memory.time, resident / MB)},
                height=0.7,
                x_label="time since start, all four one after the other (s)",
            ),
        ],
    )


def files(ch: Chapter, runs: Mapping[str, Fetched]) -> None:
    """7.8: how many files were there after how long."""
    slowest, *_, fastest = sorted(runs.values(), key=lambda run: -run.seconds)
    ch.figure(
        "7.8",
        f"{len(fastest.done)} files: {1e3 * slowest.seconds:,.0f} ms in turn, "
        f"{1e3 * fastest.seconds:,.0f} ms side by side on one connection",
        "time since the first request (ms)",
        [
            Panel(
                "files received",
                {
                    name: (1e3 * np.array((0.0, *run.done)), np.arange(len(run.done) + 1))
                    for name, run in runs.items()
                },
                steps=True,
                height=1.5,
            )
        ],
    )


def queue(ch: Chapter, runs: Mapping[str, Backlog]) -> None:
    """7.9: when each client was connected, in order."""
    short = min(runs.values(), key=lambda run: run.limit)
    late = short.seconds[short.at_once :]
    ch.figure(
        "7.9",
        f"{short.at_once} of {len(short.seconds)} clients connect at once, the others after "
        f"{np.nanmin(late) if late.size else 0:.1f} s, nobody in between",
        "client, in order of connecting",
        [
            Panel(
                "time to connect (ms)",
                {
                    name: (np.arange(1, len(run.seconds) + 1), 1e3 * run.seconds)
                    for name, run in runs.items()
                },
                points=list(runs),
                log=True,
                height=1.5,
            )
        ],
    )


def slow_start(ch: Chapter, sent: Mapping[str, Floats], least: Floats) -> None:
    """7.10: kilobytes that have arrived after each round trip of a new connection, by the model."""
    trips = np.arange(1, len(least) + 1)
    ch.figure(
        "7.10",
        f"A new connection starts at {least[0] / 1e3:.0f} kB a round trip and doubles",
        "round trips since the first byte was sent",
        [
            Panel(
                "arrived (kB)",
                {"new connection, at most": (trips, least / 1e3)}
                | {f"link of {name}": (trips, line / 1e3) for name, line in sent.items()},
                log=True,
                height=1.5,
            )
        ],
    )
