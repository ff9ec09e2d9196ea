"""Chapter 10's figures of the shop. Each title is computed from the result it stands above."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.experiments.factorial import Factorial
from perflab.experiments.shopfixes import SUBSETS, Turns
from perflab.experiments.shopload import Stretch
from perflab.measure.percentiles import percentile

Floats = NDArray[np.float64]
NAMES = {"I": "indexes", "C": "cache", "P": "pool", "Z": "compression"}
MB, KB, MS = 1e6, 1e3, 1e3
GUIDE_BEFORE, GUIDE_AFTER = 2_500.0, 250.0  # ms, the middle of what the guide reports


def pooled(stretches: Sequence[Stretch]) -> Floats:
    """Response times of all pages, in seconds."""
    return np.concatenate([one.run.response_time[one.run.ok] for one in stretches])


def before_after(ch: Chapter, seen: Mapping[str, Sequence[Stretch]]) -> None:
    """10.1: response times of four users, and what the three servers hold for themselves."""
    named = dict(zip(("before", "after"), seen.values(), strict=True))
    times = {name: np.sort(pooled(one)) for name, one in named.items()}
    p50 = {name: percentile(one, 50) * MS for name, one in times.items()}
    held = {name: _held(one[0]) for name, one in named.items()}
    ch.figure(
        "10.1",
        f"Four fixes: the median page takes {p50['after']:.0f} ms instead of {p50['before']:,.0f}; "
        f"the servers hold {held['after'].max():.0f} MB instead of {held['before'].max():.0f}",
        "time (s)",
        [
            Panel(
                "response time (ms)",
                {
                    name: (100 * (np.arange(len(one)) + 0.5) / len(one), one * MS)
                    for name, one in times.items()
                },
                log=True,
                marks={"the guide, before": GUIDE_BEFORE, "the guide, after": GUIDE_AFTER},
                height=1.7,
                x_label="share of pages that took no longer (%)",
            ),
            Panel(
                "memory of all three\nservers (MB)",
                {name: (one[0].taken.time, held[name]) for name, one in named.items()},
            ),
        ],
    )


def order(ch: Chapter, fixes: Factorial, turns: Turns, ways: Sequence[str]) -> None:
    """10.2: the fixes one after the other in two orders; what each brings by its place; bytes."""
    z = [fixes.main("Z", place).gain for place in (0, 3)]
    last = {"Z": fixes.gain("Z", "ICP").gain, "C": fixes.gain("C", "IPZ").gain}
    ch.figure(
        "10.2",
        f"First and last of four: compression {z[0]:.2f}× and {last['Z']:.2f}×, "
        f"the cache {fixes.gain('C').gain:.2f}× and {last['C']:.2f}×",
        "fixes that are there already",
        [
            *(_waterfall(fixes, way) for way in ways),
            Panel(
                "gain (times as fast)",
                {
                    name: (range(4), [fixes.main(fix, place).gain for place in range(4)])
                    for fix, name in NAMES.items()
                },
                log=True,
                marks={"nothing": 1.0},
                height=1.6,
            ),
            Panel(
                "memory (kB kept by\nthe cache)",
                {
                    f"{NAMES[way[0]]} first": (
                        range(5),
                        [_kept(turns, way[:n]) / KB for n in range(5)],
                    )
                    for way in ways
                },
                steps=True,
                height=0.8,
                x_label="fixes switched on",
            ),
        ],
        predicted_in=2,
    )


def _waterfall(fixes: Factorial, way: str) -> Panel:
    """The time after each fix, in this order."""
    times = [fixes.time(way[:n]) * MS for n in range(5)]
    return Panel(
        "latency (ms)",
        {f"{NAMES[way[0]]} first": ([0, 1, 2, 3, 4, 4.7], [*times, times[-1]])},
        log=True,
        steps=True,
        x_marks={f"+ {NAMES[fix]}": float(n) for n, fix in enumerate(way, start=1)},
        x_label="fixes switched on, one after the other",
    )


def _kept(turns: Turns, use: str) -> int:
    return turns.kept[next(one for one in SUBSETS if set(one) == set(use))]


def effects(fixes: Factorial) -> pd.DataFrame:
    """10.2: what each fix brings alone, last, and on average over everything else."""
    return pd.DataFrame(
        {
            name: {
                "alone": fixes.gain(fix),
                "as the last of four": fixes.gain(fix, "".join(set(NAMES) - {fix})),
                "on average": fixes.main(fix),
            }
            for fix, name in NAMES.items()
        }
    ).T.astype(str)


def together(fixes: Factorial) -> pd.Series:
    """10.2: for each pair, by how much both miss the product of what each brings without it."""
    return pd.Series(
        {
            f"{NAMES[one]} and {NAMES[other]}": str(fixes.shortfall(one, other))
            for one, other in combinations(NAMES, 2)
        },
        name="one without the other, multiplied, ÷ both together",
    ).to_frame()


def accounts(
    seen: Mapping[str, Sequence[Stretch]], counted: Mapping[str, tuple[float, float]]
) -> pd.DataFrame:
    """10.1: what the guide reports beside what was counted and measured here."""
    first, last = seen.values()
    rows = [("response time, p50 (ms)", "2,000–3,000 → 200–300", _p50(first), _p50(last))]
    rows += [
        (f"database: {name} a page", "90 % less", *pair)
        for name, pair in counted.items()
        if name != "bytes over the link"
    ]
    for name, said, servers in (
        ("database", "90 % less", ["PostgreSQL"]),
        ("all servers", "50 % less", list(first[0].taken.cpu)),
    ):
        rows.append((f"{name}: CPU a page (ms)", said, _cpu(first, servers), _cpu(last, servers)))
    rows.append(("all servers: memory (MB)", "50 % less", _memory(first), _memory(last)))
    rows.append(("bytes over the link a page", "–", *counted["bytes over the link"]))
    return pd.DataFrame(
        {
            name: {
                "the guide": guide,
                "before": f"{before:,.3g}" if before < 100 else f"{before:,.0f}",
                "after": f"{after:,.3g}" if after < 100 else f"{after:,.0f}",
                "change": f"{100 * (after / before - 1):+.1f} %",
            }
            for name, guide, before, after in rows
        }
    ).T


def _p50(stretches: Sequence[Stretch]) -> float:
    return percentile(pooled(stretches), 50) * MS


def _cpu(stretches: Sequence[Stretch], servers: Sequence[str]) -> float:
    """CPU a page of these servers, in ms."""
    return float(np.mean([sum(one.cpu_ms[name] for name in servers) for one in stretches]))


def _memory(stretches: Sequence[Stretch]) -> float:
    """The most that all servers held, in MB."""
    return max(float(_held(one).max()) for one in stretches)


def _held(stretch: Stretch) -> Floats:
    """What all servers held over time, in MB."""
    total: Floats = np.sum(list(stretch.taken.memory.values()), axis=0) / MB
    return total
