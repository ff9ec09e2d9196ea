"""Overload, retries, hedges, charges, limiters: what the models of chapter 9 must keep."""

import functools
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from perflab.contracts.bulkhead import guide_style
from perflab.experiments.charging import charges
from perflab.experiments.hedging import MEAN, hedging
from perflab.experiments.limiters import (
    FixedWindow,
    SlidingLog,
    TokenBucket,
    most_in_a_second,
    passed,
)
from perflab.experiments.outlasting import slow_spell
from perflab.experiments.overload import Overload, overloaded
from perflab.experiments.retrying import Budget, exponential, fixed, herd, jittered, through_tiers
from perflab.guide.bulkhead import Bulkhead as GuideBulkhead
from perflab.patterns import Bulkhead, CircuitBreaker

CALM = Overload(rate=50.0, seconds=20.0)
ALWAYS_DOWN = {"outage": (0.0, 1e9), "seconds": 5.0}


def test_a_server_below_its_capacity_answers_everybody_in_time():
    """Without trouble nobody tries again, and all but those under way at the end are answered."""
    run = overloaded(CALM)
    assert len(run.sent) - len(run.good) <= 5
    assert max(run.response) < 1.0


def test_the_same_seed_is_the_same_run_and_another_is_not():
    """A remedy is compared on the same public and the same work."""
    assert overloaded(CALM, 1).sent == overloaded(CALM, 1).sent
    assert overloaded(CALM, 1).sent != overloaded(CALM, 2).sent


def test_two_remedies_meet_the_same_public():
    """Arrivals have a stream of their own: without retries all remedies see the same ones."""
    once = replace(CALM, attempts=1, rate=200.0)
    assert overloaded(replace(once, limit=5)).sent == overloaded(once).sent


def test_a_bounded_queue_holds_no_more_than_its_bound():
    """What is above it is refused at once."""
    run = overloaded(Overload(rate=300.0, seconds=5.0, limit=7))
    assert max(length for _, length in run.waiting) == 7


def test_no_request_makes_more_attempts_than_it_may():
    """Four attempts are four calls, also where the server answers none."""
    run = overloaded(Overload(rate=20.0, seconds=30.0, slow=(0.0, 30.0), factor=1e6))
    assert len(run.sent) <= 4 * 20 * 30 * 1.2
    assert run.good == []


@pytest.mark.parametrize("remedy", [{"margin": 0.01}, {"newest_first": True}])
def test_a_full_queue_that_wastes_no_work_keeps_the_goodput(remedy):
    """Checked in time or newest first, nearly all of the capacity is answered in time; in turn,
    next to nothing is."""
    double = Overload(rate=200.0, seconds=10.0, timeout=0.5, attempts=1)
    assert overloaded(replace(double, **remedy)).rate("good", 3, 10) > 90
    assert overloaded(double).rate("good", 3, 10) < 10


def test_while_the_clients_breaker_is_open_nothing_is_sent():
    """After the first time-out the server, which never answers, is asked no more."""
    case = Overload(rate=20.0, seconds=30.0, slow=(0.0, 30.0), factor=1e6)
    guard = functools.partial(CircuitBreaker, 1, 1_000.0)
    run = overloaded(replace(case, guard=lambda clock: guard(clock=clock)))
    assert run.sent[0] + case.timeout - 0.2 < run.sent[-1] <= run.sent[0] + case.timeout


@pytest.mark.parametrize("name", ["rate", "seconds", "service", "timeout", "attempts"])
def test_a_case_that_makes_no_sense_is_refused_by_name(name):
    """Nothing runs before the numbers are right."""
    with pytest.raises(ValueError, match=name):
        Overload(**{name: 0})


def test_a_budget_earns_a_retry_in_ten_requests_and_hoards_no_more_than_its_most():
    """In the long run at most a tenth is added; a long good time earns no more than ten."""
    budget, retries = Budget(0.1), 0
    for _ in range(1_000):
        budget.request()
    assert budget.tokens == 10
    for _ in range(1_000):
        budget.request()
        retries += budget.retry()
    assert 100 <= retries <= 110


def test_tiers_multiply_in_an_outage_and_not_without():
    """Three attempts in each of three tiers are 27 calls; when all is well they are one."""
    down, well = through_tiers((3, 3, 3), **ALWAYS_DOWN), through_tiers((3, 3, 3), outage=(0, 0))
    assert len(down.calls) == 27 * len(down.ended)
    assert down.good == 0
    assert len(well.calls) == len(well.ended) == well.good


def test_full_jitter_draws_from_the_whole_of_the_delay():
    """From next to nothing up to the exponential delay, and half of it on average."""
    rng = random.Random(1)
    part = [jittered(3, rng) / exponential(3, rng) for _ in range(1_000)]
    assert 0 <= min(part) < 0.01
    assert 0.99 < max(part) <= 1
    assert np.mean(part) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("delay", [fixed, exponential, jittered])
def test_every_client_of_a_herd_is_served_in_the_end(delay):
    """No fewer calls than clients, and no sooner than the places allow."""
    calls, seconds = herd(delay, clients=100, places=10)
    assert calls >= 100
    assert seconds >= 0.05 * 100 / 10 - 1e-9


def test_a_hedge_is_sent_where_the_first_answer_is_late_and_only_there():
    """None with a delay that nobody reaches; one for each request with none at all."""
    assert hedging(0.1, 1e6, requests=500).calls == 1
    assert hedging(0.1, 1e-9, requests=500).calls == 2


def test_the_slower_of_two_calls_takes_no_time_where_it_is_cancelled():
    """Each request asks two replicas at half their load: worked through, the second calls fill
    them; cancelled, they make the answers quicker."""
    alone = np.mean(hedging(0.5, requests=2_000).response)
    cancelled, kept = (
        np.mean(hedging(0.5, 1e-9, cancel=cancel, requests=2_000).response)
        for cancel in (True, False)
    )
    assert cancelled < alone < kept / 2


def test_without_a_hedge_a_nearly_idle_replica_takes_its_service_time():
    """The mean comes out as the formula says, within sampling error."""
    assert np.mean(hedging(0.001, requests=20_000).response) == pytest.approx(MEAN, rel=0.06)


def test_a_key_noted_in_the_same_step_charges_nobody_twice():
    """Without a key, or with one that is noted after the work, retries charge again."""
    twice = {
        key: charges(0.03, key, payments=500).twice
        for key in ("none", "check, then act", "in one step")
    }
    assert twice["in one step"] == 0 < twice["check, then act"] <= twice["none"]


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (functools.partial(FixedWindow, 100), 200),
        (functools.partial(TokenBucket, 100, 100), 199),
        (functools.partial(TokenBucket, 100, 10), 109),
        (functools.partial(SlidingLog, 100), 100),
    ],
)
def test_what_a_limiter_lets_through_in_its_worst_second(make, most):
    """The count is exact, and agrees with one made by looking at every second."""
    times = passed(make)
    slow = max(sum(at <= other < at + 1 for other in times) for at in times)
    assert most_in_a_second(times) == slow == most


def test_a_slot_of_the_work_holds_the_limit_and_one_of_the_caller_does_not():
    """Ours keeps to four while work cannot be stopped; the guide's goes far beyond."""
    ours, guides = slow_spell(guide_style(Bulkhead)), slow_spell(GuideBulkhead)
    assert ours.under_way[1].max() == 4
    assert guides.under_way[1].max() > 20
    assert Counter(ours.good)[True] > len(ours.due) / 2
