"""What load is asked for: refusals, schedules and routes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perflab.systems import Closed, Open
from perflab.systems.loadgen import arrival_times

NONSENSE = [math.nan, math.inf, -1, True, "3", None, [1], 1e12]


@pytest.mark.parametrize("bad", [*NONSENSE, 0])
def test_a_rate_that_makes_no_sense_is_refused_by_name(bad):
    """An open workload says which value it cannot work with."""
    with pytest.raises(ValueError, match="rate="):
        Open(bad)


@pytest.mark.parametrize("bad", [x for x in [*NONSENSE, 0] if x is not None])
@pytest.mark.parametrize("name", ["users", "duration", "requests"])
def test_a_closed_workload_refuses_nonsense_by_name(name, bad):
    """Every number of a closed workload is checked when it is made."""
    with pytest.raises(ValueError, match=f"{name}="):
        Closed(**{name: bad})


@pytest.mark.parametrize("bad", NONSENSE)
def test_a_think_time_that_makes_no_sense_is_refused_by_name(bad):
    """A think time may be 0, and no more nonsense than the rest."""
    with pytest.raises(ValueError, match="think_time="):
        Closed(think_time=bad)


@pytest.mark.parametrize("bad", ["bursts", [], [[1.0]], [-1.0], [2.0, 1.0], [math.nan]])
def test_arrivals_that_make_no_sense_are_refused_by_name(bad):
    """A schedule is a style that is known, or ascending finite times."""
    with pytest.raises(ValueError, match="arrivals="):
        Open(None if not isinstance(bad, str) else 10, arrivals=bad)


def test_a_whole_number_is_asked_for_where_things_are_counted():
    """Two and a half users are refused."""
    with pytest.raises(ValueError, match="users="):
        Closed(users=2.5)


def test_a_schedule_takes_no_rate_beside_it_and_sets_the_duration():
    """Start times that are given say all."""
    assert Open(arrivals=[0.0, 0.5, 2.0]).duration == 2.0
    assert Open(arrivals=[0.0, 0.5], duration=1.0).duration == 1.0
    with pytest.raises(ValueError, match="rate="):
        Open(10, arrivals=[0.0])
    with pytest.raises(ValueError, match="duration="):
        Open(duration=1.0, arrivals=[0.0, 2.0])


@given(st.floats(1, 5000), st.floats(0.01, 5))
def test_constant_arrivals_are_evenly_spaced_and_fill_the_duration(rate, duration):
    """As many as rate × duration, one every 1/rate, all within the duration."""
    times = Open(rate, duration).schedule()
    assert abs(times.size - rate * duration) <= 1
    assert times[0] == 0
    assert times[-1] < duration
    assert np.allclose(times, np.arange(times.size) / rate)


def test_a_rate_of_one_tenth_over_thirty_seconds_is_three_requests():
    """A product that floating point puts just above 3 is not rounded up to 4."""
    assert Open(0.1, 30).schedule().size == 3
    assert Open(100, 0.07).schedule().size == 7


def test_poisson_arrivals_have_exponential_gaps():
    """Mean and standard deviation of the gaps are both 1/rate, within 5 standard errors."""
    gaps = np.diff(Open(1000, 100, "poisson").schedule(seed=3))
    n = gaps.size
    assert abs(n - 100_000) < 5 * math.sqrt(100_000)
    assert abs(gaps.mean() * 1000 - 1) < 5 / math.sqrt(n)
    assert abs(gaps.std() * 1000 - 1) < 5 * math.sqrt(2 / n)


def test_the_seed_decides_the_arrivals():
    """The same seed gives the same schedule, another seed another."""
    workload = Open(50, 5, "poisson")
    assert np.array_equal(workload.schedule(7), workload.schedule(7))
    assert not np.array_equal(workload.schedule(7), workload.schedule(8))


def test_a_step_changes_the_rate_at_its_moment():
    """100 a second for 2 s, then 400 for 1 s."""
    times = arrival_times([(100, 100, 2), (400, 400, 1)])
    assert (times < 2).sum() == 200
    assert (times >= 2).sum() == 400
    assert np.allclose(np.diff(times[times >= 2]), 1 / 400)


def test_a_ramp_grows_as_its_integral():
    """From 0 to 100 a second over 10 s: 500 requests, a quarter of them in the first half."""
    times = arrival_times([(0, 100, 10)])
    assert times.size == 500
    assert (times < 5).sum() == 125
    assert np.allclose(5 * times**2, np.arange(500))


def test_a_ramp_down_to_nothing_ends():
    """The last request of a rate that fades comes before the end."""
    times = arrival_times([(100, 0, 10)])
    assert times.size == 500
    assert times[-1] < 10
    assert (np.diff(times) > 0).all()
