"""A histogram that loses nothing, adds up exactly, and is right to within its precision."""

import math
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import example, given
from hypothesis import strategies as st

from perflab.errors import TooFewSamplesError
from perflab.measure import LatencyHistogram, histogram, percentile

within_range = st.floats(1e-6, 3600.0)
any_latency = st.one_of(st.just(0.0), st.floats(0, 1e-5), within_range, st.floats(3600.0, 1e300))
all_of = pytest.mark.filterwarnings("ignore:.*lie above highest:RuntimeWarning")


def of(*samples: float) -> LatencyHistogram:
    """Return a histogram of these samples, recorded one by one."""
    made = LatencyHistogram()
    for seconds in samples:
        made.record(seconds)
    return made


def state(h: LatencyHistogram) -> tuple[object, ...]:
    """Everything that a histogram tells, the sum apart: floats add up in no fixed order."""
    return (*h.to_frame().itertuples(index=False, name=None), h.count, h.overflow, h.min, h.max)


@pytest.fixture(params=["with the GIL", "without the GIL"])
def either_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record on the path without a lock, and on the one for interpreters without the GIL."""
    monkeypatch.setattr(histogram, "_gil_enabled", lambda: request.param == "with the GIL")


@given(st.lists(within_range, min_size=1, max_size=300), st.integers(0, 1000))
def test_a_percentile_is_within_precision_of_the_sample_at_its_rank(
    samples: list[float], tenths: int
) -> None:
    """One per cent, for any samples of the range and any percentile."""
    exact = percentile(samples, tenths / 10, estimate=True)
    found = of(*samples).percentile(tenths / 10, estimate=True)
    assert abs(found - exact) <= 0.01 * exact


@example(0.0008255843710832352, 2.0, 0.04, [0.0])
@given(
    st.floats(1e-9, 1e-3),
    st.floats(2, 1e10),
    st.floats(0.0005, 0.3),
    st.lists(st.floats(0, 1), min_size=1, max_size=50),
)
def test_any_range_keeps_its_precision(
    lowest: float, reach: float, precision: float, places: list[float]
) -> None:
    """Samples lie anywhere from `lowest` to `highest`, its ends included."""
    highest = min(lowest * reach, 9e8)
    h = LatencyHistogram(lowest, highest, precision)
    samples = [min(max(lowest * (highest / lowest) ** place, lowest), highest) for place in places]
    samples += [lowest, highest]
    h.record_many(samples)
    assert h.overflow == 0
    for rank in range(1, len(samples) + 1):
        p = 100 * rank / len(samples)
        exact = percentile(samples, min(p, 100), estimate=True)
        assert abs(h.percentile(min(p, 100), estimate=True) - exact) <= precision * exact


def test_it_agrees_with_hdrhistogram_and_numpy_on_the_same_data() -> None:
    """Within the sum of both histograms' precisions, and with numpy within ours."""
    samples_us = np.random.default_rng(5).lognormal(7, 1.5, 100_000).astype(int) + 1
    ps = [50, 75, 90, 99, 99.9, 99.99]
    ours, peer = LatencyHistogram(), HdrHistogram(1, 3_600_000_000, 2)
    for us in samples_us.tolist():
        ours.record(us * 1e-6)
        peer.record_value(us)
    exact = np.percentile(samples_us * 1e-6, ps, method="inverted_cdf")
    theirs = peer.get_percentile_to_value_dict(ps)
    assert ours.count == peer.get_total_count()
    assert ours.percentiles(ps) == pytest.approx(exact, rel=0.01)
    assert ours.percentiles(ps) == pytest.approx([theirs[p] * 1e-6 for p in ps], rel=0.02)


def test_its_counts_take_14_kilobytes_whatever_is_recorded() -> None:
    """650 kB of samples fit in, and a thousand times as many would."""
    h = LatencyHistogram()
    before = h.nbytes
    h.record_many(np.random.default_rng(1).lognormal(-6, 2, 81_250))
    assert h.nbytes == before <= 14_000


def test_a_rank_that_floats_round_up_is_the_right_one() -> None:
    """p99.9 of 10,000: rank 9,990, the last of the fast ones; 99.9/100·10,000 is above it."""
    h = of(*[0.001] * 9_990, *[1.0] * 10)
    assert h.percentile(99.9) == pytest.approx(0.001, rel=0.01)


@all_of
@given(st.lists(any_latency, max_size=100))
def test_minimum_maximum_mean_and_count_are_exact(samples: list[float]) -> None:
    """They are of the samples, not of the buckets; of nothing they are NaN."""
    h = of(*samples)
    assert h.count == len(samples)
    if not samples:
        assert math.isnan(h.min)
        assert math.isnan(h.max)
        assert math.isnan(h.mean)
        return
    assert (h.min, h.max) == (min(samples), max(samples))
    assert h.mean == pytest.approx(math.fsum(samples) / len(samples))
    assert h.percentiles((0, 100), estimate=True) == (min(samples), max(samples))


