"""Histograms of latencies: one sample, an array of them, and three percentiles.

hdrhistogram gets whole microseconds made beforehand, ours and the sketches get seconds, and of
many at once fastdigest gets the list that it is faster with. Ours, hdrhistogram and DDSketch are
right to within 1 % of every latency; a t-digest is right to within some ranks. What ours has yet
to count is counted in its turn: the list is full every 4,096 samples.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from perflab.measure.histogram import PENDING, LatencyHistogram
from tests.benchmarks.racing import Race

SECONDS = np.random.default_rng(7).lognormal(-6, 1, 5 * PENDING)
FLOATS: list[float] = SECONDS.tolist()
WHOLE_US: list[int] = (SECONDS * 1e6).astype(int).tolist()
PERCENTILES = (50.0, 99.0, 99.9)


def one_by_one(record: Callable[[Any], object], samples: Sequence[Any]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n // len(samples)):
            for sample in samples:
                record(sample)
        for sample in samples[: n % len(samples)]:
            record(sample)

    return run


def all_at_once(record_many: Callable[[Any], object], samples: Any) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n // len(samples)):
            record_many(samples)
        record_many(samples[: n % len(samples)])

    return run


def asked(ask: Callable[[], object]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n):
            ask()

    return run


def hdr() -> Any:
    from hdrh.histogram import HdrHistogram

    return HdrHistogram(1, 3_600_000_000, 2)


def dd() -> Any:
    from ddsketch import DDSketch

    return DDSketch(0.01)


def fast() -> Any:
    from fastdigest import TDigest

    return TDigest()


def digest() -> Any:
    from tdigest import TDigest

    return TDigest()


def of_hdr() -> Callable[[int], None]:
    histogram = hdr()
    one_by_one(histogram.record_value, WHOLE_US)(len(WHOLE_US))
    return asked(lambda: histogram.get_percentile_to_value_dict(list(PERCENTILES)))


def of_dd() -> Callable[[int], None]:
    sketch = dd()
    one_by_one(sketch.add, FLOATS)(len(FLOATS))
    return asked(lambda: [sketch.get_quantile_value(p / 100) for p in PERCENTILES])


def of_fast() -> Callable[[int], None]:
    sketch = fast()
    sketch.batch_update(SECONDS)
    return asked(lambda: [sketch.percentile(p) for p in PERCENTILES])


def of_ours() -> Callable[[int], None]:
    histogram = LatencyHistogram()
    histogram.record_many(SECONDS)
    return asked(lambda: histogram.percentiles(PERCENTILES))


RACES = [
    Race(
        "record a latency",
        {
            "ours": lambda: one_by_one(LatencyHistogram().record, FLOATS),
            "hdrhistogram": lambda: one_by_one(hdr().record_value, WHOLE_US),
            "ddsketch": lambda: one_by_one(dd().add, FLOATS),
            "fastdigest": lambda: one_by_one(fast().update, FLOATS),
            "tdigest": lambda: one_by_one(digest().update, FLOATS),
        },
        {"hdrhistogram": 7},
        threads=(1,),  # the peers are not made for several
        idle_bytes=LatencyHistogram,
    ),
    Race(
        "record an array",
        {
            "ours": lambda: all_at_once(LatencyHistogram().record_many, SECONDS),
            "fastdigest": lambda: all_at_once(fast().batch_update, FLOATS),
        },
        {"fastdigest": 1.2},
        threads=(1,),  # as above
    ),
    Race(
        "three percentiles",
        {"ours": of_ours, "hdrhistogram": of_hdr, "ddsketch": of_dd, "fastdigest": of_fast},
        {"hdrhistogram": 10},
        threads=(1,),  # as above
    ),
]
