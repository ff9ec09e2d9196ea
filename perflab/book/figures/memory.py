"""Chapter 5's figures. Each title is computed from the result that it stands above."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.measure import Comparison

MB = 1e6


def buffers(ch: Chapter, costs: Mapping[int, Mapping[str, Mapping[str, float]]]) -> None:
    """5.1: the latency of a request against that with a new buffer, and the memory it takes."""
    sizes = list(costs)
    names = list(costs[sizes[0]])
    kilobytes = [size / 1_000 for size in sizes]

    def by_size(name: str, what: str) -> list[float]:
        return [costs[size][name][what] for size in sizes]

    at_mb = {name: costs[1_000_000][name]["ratio"] for name in names}
    ch.figure(
        "5.1",
        f"Buffers of 1 MB: a pool with clear() takes {at_mb['clear()']:.0f}× as long as a new "
        f"buffer, one that keeps its memory {at_mb['ours']:.1f}×",
        "buffer (kB)",
        [
            Panel(
                "latency, × a new buffer's",
                {name: (kilobytes, by_size(name, "ratio")) for name in names},
                log=True,
                height=1.3,
            ),
            Panel(
                "memory taken anew (MB)",
                {name: (kilobytes, np.array(by_size(name, "new_bytes")) / MB) for name in names},
                log=True,
                height=0.9,
            ),
        ],
        x_log=True,
        predicted_in=0,
    )


def lent(
    ch: Chapter,
    wrong: Mapping[str, Mapping[int, int]],
    burst: Mapping[str, Sequence[float]],
) -> None:
    """5.2: answers with another's bytes against when they are sent; memory after a burst."""
    collections = range(len(next(iter(burst.values()))))
    worst = max(wrong["guide's"].values())
    kept = {name: held[-1] / MB for name, held in burst.items()}
    ch.figure(
        "5.2",
        f"Sent after the buffer went back, {worst} of 100 answers hold another's bytes; "
        f"a list keeps {kept['a list']:.0f} MB of a burst",
        "full collections since the burst",
        [
            Panel(
                "requests answered with\nanother's bytes, of 100",
                {name: (list(one), list(one.values())) for name, one in wrong.items()},
                x_label="an answer is sent so many requests after its buffer went back",
            ),
            Panel(
                "memory in the pool (MB)",
                {name: (collections, np.array(held) / MB) for name, held in burst.items()},
            ),
        ],
    )


def interned(
    ch: Chapter, held: Mapping[int, Mapping[str, float]], took: Mapping[int, Comparison], asked: int
) -> None:
    """5.3: bytes of a column of strings by their different values; latency of each of `asked`."""
    values = list(held)
    few, unique = values[0], values[-1]
    saved = held[few]["as they come"] / held[few]["interned"]
    costs = held[unique]["interned"] / held[unique]["as they come"]
    ways = list(next(iter(took.values())).names)

    def latencies(name: str) -> list[float]:
        """One for each of `values`, so that the panels share their ticks; a gap if not timed."""
        return [1e6 * took[one][name].seconds / asked if one in took else np.nan for one in values]

    ch.figure(
        "5.3",
        f"Interned, {few} different values take 1/{saved:.0f} of their memory; "
        f"where all differ, {costs:.1f}× of it",
        "different values among the strings",
        [
            Panel(
                "memory (MB)",
                {name: (values, [held[one][name] / MB for one in values]) for name in held[few]},
                height=1.2,
            ),
            Panel(
                "latency of a\nlook-up (µs)",
                {name: (values, latencies(name)) for name in ways},
                log=True,
                height=1.2,
            ),
        ],
        x_log=True,
        predicted_in=0,
    )


def collections(ch: Chapter, on: Mapping[str, Any], off: Mapping[str, Any]) -> None:
    """5.8: each request's latency with the collector on and off, collections marked; memory."""
    requests = np.arange(1, len(on["latency"]) + 1)
    latency = 1e3 * np.array(on["latency"])
    inside = 1e3 * np.array(on["collecting"])
    long = np.where(inside > inside.max() / 8, latency, np.nan)
    median, worst = float(np.median(latency)), float(np.nanmax(np.append(long, latency.max())))
    ch.figure(
        "5.8",
        f"The cache grows: {inside.sum() / latency.sum():.0%} of the time is the collector's, "
        f"the slowest request takes {worst / median:.0f}× the median",
        "request",
        [
            Panel(
                "latency (ms)",
                {
                    "collector off": (requests, 1e3 * np.array(off["latency"])),
                    "collector on": (requests, latency),
                    "a large collection": (requests, long),
                },
                points=("a large collection",),
                log=True,
                height=1.4,
            ),
            Panel(
                "memory (MB)",
                {
                    "collector on": (requests, np.array(on["resident"]) / MB),
                    "collector off": (requests, np.array(off["resident"]) / MB),
                },
                height=0.8,
            ),
        ],
        predicted_in=None,
    )
