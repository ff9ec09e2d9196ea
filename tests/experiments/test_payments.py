"""The payment case: the peak, the money, deaths, the account in PostgreSQL, receipts on a queue."""

import functools
import sqlite3
from typing import get_args

import numpy as np
import psutil
import pytest

from perflab.book.exercises.payments import EXERCISE
from perflab.errors import ServerError
from perflab.experiments import receiptqueue
from perflab.experiments.paymentledger import CENTS, WAYS, broken_off, clicked_twice
from perflab.experiments.paymentpages import side_by_side
from perflab.experiments.paymentpeak import served
from perflab.experiments.payments import PEAK, SLOTS, Key, Service, public
from perflab.experiments.receiptqueue import delivered, places
from perflab.experiments.waitcompute import done_by
from perflab.systems import postgres
from tests.solutions import payments as answers

SEEDS = (1, 2, 3)
KEYED: Key = "at the gateway"


@pytest.fixture(scope="module")
def server():
    with postgres() as running:
        yield running


@functools.cache
def calm(seed):
    """A public of which nobody clicks twice."""
    return public(seed=seed)


@functools.cache
def clicks(seed):
    """A public of which one order in twenty comes twice."""
    return public(again=0.05, seed=seed)


of = functools.cache(served)  # a run that several tests look at


def same(one, other):
    """Whether two runs are equal to the last digit, nan included."""
    fields = ("response", "charged", "charged_at", "holding")
    equal = (np.array_equal(getattr(one, f), getattr(other, f), equal_nan=True) for f in fields)
    lines = zip((*one.held, *one.receipts), (*other.held, *other.receipts), strict=True)
    return all(equal) and all(np.array_equal(a, b) for a, b in lines)


# ── the peak


def test_a_run_repeats_to_the_last_digit():
    """A death and retries included: nothing hangs on memory addresses or the clock."""
    case = Service(3, attempts=3, dies=400)
    assert same(served(case, clicks(1)), served(case, clicks(1)))


@pytest.mark.parametrize("service", [Service(), Service(3), Service(background=True)], ids=repr)
def test_littles_law_holds_on_the_trace(service):
    """Payments held, summed up over time, are the response times, summed up over payments."""
    run = of(service, calm(1))
    time, held = run.held
    assert (np.diff(time) * held[:-1]).sum() == pytest.approx(run.response.sum())


@pytest.mark.parametrize(
    ("service", "rate"), [(Service(), 80), (Service(1, background=True), 140)], ids=repr
)
def test_a_flood_is_served_at_capacity(service, rate):
    """What Little's law says the slots can serve is what they do serve when more comes."""
    run = of(service, public(rate=rate, peak=rate))
    a_second = len(run.response) / run.answered_at.max()
    assert a_second == pytest.approx(run.capacity, rel=0.02)


def test_capacity_grows_with_slots_and_with_shorter_holding():
    """Three workers are three times as much; without the receipt a slot is held for less."""
    crowd = calm(1)
    one, three, later = (of(s, crowd) for s in (Service(), Service(3), Service(1, True)))
    assert (one.slots, three.slots) == (SLOTS, 3 * SLOTS)
    assert three.capacity == pytest.approx(3 * one.capacity)
    assert one.holding.mean() - later.holding.mean() == pytest.approx(0.060)


@pytest.mark.parametrize("seed", SEEDS)
def test_only_one_worker_with_receipts_first_is_late_at_the_peak(seed):
    """Either remedy answers everybody within a second; without one most wait longer."""
    crowd = calm(seed)
    assert of(Service(), crowd).within() < 0.5
    assert of(Service(3), crowd).within() == 1
    assert of(Service(background=True), crowd).within() == 1


def test_receipts_left_for_later_are_written_in_the_end():
    """They pile up at the peak and none is left."""
    run = of(Service(background=True), calm(1))
    assert run.receipts[1].max() > 100
    assert run.receipts[1][-1] == 0


