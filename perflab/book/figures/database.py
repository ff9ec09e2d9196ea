"""Chapter 3's figures. Each title is computed from the result that it stands above.

Times come as pairs, SQLite's and PostgreSQL's, and each database has a panel of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.experiments.fetching import Trips
from perflab.experiments.poolload import PoolLoad

Pairs = Mapping[str, Sequence[tuple[float, float]]]  # by way: a pair of seconds for each x
DATABASES = ("SQLite", "PostgreSQL")
MB = 1e6


def latencies(x: Sequence[float], ways: Pairs) -> list[Panel]:
    """A panel for each database: the time of a query in each way, in milliseconds."""
    return [
        Panel(
            f"{name} latency (ms)",
            {way: (x, [pair[at] * 1e3 for pair in pairs]) for way, pairs in ways.items()},
            log=True,
        )
        for at, name in enumerate(DATABASES)
    ]


def growth(ch: Chapter, rows: Sequence[int], ways: Pairs, sizes: Mapping[str, Any]) -> None:
    """3.1: scan and search in tables of different size; `sizes` in bytes, of SQLite."""
    at = [ways["scan"][-1][k] / ways["search"][-1][k] for k in (0, 1)]
    ch.figure(
        "3.1",
        f"In {rows[-1]:,} rows a search is {at[0]:,.0f}× as fast as a scan in SQLite, "
        f"{at[1]:,.0f}× in PostgreSQL; in {rows[0]:,} rows it hardly matters",
        "rows in the table",
        [
            *latencies(rows, ways),
            Panel(
                "memory on disk (MB)",
                {name: (rows, np.asarray(size) / MB) for name, size in sizes.items()},
                height=0.8,
            ),
        ],
        x_log=True,
    )


def selectivity(
    ch: Chapter, share: Sequence[float], ways: Pairs, work: pd.DataFrame, page: int
) -> None:
    """3.2: `share` of the rows in per cent; `work` has steps and pages fetched by way."""
    worst = [ways["by index"][-2][k] / ways["scan"][-2][k] for k in (0, 1)]
    kinds = ("scan", "by index")
    ch.figure(
        "3.2",
        f"At {share[-2]:g} % of the rows the index takes {worst[0]:.1f}× the scan's time in "
        f"SQLite, {worst[1]:.1f}× in PostgreSQL; the steps do not show it, what is read does",
        "rows that the condition takes (%)",
        [
            *latencies(share, ways),
            Panel(
                "SQLite's steps (thousand)",
                {way: (share, work[f"steps, {way}"] / 1e3) for way in kinds},
            ),
            Panel(
                "memory: pages read (MB)",
                {way: (share, work[f"pages, {way}"] * page / MB) for way in kinds},
            ),
        ],
    )


def typing(ch: Chapter, typed: Sequence[str], ways: Pairs, answer: Sequence[int]) -> None:
    """3.3: a search that goes on while somebody types; `answer` in bytes."""
    letters = [len(part) for part in typed]
    gain = [ways["plain index"][-1][k] / ways["mended index"][-1][k] for k in (0, 1)]
    ch.figure(
        "3.3",
        f"«{typed[-1]}»: with the mended index the search is {gain[0]:,.0f}× as fast in SQLite, "
        f"{gain[1]:,.0f}× in PostgreSQL; after one letter there is less to gain",
        f"letters typed of «{typed[-1]}»",
        [
            *latencies(letters, ways),
            Panel(
                "memory (kB)",
                {"the answer": (letters, np.asarray(answer) / 1e3)},
                height=0.8,
                log=True,
            ),
        ],
    )


def round_trips(
    ch: Chapter, trips: Sequence[Trips], held: Mapping[str, int], threshold: float | None
) -> None:
    """3.6: 20 product pages in each way, by the length of a round trip; `held` in bytes."""
    x = [float(f"{trip.round_trip * 1e3:.2g}") for trip in trips]
    last = trips[-1].seconds
    best = min(last, key=lambda name: last[name])
    said, marks = "no round trip tried here makes the join win", {}
    if threshold is not None:
        said = f"the join beats N+1 from a round trip of some {threshold * 1e3:.2g} ms on"
        marks = {"threshold": threshold * 1e3}
    ch.figure(
        "3.6",
        f"Here {said}; at {x[-1]:.1f} ms the fastest is «{best}»",
        "measured round trip (ms)",
        [
            Panel(
                "latency (ms)",
                {name: (x, [1e3 * trip.seconds[name] for trip in trips]) for name in last},
                log=True,
                x_marks=marks,
                height=1.4,
            ),
            Panel(
                "memory (kB)",
                {name: (x, [held[name] / 1e3] * len(x)) for name in last},
                height=0.9,
            ),
        ],
        x_log=True,
        predicted_in=0,
        predicted_on="x",
        predicted_at=lambda microseconds: microseconds / 1e3,
    )


def crossing(trips: Sequence[Trips]) -> float | None:
    """The round trip in seconds from which on the join is ahead of N+1, by a straight line between
    the two measured ones; None where it is not even at the last, the first where it always is."""
    lead = [trip.seconds["N+1"] - trip.seconds["join"] for trip in trips]
    behind = [at for at, one in enumerate(lead) if one <= 0]
    if not behind:
        return trips[0].round_trip
    if (before := behind[-1]) == len(trips) - 1:
        return None
    near, far = trips[before].round_trip, trips[before + 1].round_trip
    return near + (far - near) * lead[before] / (lead[before] - lead[before + 1])


def pool_sizes(ch: Chapter, runs: Mapping[int, PoolLoad], callers: int) -> None:
    """3.9: callers of pools of different size: latency, throughput, and the server's memory."""
    sizes = list(runs)
    ten, most = runs[10], runs[sizes[-1]]

    def p90(kind: str) -> list[float]:
        times = (getattr(run, kind) for run in runs.values())
        return [1e3 * float(np.percentile(one, 90)) for one in times]

    ch.figure(
        "3.9",
        f"{callers} callers, from 10 connections to {sizes[-1]}: "
        f"{most.throughput / ten.throughput:.1f}× the statements a second, each "
        f"{np.median(most.statement_time) / np.median(ten.statement_time):.1f}× as long, "
        f"{most.memory / ten.memory:.1f}× the server's memory",
        "connections in the pool",
        [
            Panel(
                "p90 latency (ms)",
                {
                    "with the wait": (sizes, p90("response_time")),
                    "statement alone": (sizes, p90("statement_time")),
                },
                log=True,
                height=1.2,
            ),
            Panel(
                "statements/s",
                {"measured": (sizes, [run.throughput for run in runs.values()])},
            ),
            Panel(
                "memory (MB)",
                {"server": (sizes, [run.memory / MB for run in runs.values()])},
                height=0.7,
            ),
        ],
        x_log=True,
        predicted_in=1,
        predicted_at=lambda times: times * ten.throughput,
    )