@given(st.lists(any_latency, max_size=100))
def test_an_array_counts_as_its_samples_do(samples: list[float]) -> None:
    """`record_many` is `record` many times."""
    many = LatencyHistogram()
    many.record_many(np.array(samples))
    assert state(many) == state(of(*samples))


@given(st.lists(any_latency, max_size=60), st.lists(any_latency, max_size=60))
def test_merging_is_exact(some: list[float], others: list[float]) -> None:
    """The sum of two histograms is the histogram of all; the one added stays as it was."""
    total, added = of(*some), of(*others)
    total.merge(added)
    assert state(total) == state(of(*some, *others))
    assert state(added) == state(of(*others))


def test_merging_with_itself_doubles_it() -> None:
    """And does not wait for a lock that it holds itself."""
    h = of(0.1, 0.2)
    at_once(lambda: h.merge(h))
    assert state(h) == state(of(0.1, 0.1, 0.2, 0.2))


@pytest.mark.parametrize(
    "other", [LatencyHistogram(lowest=1e-3), LatencyHistogram(precision=0.02), None, [0.1]]
)
def test_only_histograms_of_the_same_buckets_merge(other: object) -> None:
    """ValueError, and nothing is added."""
    h = of(0.1)
    with pytest.raises(ValueError, match=r"^other="):
        h.merge(other)  # type: ignore[arg-type]  # that is the test
    assert h.count == 1


def test_zero_is_counted_in_the_lowest_bucket() -> None:
    """With everything shorter than `lowest`, which is no more than that away from 0."""
    h = of(0.0, 1e-9, 9e-7, 1e-6)
    assert h.to_frame().iloc[0].tolist() == [0, 1e-6, 3, 0.75]
    assert 0 <= h.percentile(50, estimate=True) <= 1e-6
    assert of(*[0.0] * 30).percentile(50) == 0


def test_what_lies_above_the_highest_is_counted_and_told() -> None:
    """Infinity too: the request that never ended. The maximum stands for them, with a warning."""
    h = of(*[0.1] * 97, 3600.1, 1e300, math.inf)
    assert (h.count, h.overflow, h.max) == (100, 3, math.inf)
    assert h.to_frame().iloc[-1].tolist() == [3600, math.inf, 3, 1]
    assert h.percentile(90) == pytest.approx(0.1, rel=0.01)  # below them: no warning
    with pytest.warns(RuntimeWarning, match=r"3 of 100 latencies lie above highest=3600 s") as told:
        assert h.percentile(98, estimate=True) == math.inf
    assert told[0].filename == __file__  # it points at the line that asked
    assert of(0.1, 4000.0).percentile(100, estimate=True) == 4000  # one alone is known exactly


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize(
    "bad", [-1.0, -1, math.nan, np.float64(-1), True, np.True_, "1", None, [1.0], 1j], ids=repr
)
def test_what_is_no_latency_is_refused_at_once_and_nothing_pending_is_lost(bad: object) -> None:
    """ValueError where it was recorded, not later where somebody asks."""
    h = of(0.1, 0.2)
    with pytest.raises(ValueError, match=r"^seconds="):
        h.record(bad)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ValueError, match=r"^seconds"):
        h.record_many([bad])  # type: ignore[list-item]  # that is the test
    h.record(0.3)
    assert state(h) == state(of(0.1, 0.2, 0.3))


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_of_an_array_with_one_bad_sample_none_is_counted(bad: float) -> None:
    """The message says which one it is."""
    h = of(0.1)
    with pytest.raises(ValueError, match=rf"^seconds\[2\]={bad}"):
        h.record_many([0.3, 0.4, bad, bad])
    assert state(h) == state(of(0.1))


@pytest.mark.usefixtures("either_path")
def test_any_real_number_is_a_latency() -> None:
    """Whole numbers, numpy's, and those too large for a float."""
    h = of(2, np.float64(2), np.float32(2), np.int64(2), 10**400)
    assert (h.count, h.min, h.max, h.overflow) == (5, 2, math.inf, 1)


def test_a_tail_of_few_samples_is_refused_unless_an_estimate_will_do() -> None:
    """As for samples kept one by one."""
    h = of(*[0.1] * 999)
    with pytest.raises(TooFewSamplesError, match="p99 of 999 samples"):
        h.percentile(99)
    assert h.percentile(99, estimate=True) == 0.1
    h.record(0.1)
    assert h.percentile(99) == 0.1
    with pytest.raises(TooFewSamplesError, match="no samples"):
        LatencyHistogram().percentile(50, estimate=True)