def test_the_peak_is_three_times_the_calm():
    """Arrivals follow the stages; with none clicked again each request is an order."""
    crowd = calm(1)
    at_peak = np.count_nonzero((crowd.due >= PEAK[0]) & (crowd.due < PEAK[1]))
    assert at_peak / (PEAK[1] - PEAK[0]) == pytest.approx(90, rel=0.1)
    assert len(crowd.order) == len(crowd.cents) == len(np.unique(crowd.order))


# ── the money


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_key_each_second_click_is_charged(seed):
    """Charges are requests, not orders."""
    crowd = clicks(seed)
    run = of(Service(3), crowd)
    assert run.twice == len(crowd.due) - run.orders > 30
    assert run.taken > run.owed


@pytest.mark.parametrize("seed", SEEDS)
def test_with_a_key_at_the_gateway_money_in_is_money_out(seed):
    """Charges are distinct orders, however often the gateway is asked."""
    run = of(Service(3, key=KEYED), clicks(seed))
    assert sorted(run.charged) == list(range(run.orders))
    assert run.taken == run.owed == run.public.cents.sum()
    assert run.calls == len(run.public.due)
    assert run.missing()[1].max() == run.missing()[1].min() == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cached_approval_approves_what_was_never_paid(seed):
    """No order that is alone with its card and amount goes unpaid; of the others some do."""
    run = of(Service(3, key="cached by card and amount"), clicks(seed))
    pairs = set(zip(run.public.card, run.public.cents, strict=True))
    assert 0 < run.unpaid <= run.orders - len(pairs)
    assert len(run.approved) == run.orders
    assert run.missing()[1][-1] == run.owed - run.taken


@pytest.mark.parametrize("key", ["cached by order, each worker", "looked up, then charged"])
def test_a_look_before_the_call_does_not_make_it_once(key):
    """It charges fewer twice than no key does, and some all the same."""
    run = of(Service(3, key=key), clicks(1))
    assert 0 < run.twice < of(Service(3), clicks(1)).twice
    assert run.unpaid == 0


# ── a death


@pytest.mark.parametrize(("seed", "dies"), [(1, 150), (2, 400), (3, 650)])
def test_a_retry_without_a_key_charges_again_what_the_dead_one_had_sent(seed, dies):
    """Charged twice is each second click and each request that was at the gateway: exactly."""
    crowd = clicks(seed)
    run = of(Service(3, attempts=3, dies=dies), crowd)
    assert run.charged_at[dies - 1] == run.died
    assert run.torn > 0
    assert run.twice == len(crowd.due) - run.orders + run.torn
    assert np.isfinite(run.response).all()


@pytest.mark.parametrize(("seed", "dies"), [(1, 150), (2, 400), (3, 650)])
def test_a_retry_with_a_key_loses_and_doubles_nothing(seed, dies):
    """Everybody is answered, charges are orders, the books are in order."""
    run = of(Service(3, key=KEYED, attempts=3, dies=dies), clicks(seed))
    assert np.isfinite(run.response).all()
    assert (run.twice, run.untold, run.unpaid) == (0, 0, 0)
    assert run.taken == run.owed


def test_without_a_retry_the_dead_ones_payments_are_charged_and_fail():
    """What it had sent is charged, and its customers are told that it was not."""
    run = of(Service(3, dies=400), calm(1))
    failed = np.flatnonzero(np.isnan(run.response))
    assert run.untold == run.torn == np.isin(run.public.order[failed], run.charged).sum() > 0
    assert run.taken > run.owed


def test_receipts_in_memory_die_with_their_worker():
    """They are counted as lost, and nobody waits for them any more."""
    run = of(Service(3, True, KEYED, 3, 400), clicks(1))
    assert run.receipts_lost > 0
    assert run.receipts[1][-1] == 0