def movement(ch: Chapter, shards: Sequence[int], moved: Mapping[str, Sequence[float]]) -> None:
    """3.10: keys that move when one shard joins so many, in per cent."""
    names = list(moved)
    ch.figure(
        "3.10",
        f"When a shard joins {shards[-1]} others, {moved[names[0]][-1]:.0f} % of the keys move by "
        f"the guide's modulo, {moved['ours'][-1]:.1f} % on our ring",
        "shards before another one joins",
        [Panel("keys that move (%)", {n: (shards, part) for n, part in moved.items()}, height=1.3)],
        x_log=True,
    )


def depth(ch: Chapter, skipped: Sequence[int], ways: Pairs, steps: pd.DataFrame) -> None:
    """3.11: pages far down a table, by OFFSET and by key."""
    last = [ways["OFFSET"][-1][k] / ways["key"][-1][k] for k in (0, 1)]
    ch.figure(
        "3.11",
        f"{skipped[-1]:,} rows down, OFFSET takes {last[0]:.0f}× as long as the key in SQLite, "
        f"{last[1]:.0f}× in PostgreSQL",
        "rows before the page",
        [
            *latencies(skipped, ways),
            Panel(
                "SQLite's steps",
                {way: (skipped, steps[way]) for way in ways},
                log=True,
            ),
        ],
        x_log=True,
    )
