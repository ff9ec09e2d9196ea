"""Chapter 4's figures. Each title is computed from the result that it stands above."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.experiments.calls import Calls
from perflab.experiments.changes import Changed
from perflab.measure.percentiles import percentile

Floats = NDArray[np.float64]
Line = tuple[ArrayLike, ArrayLike]
PROCESSES = 8  # workers, each with a memory of its own
MB, MS = 1e6, 1e3


def near_and_far(
    ch: Chapter, times: pd.DataFrame, kept: Sequence[int], own: Sequence[int], far: Sequence[int]
) -> None:
    """4.1: latencies of each way in order of size; below, bytes that so many products take."""
    share = 100 * (np.arange(len(times)) + 0.5) / len(times)
    lines: dict[str, Line] = {name: (share, np.sort(times[name]) * MS) for name in times}
    middle = times.median()
    ch.figure(
        "4.1",
        f"A row from Valkey takes {middle['Valkey'] / middle['SQLite']:.1f} times as long as one "
        "from SQLite,\nand a report from PostgreSQL "
        f"{middle['PostgreSQL, a report'] / middle['Valkey']:.0f} times as long as that",
        "share of the answers that took no longer (%)",
        [
            Panel("latency (ms)", lines, log=True, height=2.2, x_label="share of answers (%)"),
            Panel(
                "memory (MB)",
                {
                    "Valkey": (kept, np.array(far) / MB),
                    "own memory": (kept, np.array(own) / MB),
                    "8 × own memory": (kept, PROCESSES * np.array(own) / MB),
                },
                x_label="products kept",
            ),
        ],
    )


def tail(
    ch: Chapter,
    mixes: Mapping[int, tuple[float, Floats]],
    without: Floats,
    cached: Floats,
    bytes_each: float,
) -> None:
    """4.3: percentiles and memory against the requests that there are for each miss; of latencies
    mixed for each number of kept products. The live run's own as dots, at one miss in ten."""
    per_miss = [1 / (1 - share) for share, _ in mixes.values()]
    lines: dict[str, Line] = {
        f"p{p}": (per_miss, [percentile(mixed, p) * MS for _, mixed in mixes.values()])
        for p in (50, 95, 99)
    }
    lines["live run"] = ([10.0] * 3, [percentile(cached, p) * MS for p in (50, 95, 99)])
    before, after = percentile(without, 99), percentile(cached, 99)
    ch.figure(
        "4.3",
        f"At 90 % hits the median is {percentile(without, 50) / percentile(cached, 50):,.0f} times "
        f"as fast, the p99 {before / after:.1f} times",
        "requests for each miss",
        [
            Panel(
                "latency (ms)",
                lines,
                log=True,
                points=["live run"],
                marks={"p99 without a cache": before * MS},
                x_marks={"50 % hits": 2.0, "90 %": 10.0, "95 %": 20.0, "99 %": 100.0},
                height=1.8,
            ),
            Panel(
                "memory (MB)",
                {"products kept": (per_miss, np.array(list(mixes)) * bytes_each / MB)},
            ),
        ],
        x_log=True,
        predicted_in=0,
        predicted_on="x",
        predicted_at=lambda hits: 100 / (100 - hits) if hits < 100 else np.inf,
    )