def test_where_the_only_worker_dies_nobody_is_served_any_more():
    """Retries find nobody; the run ends all the same."""
    run = of(Service(attempts=3, dies=100), calm(1))
    assert np.isnan(run.response).sum() > 500
    assert len(run.charged) == len(run.approved) + run.torn


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("workers", {"workers": 0}),
        ("workers", {"workers": True}),
        ("attempts", {"attempts": 0}),
        ("key", {"key": "by magic"}),
        ("dies", {"dies": 0}),
    ],
)
def test_a_service_that_makes_no_sense_is_refused(name, arguments):
    """ValueError names the argument."""
    with pytest.raises(ValueError, match=f"^{name}="):
        Service(**arguments)
    assert len(get_args(Key)) == 5


# ── the account in PostgreSQL


@pytest.mark.parametrize(
    ("way", "at_once", "broken"),
    [
        ("no key", (20, 0), (20, 0)),
        ("key looked up, then noted", (20, 0), (20, 0)),
        ("key noted, then charged", (0, 0), (0, 20)),
        ("key in the same transaction", (0, 0), (0, 0)),
    ],
)
def test_each_way_to_keep_a_key_fails_where_it_must(server, way, at_once, broken):
    """Charged twice and never charged, of 20 payments, with the steps held apart by a barrier."""
    for found, expected in (
        (clicked_twice(server, WAYS[way]), at_once),
        (broken_off(server, WAYS[way]), broken),
    ):
        assert (found.twice, found.never) == expected
        assert found.taken == found.received == CENTS * found.charged


# ── receipts on a queue


@pytest.mark.parametrize(
    ("way", "lost", "twice"),
    [("deleted first", 1, 0), ("locked until sent", 0, 1), ("locked, sent with a key", 0, 0)],
)
def test_killed_workers_lose_or_repeat_what_they_hold(server, way, lost, twice):
    """Two kills, one at either place: each count is exact."""
    found = delivered(server, way, jobs=45, kills=2)
    assert (found.kills, found.lost, found.twice, found.left) == (2, lost, twice, 0)


def test_no_worker_is_left_behind(server):
    """All that were started have ended when the last receipt is sent."""
    before = set(psutil.Process().children(recursive=True))
    delivered(server, "locked, sent with a key", jobs=24, kills=1)
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [one for one in left if "receiptworker" in " ".join(one.cmdline())]


def test_a_worker_that_fails_is_told(server, monkeypatch, capfd):
    """Its failure is not taken for a death of ours."""
    monkeypatch.setattr(receiptqueue, "URL", "NOT_WHERE_IT_LOOKS")
    with pytest.raises(ServerError, match="exit code 1"):
        delivered(server, "deleted first", jobs=24, kills=1)
    assert "KeyError" in capfd.readouterr().err


def test_kills_come_by_turns_and_far_enough_apart():
    """Half of them before the receipt is sent, half after; ValueError where there is no room."""
    assert places(600, 6)[:3] == [("taken", 85), ("sent", 170), ("taken", 255)]
    with pytest.raises(ValueError, match="jobs"):
        places(60, 6)


def test_a_way_that_is_not_known_is_refused(server):
    """Before any process is started."""
    with pytest.raises(ValueError, match="way"):
        delivered(server, "by pigeon")


# ── live


def test_both_real_servers_answer_every_payment():
    """The same arrivals at each of them."""
    runs = side_by_side([(30, 30, 0.5)])
    assert all(run.ok.all() for run in runs.values())
    assert len({len(run.ok) for run in runs.values()}) == 1


def test_processes_say_how_much_they_did():
    """One that computes cannot use more than one processor; what it should do has to be known."""
    assert 0 < done_by(1, "compute", 0.1) <= 110
    assert 0 < done_by(2, "wait", 0.1) <= 220
    with pytest.raises(ValueError, match="what"):
        done_by(1, "sleep")


# ── the exercise


@pytest.mark.parametrize("answer", answers.RIGHT_TOO)
def test_the_exercises_other_solutions_are_right_too(answer):
    """A unique key, two transactions, sets, another error over the lock's: each order is once."""
    found = EXERCISE.judge(answer)
    assert found.status == "right", found


def test_a_consumer_without_an_end_is_stopped():
    """Also one that catches whatever is raised, and one that spins on a locked database."""

    def endless(connection):
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                continue

    assert "does not end" in EXERCISE.judge(endless).hint
