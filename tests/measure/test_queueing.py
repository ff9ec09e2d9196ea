"""Queueing: the fast recursion is the plain one, and Little's law holds to the nanosecond."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perflab.measure import in_flight, mm1_response_time, response_times

whole = st.integers(0, 1_000_000)
steps = st.lists(st.tuples(whole, whole), min_size=1, max_size=60)
spans = st.lists(st.tuples(st.integers(0, 10**12), whole), min_size=1, max_size=60)


def by_loop(gaps, service):
    """Lindley's recursion as it is written in a book."""
    waits = [0.0]
    for gap, before in zip(gaps[1:], service[:-1], strict=True):
        waits.append(max(0.0, waits[-1] + before - gap))
    return [wait + own for wait, own in zip(waits, service, strict=True)]


@given(steps)
def test_the_walk_without_a_loop_is_lindleys_recursion(some):
    """On whole numbers to the last digit."""
    gaps, service = zip(*some, strict=True)
    assert response_times(gaps, service).tolist() == by_loop(gaps, service)


@given(steps, st.floats(1e-6, 1.0))
def test_fractions_agree_but_for_rounding(some, unit):
    """In seconds as in nanoseconds."""
    gaps, service = (np.array(one) * unit for one in zip(*some, strict=True))
    assert response_times(gaps, service) == pytest.approx(by_loop(gaps, service), rel=1e-9)


def test_who_comes_to_an_empty_server_does_not_wait():
    """And who comes early waits for all before."""
    assert response_times([0, 10, 10], [3, 3, 3]).tolist() == [3, 3, 3]
    assert response_times([0, 0, 0], [3, 3, 3]).tolist() == [3, 6, 9]
    assert response_times([99, 1, 5], [3, 3, 3]).tolist() == [3, 5, 3]


@given(spans)
def test_littles_law_is_exact(some):
    """The area under the count is the sum of all stays, in any trace of whole nanoseconds."""
    start = np.array([at for at, _ in some])
    end = start + np.array([stay for _, stay in some])
    there = in_flight(start, end)
    assert there.area_ns == int((end - start).sum())
    span = int(end.max() - start.min())
    if span:
        rate, stay = len(some) / span, there.area_ns / len(some)
        assert there.mean == pytest.approx(rate * stay)
    else:
        assert math.isnan(there.mean)


@given(spans, st.integers(-10, 10**12 + 10**7))
def test_the_count_is_who_has_come_and_not_gone(some, moment):
    """At any moment, also before the first and after the last."""
    start = np.array([at for at, _ in some])
    end = start + np.array([stay for _, stay in some])
    there = in_flight(start, end)
    assert there.at(moment) == ((start <= moment) & (moment < end)).sum()
    assert there.count[-1] == 0
    assert (there.count >= 0).all()


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_a_long_run_comes_near_the_formula(load):
    """M/M/1 by Lindley's recursion, from a seed, within some per cent of S ÷ (1 − ρ)."""
    rng = np.random.default_rng(1)
    gaps, service = rng.exponential(5 / load, 200_000), rng.exponential(5, 200_000)
    mean = response_times(gaps, service).mean()
    assert mean == pytest.approx(mm1_response_time(load / 5, 5), rel=0.03)


def test_an_idle_server_answers_in_the_service_time():
    """And at half load in twice that."""
    assert mm1_response_time(0, 5) == 5
    assert mm1_response_time(np.float64(0.1), np.int64(5)) == 10


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (lambda: response_times([], []), "gaps="),
        (lambda: response_times([1, 2], [1]), "gaps=(2,)"),
        (lambda: response_times([[1]], [[1]]), "gaps="),
        (lambda: response_times([1, -1], [1, 1]), "gaps="),
        (lambda: response_times([1, 1], [1, math.nan]), "service="),
        (lambda: response_times([1, math.inf], [1, 1]), "gaps="),
        (lambda: mm1_response_time(0.2, 5), "utilisation=1.0"),
        (lambda: mm1_response_time(-1, -0.1), "rate=-1"),
        (lambda: mm1_response_time(math.nan, 5), "rate=nan"),
        (lambda: mm1_response_time(0.1, True), "service_time=True"),
        (lambda: in_flight([], []), "start_ns="),
        (lambda: in_flight([1], [1, 2]), "start_ns="),
        (lambda: in_flight([2], [1]), "end_ns="),
        (lambda: in_flight([0.5], [0.9]), "start_ns="),
        (lambda: in_flight([1], [math.nan]), "end_ns="),
    ],
)
def test_what_is_no_trace_is_named(act, named):
    """Seconds given for nanoseconds would all be 0: they are refused."""
    with pytest.raises(ValueError, match="must be") as error:
        act()
    assert named in str(error.value)
