"""Limits that hold or break, and when a result warns of its own generator."""

import dataclasses
import math

import numpy as np
import pytest

from perflab.measure.machine import Machine
from perflab.systems import LoadResult, Open
from perflab.systems.loadgen.progress import READING_TYPE, SAMPLE_TYPE


def run(n=1000, took=0.1, failed=0, not_sent=0, late=0.0, cpu=0.5):
    """`n` requests over 10 s, each `took` seconds, the first `failed` of them in vain."""
    samples = np.zeros(n, SAMPLE_TYPE)
    samples["intended_start"] = samples["start"] = np.arange(n) * 10 / max(n, 1)
    samples["end"] = samples["start"] + took
    samples["lateness"] = late
    samples["error"][:failed] = 1
    readings = np.full(2, np.nan, READING_TYPE)
    readings["time"], readings["tester_cpu"] = (0, 10), (0, 10 * cpu)
    return LoadResult(
        "http://127.0.0.1:1", ("/",), Open(n / 10 or 1, 10), {}, samples, readings, not_sent, 0.0,
        Machine.here(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kept", "broken"),
    [
        ("p50", 0.11, 0.09),
        ("p95", 0.11, 0.09),
        ("p99", 0.11, 0.09),
        ("errors", 0.01, 0.009),
        ("not_sent", 3, 2),
        ("throughput", 99, 99.1),
        ("lateness_p99", 0.02, 0.01),
    ],
)
def test_a_limit_holds_on_one_side_and_breaks_on_the_other(name, kept, broken):
    """Of 1,010 requests ten failed, ten ended too late; three more were not sent."""
    result = run(1010, took=0.1, failed=10, not_sent=3, late=0.0125)
    assert result.meets(**{name: kept})
    assert not result.meets(**{name: broken})


def test_a_limit_that_is_met_exactly_holds():
    """At most and at least include the limit."""
    result = run(1000, failed=10, not_sent=2)
    found = result.meets(errors=0.01, not_sent=2, throughput=result.throughput)
    assert found
    assert [row.holds for row in found] == [True] * 3


def test_all_limits_have_to_hold_and_each_has_a_row():
    """One broken limit is enough; the rows say which."""
    found = run().meets(p50=0.2, p99=0.05, errors=0)
    assert not found
    assert [(name, limit, holds) for name, limit, _, holds in found] == [
        ("p50", 0.2, True), ("p99", 0.05, False), ("errors", 0.0, True)
    ]  # fmt: skip
    assert [row.found for row in found] == pytest.approx([0.1, 0.1, 0])
    assert len(found) == 3


def test_a_percentile_of_too_few_samples_breaks_its_limit_and_says_so():
    """1,000 successes carry a p99; they carry no p99.9, however fast they were."""
    found = run(1000).meets(p99=0.2, p999=3600)
    ((_, _, _, carried), (_, _, tail, holds)) = found
    assert carried
    assert math.isnan(tail)
    assert not holds
    assert "10,000 are needed" in repr(found)
    assert "1,000 are needed" in repr(run(999).meets(lateness_p99=1))


def test_a_run_that_sent_nothing_keeps_no_limit_on_what_it_does_not_show():
    """nan never passes."""
    found = run(0).meets(p50=1, errors=1, throughput=1, lateness_p99=1)
    assert not any(row.holds for row in found)
    assert "nothing was sent" in repr(found)


def test_the_table_says_what_was_asked_and_found():
    """In milliseconds, per cent and per second; once as text and once as a table."""
    found = run(1000, took=0.105, failed=10).meets(p50=0.2, errors=0.005, throughput=1)
    lines = [line.split() for line in repr(found).splitlines()]
    assert lines[1] == ["p50", "≤", "200", "ms", "105", "ms", "holds"]
    assert lines[2] == ["errors", "≤", "0.5", "%", "1", "%", "broken"]
    assert lines[3][:4] == ["throughput", "≥", "1.0/s", "98.0/s"]
    page = found._repr_html_()
    assert page.count("<tr>") == 4
    assert "<td>broken</td>" in page


@pytest.mark.parametrize(
    ("name", "bad"),
    [("p50", 0), ("p95", -1), ("p99", math.nan), ("p999", math.inf), ("p99", "0.2"),
     ("p99", True), ("p99", 5000), ("errors", 1.1), ("errors", -0.1), ("not_sent", 0.5),
     ("not_sent", -1), ("throughput", 0), ("throughput", math.nan), ("lateness_p99", 0)],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused(name, bad):
    """By its name; and so is a question without any limit."""
    with pytest.raises(ValueError, match=f"{name}="):
        run().meets(**{name: bad})
    with pytest.raises(ValueError, match="limits="):
        run().meets()


def test_a_generator_that_kept_up_is_not_mentioned():
    """Timers stray by a tenth of a millisecond: that is no fault."""
    for fine in (run(cpu=0.9), run(late=0.01), run(took=0.0005, late=0.0001), run(0)):
        assert fine.warnings == ()
        assert "beware" not in repr(fine)


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("0.95 of a core", {"cpu": 0.95}),
        ("late: p99 11.00 ms", {"late": 0.011}),
        ("late: p99 0.12 ms", {"late": 0.00012, "took": 0.001}),
        ("7 requests were not sent", {"not_sent": 7}),
    ],
)
def test_a_generator_that_was_the_bottleneck_is_named(told, change):
    """In `warnings`, one for each reason, and below the result's own line."""
    result = run(**change)
    assert len(result.warnings) == 1
    assert told in result.warnings[0]
    assert told in repr(result).splitlines()[1]


def test_tls_takes_a_time_of_its_own():
    """Seconds from the start until TLS stood, as the engine wrote them."""
    samples = run(2).samples
    samples["tls"] = (0.25, 0)
    assert dataclasses.replace(run(2), samples=samples).tls_time.tolist() == [0.25, 0]
