"""How much faster LatencyHistogram is than hdrhistogram, on the same latencies, both within 1 %.

    python tests/benchmarks/histogram.py [ROUNDS]

Rounds are interleaved and timed in CPU time of this thread, so that other work on the machine
shows as little as it can; a ratio is the median of the rounds' ratios, its range the middle half.
hdrhistogram gets whole microseconds made beforehand; ours gets seconds, and the time to count what
is pending is part of recording. The record loop's own cost is in both.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram

from perflab.measure.histogram import PENDING, LatencyHistogram

SAMPLES = 5 * PENDING  # so that nothing is pending when the queries begin
QUERIES = 50
PERCENTILES = (50.0, 99.0, 99.9)
GOALS = {"record": 7, "three percentiles": 10}


def main(rounds: int) -> None:
    seconds = np.random.default_rng(7).lognormal(-6, 1, SAMPLES)
    as_floats, as_whole_us = seconds.tolist(), (seconds * 1e6).astype(int).tolist()
    ours, peer = LatencyHistogram(), HdrHistogram(1, 3_600_000_000, 2)
    costs: dict[str, list[tuple[float, float]]] = {}

    def compare(what: str, of_ours: float, of_peer: float) -> None:
        costs.setdefault(what, []).append((of_ours, of_peer))

    for _ in range(rounds):
        compare(
            "record",
            cpu_of_each(ours.record, as_floats) / SAMPLES,
            cpu_of_each(peer.record_value, as_whole_us) / SAMPLES,
        )
        compare(
            "three percentiles",
            cpu_of_each(ours.percentiles, [PERCENTILES] * QUERIES) / QUERIES,
            cpu_of_each(peer.get_percentile_to_value_dict, [list(PERCENTILES)] * QUERIES) / QUERIES,
        )
        compare(
            "record an array",
            cpu_of_each(ours.record_many, [seconds]) / SAMPLES,
            cpu_of_each(peer.record_value, as_whole_us) / SAMPLES,
        )
    print(f"{'':18} {'ours':>11} {'hdrhistogram':>13} {'×':>7} {'middle half':>15} {'goal':>5}")
    for what, pairs in costs.items():
        print(row(what, pairs))


def cpu_of_each(call: Callable[[Any], object], arguments: Iterable[Any]) -> float:
    """Return the CPU seconds that calling `call` with each of `arguments` takes."""
    start = time.thread_time()
    for argument in arguments:
        call(argument)
    return time.thread_time() - start


def row(what: str, pairs: list[tuple[float, float]]) -> str:
    ours, peer = (statistics.median(costs) * 1e9 for costs in zip(*pairs, strict=True))
    low, ratio, high = statistics.quantiles([theirs / own for own, theirs in pairs], n=4)
    goal = f"{GOALS[what]}×" if what in GOALS else "–"
    return (
        f"{what:18} {ours:8,.0f} ns {peer:10,.0f} ns {ratio:7.1f} {f'{low:.1f}–{high:.1f}':>15} "
        f"{goal:>5}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
