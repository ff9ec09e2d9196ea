"""Two results compared: what the interval covers, on samples whose dependence is known."""

import dataclasses

import numpy as np
import pytest

from perflab.errors import DifferentMachinesError, TooFewSamplesError
from perflab.measure.machine import Machine
from perflab.systems import LoadResult, Open
from perflab.systems.loadgen.progress import READING_TYPE, SAMPLE_TYPE

SPAN = 10.0


def run(took, start=None):
    """A result whose requests took so long, sent evenly over ten seconds if nothing is said."""
    samples = np.zeros(len(took), SAMPLE_TYPE)
    start = np.arange(len(took)) * SPAN / len(took) if start is None else start
    samples["intended_start"] = samples["start"] = start
    samples["end"] = start + took
    return LoadResult(
        "http://127.0.0.1:1", ("/",), Open(len(took) / SPAN, SPAN), {}, samples,
        np.zeros(0, READING_TYPE), 0, 0.0, Machine.here(),
    )  # fmt: skip


def autocorrelated(n, rng, phi):
    """Response times around 2.5 ms whose logarithm remembers `phi` of its last value."""
    shocks = rng.standard_normal(n + 1000) * np.sqrt(1 - phi * phi)
    logs, level = [], 0.0
    for shock in shocks.tolist():
        level = phi * level + shock
        logs.append(level)
    return np.exp(-6 + 0.5 * np.array(logs[1000:]))


@pytest.mark.parametrize("p", [50, 99])
def test_the_interval_covers_the_truth_where_neighbours_depend_on_each_other(p):
    """Of 25 pairs of runs from one source at least 23 intervals hold 1. A bootstrap of single
    requests, which takes them for independent, holds it in fewer than 20."""
    rng = np.random.default_rng(7)
    pairs = [[run(autocorrelated(5000, rng, 0.97)) for _ in "ab"] for _ in range(25)]
    found = [one.compare(other, p) for one, other in pairs]
    assert sum(each.low <= 1 <= each.high for each in found) >= 23
    single = [naive(one, other, p, rng) for one, other in pairs]
    assert sum(low <= 1 <= high for low, high in single) < 20


def naive(one, other, p, rng):
    """The 99 % interval of a bootstrap that draws requests one by one."""
    draws = []
    for _ in range(100):
        a, b = (rng.choice(result.response_time, 5000) for result in (one, other))
        draws.append(np.percentile(b, p) / np.percentile(a, p))
    return np.percentile(draws, [0.5, 99.5])


def test_the_interval_is_as_wide_as_theory_has_it_where_requests_are_independent():
    """The logarithm of the median of n exponential times strays by 1/(√n ln 2), that of a ratio
    by √2 as much, and 2.576 of that lie on each side: whole stretches widen it no further."""
    rng, n = np.random.default_rng(8), 5000
    pairs = [[run(rng.exponential(0.01, n)) for _ in "ab"] for _ in range(10)]
    found = [one.compare(other, 50) for one, other in pairs]
    width = np.mean([np.log(each.high / each.low) for each in found])
    assert width == pytest.approx(2 * 2.576 * np.sqrt(2 / n) / np.log(2), rel=0.15)


def test_the_interval_is_that_of_runs_put_together_in_fact():
    """Counting in cells gives the percentiles that sorting each drawn run gives, exactly."""
    from perflab.systems.loadgen import comparing

    rng = np.random.default_rng(3)
    took = rng.exponential(size=3000)
    cell = np.sort(rng.integers(comparing.CELLS, size=3000))
    fast = comparing._drawn(took, cell, 99, np.random.default_rng(5))
    weights = comparing._weights(np.random.default_rng(5)).astype(int)
    slow = [np.percentile(np.repeat(took, row[cell]), 99, method="inverted_cdf") for row in weights]
    assert fast.tolist() == slow