def drift(ch: Chapter, answers: Mapping[str, NDArray[np.bool_]], every: int) -> None:
    """4.4: the hit ratio over the trace, whose popularity changes after each `every` requests."""
    window = 500
    length = len(next(iter(answers.values()))) // window * window
    at = np.arange(window / 2, length, window)
    ratio = {
        name: 100 * hits[:length].reshape(-1, window).mean(axis=1) for name, hits in answers.items()
    }
    lowest = {name: np.min(ratio[name][every // window :]) for name in ("LFU", "LRU")}
    changes = {
        f"change {number}": float(at)
        for number, at in enumerate(range(every, length, every), start=1)
    }
    ch.figure(
        "4.4",
        f"When other keys become popular, LFU falls to {lowest['LFU']:.0f} % hits, "
        f"LRU to {lowest['LRU']:.0f} %",
        "requests",
        [
            Panel(
                "hit ratio (%)",
                {n: (at, one) for n, one in ratio.items()},
                x_marks=changes,
                height=2,
            )
        ],
    )


def two_processes(ch: Chapter, reads: Mapping[str, pd.DataFrame]) -> None:
    """4.5: a row a read, of one process and then another: latency, statements, users held."""
    window = 50
    count = len(next(iter(reads.values())))
    at = np.arange(window / 2, count, window)

    def line(values: pd.Series) -> Line:
        return at, np.asarray(values.groupby(np.arange(count) // window).median(), float)

    second = {
        name: int(np.ptp(one["statements"].iloc[count // 2 - 1 :])) for name, one in reads.items()
    }
    guides, ours = (second[name] for name in ("guide's", "ours"))
    ch.figure(
        "4.5",
        f"For {count // 2:,} users that are in the cache, the guide's second process sends the "
        f"database {guides:,} statements, ours {ours}",
        "users read",
        [
            Panel(
                "latency (ms)",
                {name: line(one["seconds"] * MS) for name, one in reads.items()},
                log=True,
            ),
            Panel(
                "database statements",
                {name: line(one["statements"]) for name, one in reads.items()},
            ),
            Panel("memory (users held)", {name: line(one["held"]) for name, one in reads.items()}),
        ],
        events={"a second process": (count / 2, float(count))},
        predicted_in=1,
    )


def ages(ch: Chapter, served: Mapping[str, NDArray[np.float64]]) -> None:
    """4.6: the age of the value that is served, over time."""
    oldest = max(age.max() for _, age in served.values())
    ch.figure(
        "4.6",
        f"With a TTL of 5 s above one of 10 s, values are served that are {oldest:.1f} s old",
        "time (s)",
        [
            Panel(
                "age of the value (s)",
                {name: (time, age) for name, (time, age) in served.items()},
                marks={"10 s": 10.0},
                height=1.6,
            )
        ],
    )


def behind(ch: Chapter, seen: Mapping[str, Changed]) -> None:
    """4.7: changes that the answer is behind, latency and memory, over time."""
    late: dict[str, Line] = {}
    latency: dict[str, Line] = {}
    memory: dict[str, Line] = {}
    for name, one in seen.items():
        late[name] = (one.calls.time, one.calls.value)
        latency[name] = (one.calls.time, one.calls.seconds * MS)
        (resident,) = one.memory.rss.values()
        memory[name] = (one.memory.time, resident / MB)
    stayed = [f"{sum(by > 0 for by in one.left)} of {len(one.left)}" for one in seen.values()]
    ch.figure(
        "4.7",
        f"After two changes in a row the guide's page stays old {stayed[0]} times, "
        f"ours {stayed[1]}",
        "time (s)",
        [
            Panel("changes behind", late, steps=True),
            Panel("latency (ms)", latency, log=True),
            Panel("memory (MB)", memory, height=0.7),
        ],
    )


def stampede(ch: Chapter, bursts: pd.DataFrame) -> None:
    """4.8: columns way, clients, seconds, loads, bytes: one miss, by so many clients at once."""
    ways = {str(name): rows for name, rows in bursts.groupby("way", sort=False)}

    def lines(column: str, factor: float = 1.0) -> dict[str, Line]:
        return {name: (rows["clients"], rows[column] * factor) for name, rows in ways.items()}

    most = {name: int(rows["loads"].max()) for name, rows in ways.items()}
    guides, ours = most["guide's"], most["ours"]
    ch.figure(
        "4.8",
        f"One miss, {bursts['clients'].max()} clients: the guide's way loads {guides} times, "
        f"single-flight {'once' if ours == 1 else f'{ours} times'}",
        "clients that miss at once",
        [
            Panel("latency (ms)", lines("seconds", MS), log=True),
            Panel("loads", lines("loads")),
            Panel("memory (MB)", lines("bytes", 1 / MB)),
        ],
        x_log=True,
        predicted_in=1,
    )


def waves(ch: Chapter, seen: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]) -> None:
    """4.8: how many keys are loaded and held in each second, by how their TTLs are given."""
    first, *others = [int(loads[50:].max()) for loads, _ in seen.values()]
    ch.figure(
        "4.8",
        f"Loads come {first:,} in one second with one TTL, at most {max(others):,} with jitter",
        "time (s)",
        [
            Panel(
                "database requests/s",
                {name: (np.arange(len(loads)), loads) for name, (loads, _) in seen.items()},
                steps=True,
                height=1.5,
            ),
            Panel(
                "memory (keys held)",
                {name: (np.arange(len(held)), held) for name, (_, held) in seen.items()},
                height=0.6,
            ),
        ],
    )


def _over_time(calls: Calls, step: float = 0.05) -> Line:
    """The median latency in milliseconds in each step; nan where every call failed."""
    good = ~np.isnan(calls.value)
    slots = (calls.time / step).astype(int)
    middles = np.arange(slots.max(initial=0) + 1)
    medians = [
        np.median(calls.seconds[good & (slots == one)]) if (good & (slots == one)).any() else np.nan
        for one in middles
    ]
    return (middles + 0.5) * step, np.array(medians) * MS


def outage(ch: Chapter, calls: Mapping[str, Calls], died: float, back: float) -> None:
    """4.9: latency of each call and failures so far, while the cache server is dead."""
    latency, failures = {}, {}
    for name, one in calls.items():
        latency[name] = _over_time(one)
        failures[name] = (one.time, np.cumsum(np.isnan(one.value)))
    lost = {name: int(total[-1]) for name, (_, total) in failures.items()}
    others = max(total for name, total in lost.items() if name != "unguarded")
    ch.figure(
        "4.9",
        f"While Valkey is dead {lost['unguarded']} requests fail unguarded, {others} otherwise",
        "time (s)",
        [
            Panel("p50 latency (ms)", latency, log=True, height=1.3),
            Panel("requests failed so far", failures, steps=True),
        ],
        events={"Valkey is dead": (died, back)},
    )
