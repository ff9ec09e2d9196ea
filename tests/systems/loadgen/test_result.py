"""What a result says about samples that are known."""

import numpy as np
import pytest

from perflab.measure.machine import Machine
from perflab.systems import Closed, LoadResult, Open
from perflab.systems.loadgen.progress import READING_TYPE, SAMPLE_TYPE, Tracker
from perflab.systems.loadgen.wire import ERRORS, READING, SAMPLE


def sample(intended, start, end, error="none", status=200, lateness=0.0):
    code = ERRORS.index(error)
    return SAMPLE.pack(intended, start, end, lateness, 0, 0, 0, 5, 0, status, code, 0)


def result_of(workload, *samples, readings=()):
    tracker = Tracker(workload, 0.0)
    tracker.add_samples(b"".join(samples))
    tracker.add_readings(b"".join(READING.pack(*reading) for reading in readings))
    return LoadResult(
        target="http://127.0.0.1:1", paths=("/",), workload=workload, settings={},
        samples=tracker.samples(), readings=tracker.readings(), not_sent=0, t0=0.0,
        machine=Machine.here(),
    )  # fmt: skip


def test_samples_come_in_the_order_of_their_intended_start():
    """They were recorded as they ended; whoever started first stands first."""
    result = result_of(Open(2, 1), sample(0.5, 0.5, 0.6), sample(0.0, 0.1, 0.9))
    assert result.intended_start.tolist() == [0.0, 0.5]
    assert result.start.tolist() == [0.1, 0.5]
    assert result.end.tolist() == [0.9, 0.6]


def test_response_time_counts_from_the_intended_start():
    """Sent 0.25 s late and answered in 0.5 s: the user waited 0.75 s."""
    result = result_of(Open(1, 1), sample(0.0, 0.25, 0.75))
    assert result.response_time.tolist() == [0.75]
    assert result.wait_time.tolist() == [0.25]
    assert result.service_time.tolist() == [0.5]


def test_throughput_counts_successes_within_the_window():
    """Of five requests in 2 s one failed and one ended too late: 1.5 a second."""
    good = [sample(t, t, t + 0.5) for t in (0.0, 0.5, 1.0)]
    late, bad = sample(1.5, 1.5, 2.5), sample(1.5, 1.5, 1.6, "timeout", 0)
    assert result_of(Open(2.5, 2), *good, late, bad).throughput == 1.5


def test_the_window_of_a_counted_run_ends_with_its_last_request():
    """Four requests in half a second are eight a second."""
    samples = [sample(t, t, t + 0.125) for t in (0, 0.125, 0.25, 0.375)]
    assert result_of(Closed(1, requests=4), *samples).throughput == 8


def test_percentiles_are_those_of_the_successes():
    """A failure that came fast does not make the server look fast."""
    samples = [sample(0, 0, t) for t in (1, 2, 3, 4)] + [sample(0, 0, 0.001, "reset", 0)] * 50
    result = result_of(Open(60, 1), *samples)
    assert [result.percentile(p) for p in (0, 25, 50, 51, 100)] == [1, 1, 2, 3, 4]
    assert result.errors == {"reset": 50}
    assert np.isnan(result_of(Open(60, 1), samples[-1]).percentile(50))


@pytest.mark.parametrize("bad", [-1, 101, float("nan")])
def test_a_percentile_that_makes_no_sense_is_refused(bad):
    """Percentiles run from 0 to 100, of one of the times that there are."""
    result = result_of(Open(1, 1), sample(0, 0, 1))
    with pytest.raises(ValueError, match="p="):
        result.percentile(bad)
    with pytest.raises(ValueError, match="of="):
        result.percentile(50, "status")


def test_a_run_without_a_request_has_a_result():
    """Nothing sent, nothing known, nothing raised."""
    result = result_of(Open(1, 1))
    assert result.throughput == 0
    assert result.errors == {}
    assert len(result.to_frame()) == 0
    assert len(result.per_second()) == 1
    assert "0 requests" in repr(result)


def test_the_seconds_hold_each_request_once():
    """Each count goes to the second in which it happened."""
    result = result_of(
        Open(2, 2), sample(0.5, 0.5, 0.75), sample(0.9, 1.0, 1.5), sample(1.5, 1.5, 3.25, "reset")
    )
    seconds = result.per_second()
    assert seconds["intended"].tolist() == [2, 1, 0, 0]
    assert seconds["sent"].tolist() == [1, 2, 0, 0]
    assert seconds["ok"].tolist() == [1, 1, 0, 0]
    assert seconds["errors"].tolist() == [0, 0, 0, 1]
    assert seconds["p50"].tolist()[:2] == [0.25, 0.6]
    assert seconds["p99"].isna().tolist() == [False, False, True, True]


def test_the_table_has_a_row_for_each_request():
    """With the names of the arrays."""
    frame = result_of(Open(2, 1), sample(0, 0.5, 1), sample(0.5, 0.5, 1, "reset", 0)).to_frame()
    assert frame["path"].tolist() == ["/", "/"]
    assert frame["error"].tolist() == ["none", "reset"]
    assert frame["response_time"].tolist() == [1.0, 0.5]


def test_cpu_is_an_average_over_the_readings():
    """1.5 s of CPU in 2 s is three quarters of a core; what was not read is nan."""
    readings = [(0.0, 1e6, 1.0, -1.0, -1.0), (1.0, 2e6, 2.25, -1.0, -1.0), (2.0, 3e6, 2.5, -1, -1)]
    result = result_of(Open(1, 2), readings=readings)
    assert result.tester_cpu == 0.75
    assert np.isnan(result.server_cpu)
    assert np.isnan(result.readings["server_rss"]).all()
    assert result.readings["tester_rss"].tolist() == [1e6, 2e6, 3e6]


def test_a_result_cannot_be_changed():
    """Its arrays are read-only."""
    result = result_of(Open(1, 1), sample(0, 0, 1))
    with pytest.raises(ValueError, match="read-only"):
        result.start[0] = 5


def test_records_are_as_long_as_their_types():
    """What the engine packs is what the caller unpacks; a million samples are 50 MB."""
    assert SAMPLE.size == SAMPLE_TYPE.itemsize == 50
    assert READING.size == READING_TYPE.itemsize


def test_progress_speaks_of_the_interval_since_the_last_report():
    """Rate and percentiles are of the fresh samples, requests and errors of all."""
    tracker = Tracker(Closed(1, requests=10), 0.0)
    tracker.add_samples(sample(0, 0, 1) + sample(0, 0, 0.5, "reset", 0))
    tracker.add_readings(READING.pack(2.0, 7e6, 0.1, 9e6, 0.1))
    first = tracker.progress()
    assert (first.requests, first.errors, first.rate, first.p50) == (2, 1, 0.5, 1.0)
    assert (first.elapsed, first.tester_rss, first.server_rss) == (2.0, 7e6, 9e6)
    assert first.fraction == 0.2
    tracker.add_samples(sample(2, 2, 2.25) + sample(2, 2, 2.5))
    tracker.add_readings(READING.pack(3.0, 7e6, 0.1, -1.0, -1.0))
    second = tracker.progress()
    assert (second.requests, second.errors, second.rate, second.p99) == (4, 1, 2.0, 0.5)
    assert np.isnan(second.server_rss)
    assert tracker.progress(over=True).fraction == 1.0