def test_slower_is_how_many_times_the_others_percentile_is_ours():
    """The other one takes twice as long; turned round it takes half."""
    rng = np.random.default_rng(1)
    one, other = (run(factor * autocorrelated(20_000, rng, 0.5)) for factor in (1, 2))
    forth, back = one.compare(other), other.compare(one)
    assert forth.verdict == "slower"
    assert forth.low < 2 < forth.high
    assert back.verdict == "faster"
    assert back.ratio == pytest.approx(1 / forth.ratio)


def test_a_run_is_the_same_as_itself_shifted_by_one_percent():
    """Where nothing varies the interval is a point, and within 3 % of 1 is the same."""
    same = run(np.full(2000, 0.1)).compare(run(np.full(2000, 0.101)))
    assert same.verdict == "same"
    assert [same.low, same.ratio, same.high] == pytest.approx([1.01] * 3)


def test_one_pause_is_one_fact_however_many_requests_waited_in_it():
    """2 % of the requests lie in one pause of one run: that alone makes no run slower."""
    quiet, paused = np.full(10_000, 0.001), np.full(10_000, 0.001)
    paused[5000:5200] = 0.2
    found = run(quiet).compare(run(paused))
    assert found.ratio == pytest.approx(200)
    assert found.verdict == "inconclusive"


def test_a_burst_at_one_moment_is_no_stretch_of_time():
    """Where all requests start at once nothing can be drawn: no interval, and no verdict."""
    burst = run(np.linspace(0.1, 0.2, 2000), start=np.zeros(2000))
    found = burst.compare(burst)
    assert (found.low, found.high, found.verdict) == (0, np.inf, "inconclusive")


def test_the_same_runs_give_the_same_interval():
    """The draws are seeded."""
    rng = np.random.default_rng(2)
    one, other = (run(autocorrelated(3000, rng, 0.9)) for _ in "ab")
    assert one.compare(other) == one.compare(other)


def test_a_run_without_any_delay_is_the_same_as_another():
    """0 ÷ 0 is 1 here; anything ÷ 0 is infinitely slower."""
    none, some = run(np.zeros(2000)), run(np.ones(2000))
    assert none.compare(none).verdict == "same"
    assert none.compare(some).ratio == np.inf
    assert some.compare(none).ratio == 0


def test_failures_are_not_compared():
    """A fast refusal is no response time."""
    slow = run(np.full(4000, 0.1))
    mixed = slow.samples.copy()
    mixed["error"][::2] = 2
    mixed["end"][::2] = mixed["start"][::2]
    assert slow.compare(dataclasses.replace(slow, samples=mixed)).ratio == pytest.approx(1)


def test_results_of_two_machines_are_not_compared():
    """Nor are they where only the Python differs; its last digit may."""
    here = run(np.full(2000, 0.1))
    other = dataclasses.replace(here.machine, cpu="Another CPU")
    with pytest.raises(DifferentMachinesError, match="Another CPU"):
        here.compare(dataclasses.replace(here, machine=other))
    series = ".".join(here.machine.python.split(".")[:2])
    update = dataclasses.replace(here.machine, python=f"{series}.99")
    assert here.compare(dataclasses.replace(here, machine=update)).verdict == "same"


def test_a_tail_of_few_samples_is_refused():
    """p99 of 999 has fewer than ten beyond it, whichever of the two it is."""
    enough, few = run(np.full(1000, 0.1)), run(np.full(999, 0.1))
    assert enough.compare(enough).verdict == "same"
    for one, other in ((enough, few), (few, enough)):
        with pytest.raises(TooFewSamplesError, match="999"):
            one.compare(other)


@pytest.mark.parametrize("bad", [-1, 101, float("nan"), True, "99"])
def test_a_percentile_that_makes_no_sense_is_not_compared(bad):
    """As everywhere."""
    one = run(np.full(1000, 0.1))
    with pytest.raises(ValueError, match="p="):
        one.compare(one, bad)
    with pytest.raises(ValueError, match="other="):
        one.compare(1)