@all_of
@given(st.lists(any_latency, min_size=1, max_size=100))
def test_the_frame_places_each_sample_between_its_buckets_edges(samples: list[float]) -> None:
    """Its rows are in order, do not overlap, add up to all samples, and their share to 1."""
    frame = of(*samples).to_frame()
    assert frame["count"].sum() == len(samples)
    assert frame["share"].iloc[-1] == 1
    assert (frame["lower"].to_numpy()[1:] >= frame["upper"].to_numpy()[:-1] * (1 - 1e-12)).all()
    ends = frame["count"].cumsum().to_numpy()
    for row, first, end in zip(frame.itertuples(), ends - frame["count"], ends, strict=True):
        for seconds in sorted(samples)[first:end]:
            assert row.lower * (1 - 1e-12) <= seconds <= row.upper * (1 + 1e-12)


def test_the_frame_of_nothing_is_empty() -> None:
    """With its columns, so that a plot of it works."""
    frame = LatencyHistogram().to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert (len(frame), list(frame)) == (0, ["lower", "upper", "count", "share"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"lowest": 0},
        {"lowest": math.nan},
        {"lowest": True},
        {"lowest": "1"},
        {"highest": 1e-6},
        {"highest": math.inf},
        {"precision": 0},
        {"precision": 1},
        {"precision": math.nan},
    ],
    ids=str,
)
def test_a_range_that_makes_no_sense_is_refused_by_name(arguments: dict[str, float]) -> None:
    """At construction, before anything is recorded."""
    with pytest.raises(ValueError, match=f"^{next(iter(arguments))}="):
        LatencyHistogram(**arguments)


@pytest.mark.usefixtures("either_path")
def test_memory_stays_bounded_when_nobody_asks() -> None:
    """What is pending is counted as soon as there is enough of it."""
    h, most = LatencyHistogram(), 0
    for _ in range(3 * histogram.PENDING + 5):
        h.record(0.1)
        most = max(most, len(h._pending))
    assert most <= histogram.PENDING
    assert h.count == 3 * histogram.PENDING + 5
    assert not h._pending


def test_a_sample_that_arrives_while_others_are_counted_is_not_lost() -> None:
    """Recording goes on without the lock: the very moment is forced here."""

    class Interrupted(LatencyHistogram):
        def _count(self, samples: np.ndarray) -> None:
            if 0.7 not in self._pending:
                self.record(0.7)  # as another thread would, between the copy and the removal
            super()._count(samples)

    h = Interrupted()
    h.record(0.1)
    assert h.count == 1
    assert h.count == 2
    assert (h.min, h.max) == (0.1, 0.7)


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Let threads take turns as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(*tasks: Callable[[], object]) -> None:
    """Run tasks in threads that start together; fail where one fails or does not end."""
    start, errors = threading.Barrier(len(tasks)), []

    def run(task: Callable[[], object]) -> None:
        start.wait()
        try:
            task()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in threads), "deadlock"
    assert not errors


@pytest.mark.usefixtures("either_path", "frequent_switches")
def test_nothing_is_lost_when_threads_record_flush_and_ask_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four threads record, so little may be pending that all of them flush, two others ask."""
    monkeypatch.setattr(histogram, "PENDING", 8)
    h, each = LatencyHistogram(), 5_000

    def record(seconds: float) -> Callable[[], None]:
        return lambda: [h.record(seconds) for _ in range(each)] and None

    def ask() -> None:
        counts = [0]
        for _ in range(300):
            counts.append(h.count)
            assert counts[-1] >= counts[-2]
            if counts[-1]:
                h.percentiles((50, 99), estimate=True)

    at_once(*(record(0.001 * 2**i) for i in range(4)), ask, ask)
    assert h.to_frame()["count"].tolist() == [each] * 4
    assert h.mean == pytest.approx(0.001 * 15 / 4)


@pytest.mark.usefixtures("frequent_switches")
def test_two_that_merge_each_other_do_not_wait_for_ever() -> None:
    """Also while others record into both."""
    one, two = of(0.1), of(0.2)

    def merge(into: LatencyHistogram, other: LatencyHistogram) -> Callable[[], None]:
        return lambda: [into.merge(other) for _ in range(20)] and None

    def record() -> None:
        for _ in range(5_000):
            one.record(0.1)
            two.record(0.2)

    at_once(merge(one, two), merge(two, one), record)
    assert {0.1, 0.2} == {one.min, one.max} == {two.min, two.max}


def test_merging_never_holds_both_locks() -> None:
    """Which is why two that merge each other cannot wait for each other, whatever the timing."""
    one, two = of(0.1), of(0.2)
    held = []

    class Watched:
        """A lock that notes whether the other one is held when it is taken."""

        def __init__(self, lock: threading.Lock, other: threading.Lock) -> None:
            self.lock, self.other = lock, other

        def __enter__(self) -> None:
            held.append(self.other.locked())
            self.lock.acquire()

        def __exit__(self, *error: object) -> None:
            self.lock.release()

    locks = one._lock, two._lock
    one._lock, two._lock = Watched(*locks), Watched(*reversed(locks))  # type: ignore[assignment]  # stand-ins
    one.merge(two)
    assert held == [False, False]
