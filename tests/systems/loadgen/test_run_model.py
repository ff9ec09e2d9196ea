"""The load generator on virtual time: what arithmetic demands, to the last digit."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perflab.measure import Answer, ModelServer, in_flight, response_times
from perflab.systems.loadgen import Closed, Open, Scenario, run_model

EXACT = 1e-9  # seconds: rounding of sums, a million times below what is measured


def frozen_response(start, service, freeze):
    """By hand, for a server with room for all: who comes while it is frozen waits for the end."""
    begin, end = freeze
    within = (start >= begin) & (start < end)
    caught = (start < begin) & (start + service > begin)
    return service + np.where(within, end - start, 0.0) + np.where(caught, end - begin, 0.0)


def test_a_freeze_of_a_second_is_seen_in_full_by_everyone_who_arrives_in_it():
    """1,000 a second for 10 s: 1,001 of 10,000 requests wait, up to the whole second."""
    freeze = (3.0005, 4.0005)  # between two arrivals, so that rounding decides nothing
    server = ModelServer(slots=1001, service=0.001, frozen=freeze)
    result = run_model(server, Open(1000, 10))
    assert result.ok.all()
    assert server.arrived == result.start.size == 10_000
    assert result.not_sent == 0
    assert (result.lateness == 0).all()
    assert (result.start == result.intended_start).all()
    wanted = frozen_response(np.arange(10_000) / 1000, 0.001, freeze)
    assert np.abs(result.response_time - wanted).max() < EXACT
    # Nearest rank: the 10th largest. The largest is 1.001 s, that of the request which came at 3.0
    # and was half done; then 1.0005 s for who came at 3.001, and 1 ms less for each that follows.
    assert result.percentile(100) == pytest.approx(1.001, abs=EXACT)
    assert result.percentile(99.9) == pytest.approx(0.9925, abs=EXACT)
    assert result.percentile(89) == pytest.approx(0.001, abs=EXACT)


def test_who_has_to_wait_for_a_connection_still_counts_from_when_it_was_due():
    """One connection: only one request sees the freeze, yet the result has it in full."""
    server = ModelServer(slots=1, service=0.0005, frozen=(3.0, 4.0))
    result = run_model(server, Open(1000, 10), connections=1)
    start = np.arange(10_000) / 1000
    finish, wanted = -math.inf, []
    for due in start:
        begin = max(due, finish)
        finish = begin + frozen_response(np.array(begin), 0.0005, (3.0, 4.0))
        wanted.append(finish - due)
    assert np.abs(result.response_time - wanted).max() < 1e-8
    assert (result.service_time > 0.01).sum() == 1
    assert (result.lateness == 0).all()
    assert result.percentile(99.9) > 0.98


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 60)), min_size=1, max_size=50))
def test_one_slot_is_lindleys_queue(steps):
    """Whole seconds, so that nothing is rounded; no two at once, whose order would be open."""
    gaps, service = zip(*steps, strict=True)
    server = ModelServer(service=lambda n: float(service[n]))
    arrivals = np.cumsum(gaps).astype(float)
    result = run_model(server, Open(arrivals=arrivals), timeout=3600, grace=3600)
    assert result.response_time.tolist() == response_times(gaps, service).tolist()


@pytest.mark.parametrize(("users", "think_time"), [(1, 0.0), (5, 0.0), (5, 0.01)])
def test_a_closed_workload_has_at_most_its_users_in_flight(users, think_time):
    """And without thinking exactly as many, from the first request to the deadline."""
    result = run_model(ModelServer(slots=3, service=0.007), Closed(users, 2, think_time=think_time))
    start, end = (np.rint(times * 1e9).astype(np.int64) for times in (result.start, result.end))
    count = in_flight(start, end)
    assert count.count.max() <= users
    if not think_time:
        assert (count.at(np.arange(0, 1_990_000_000, 500_000)) == users).all()


def test_a_closed_workload_answers_for_its_rate_by_littles_law():
    """Ten users, 10 ms to answer and 90 ms to think: 10 ÷ 0.1 s, and each waits for nobody."""
    result = run_model(ModelServer(slots=10, service=0.01), Closed(10, 10, think_time=0.09))
    assert result.throughput == pytest.approx(100)
    assert np.abs(result.response_time - 0.01).max() < EXACT


def test_a_closed_workload_ends_after_its_requests():
    """As many as were asked for, the warm-up on top of them."""
    server = ModelServer(service=0.25)
    result = run_model(server, Closed(1, requests=8), warm_up=1.0)
    assert result.start.tolist() == [0.25 * k for k in range(8)]
    assert server.arrived == 12


def test_what_finds_no_connection_until_the_end_is_counted_as_not_sent():
    """Two connections, 1 s each, 10 a second for 3 s and 2 s of grace: two begin each second."""
    server = ModelServer(slots=2, service=1.0)
    result = run_model(server, Open(10, 3), connections=2, grace=2.0)
    begun = Counter(result.start.round(6).tolist())
    assert begun == {0.0: 1, 0.1: 1, 1.0: 1, 1.1: 1, 2.0: 1, 2.1: 1, 3.0: 1, 3.1: 1, 4.0: 1, 4.1: 1}
    assert result.not_sent == 20
    assert result.connections_opened == 2
    assert server.arrived == 10
    assert any("not sent" in warning for warning in result.warnings)


def test_a_request_that_takes_too_long_is_a_timeout_and_the_server_works_on():
    """Every answer but the first comes too late, since its queue was never left."""
    server = ModelServer(service=1.0)
    result = run_model(server, Open(2, 5), timeout=1.5)
    # Request k comes at k ÷ 2 and is done at k + 1: it takes 1 + k ÷ 2, of which 1.5 are allowed.
    assert result.errors == {"timeout": 8}
    assert result.response_time.tolist() == [1.0] + [1.5] * 9
    assert result.status.tolist() == [200, 200] + [0] * 8


def test_failures_are_counted_and_quick():
    """Every fourth request fails; the rest is not the slower for it."""
    server = ModelServer(slots=50, service=0.01, fails=lambda n: n % 4 == 0)
    result = run_model(server, Open(100, 10))
    assert result.errors == {"status": 250}
    assert Counter(result.status.tolist()) == {200: 750, 500: 250}
    assert result.response_time[~result.ok].max() == pytest.approx(0.001)


def test_the_warm_up_is_not_in_the_result_but_before_it():
    """The server's clock is the result's: its freeze from 1 to 2 is where it belongs."""
    server = ModelServer(slots=100, service=0.0, frozen=(1.0, 2.0))
    result = run_model(server, Open(10, 3), warm_up=2.0)
    assert server.arrived == 50
    assert result.start.size == 30
    assert result.t0 == 0
    slow = result.intended_start[result.response_time > EXACT]
    assert slow.tolist() == [k / 10 for k in range(10, 20)]


def test_routes_are_drawn_as_on_a_real_run():
    """By weight and seed, in the record of each request."""
    scenario = Scenario(Open(1000, 1), route={"/a": 3, "/b": 1}, seed=7)
    first, again = (run_model(ModelServer(slots=9), scenario) for _ in range(2))
    assert first.samples.tobytes() == again.samples.tobytes()
    assert first.paths == ("/a", "/b")
    assert abs((first.route == 0).sum() - 750) < 5 * (1000 * 0.75 * 0.25) ** 0.5


def test_memory_of_nobody_is_not_made_up():
    """No process took part, so none has used anything."""
    result = run_model(ModelServer(), Open(10, 1))
    assert result.readings.size == 0
    assert math.isnan(result.server_cpu)
    assert math.isnan(result.tester_cpu)
    assert "10 requests" in repr(result)


def test_whatever_answers_is_a_model():
    """It is asked once for each request, at the time at which that is sent."""

    class Fixed:
        def __init__(self):
            self.asked = []

        def arrive(self, now):
            self.asked.append(now)
            return Answer(0.5, 404)

    server = Fixed()
    result = run_model(server, Open(4, 1))
    assert server.asked == [0.0, 0.25, 0.5, 0.75]
    assert result.errors == {"status": 4}


@pytest.mark.parametrize("server", [None, "http://127.0.0.1", 3, object()])
def test_what_is_no_model_is_refused_by_name(server):
    """Before anything begins."""
    with pytest.raises(ValueError, match=r"^server="):
        run_model(server, Open(10, 1))


def test_what_makes_no_sense_is_refused_by_name():
    """The arguments are those of run_load."""
    with pytest.raises(ValueError, match=r"^timeout="):
        run_model(ModelServer(), Open(10, 1), timeout=0)
    with pytest.raises(ValueError, match=r"^workload="):
        run_model(ModelServer(), 5)
