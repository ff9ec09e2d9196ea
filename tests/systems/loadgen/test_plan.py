"""Who sends next and when it is over, on a virtual clock."""

from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perflab.measure.virtual import VirtualClock
from perflab.systems import Open
from perflab.systems.loadgen.plan import NEVER, ClosedPlan, Draw, OpenPlan, Plan


def drive(plan: Plan, service: float, slots: int, begin: float = 0.0) -> list[tuple[float, float]]:
    """(intended, start) of each request: the engine's loop with a server that takes `service`."""
    clock, sent, ends = VirtualClock(begin), [], deque()
    while True:
        while ends and ends[0] <= clock():
            plan.ended(ends.popleft())
        due = plan.next_due()
        if due <= clock() < plan.deadline and len(ends) < slots:
            sent.append((plan.take(), clock()))
            ends.append(clock() + service)
            continue
        over = due == NEVER or clock() >= plan.deadline
        if over and not ends:
            return sent
        waits = list(ends)[:1] + ([due] if not over and len(ends) < slots else [])
        clock.advance(max(min(waits) - clock(), 0.0))


def test_an_open_plan_sends_on_time_however_slow_the_server():
    """Arrivals do not wait for answers."""
    times = Open(10, 2).schedule().tolist()
    sent = drive(OpenPlan(times, deadline=3.0), service=5.0, slots=100)
    assert sent == [(t, t) for t in times]


def test_an_open_plan_without_a_free_connection_sends_late_and_loses_nothing():
    """One connection and a server twice too slow: requests start one after the other."""
    times = Open(10, 2).schedule().tolist()
    sent = drive(OpenPlan(times, deadline=100.0), service=0.2, slots=1)
    assert [intended for intended, _ in sent] == times
    assert [start for _, start in sent] == pytest.approx([0.2 * k for k in range(20)])


@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=60).map(sorted),
    st.floats(0.001, 5),
    st.integers(1, 5),
    st.floats(0, 3),
)
def test_every_scheduled_request_is_sent_or_counted(times, service, slots, grace):
    """sent + not sent = scheduled, in order, none before its time or after the deadline."""
    plan = OpenPlan(times, deadline=times[-1] + grace)
    sent = drive(plan, service, slots)
    assert len(sent) + plan.not_sent() == len(times)
    assert [intended for intended, _ in sent] == times[: len(sent)]
    assert all(intended <= start < plan.deadline for intended, start in sent)


def test_what_the_warm_up_left_unsent_is_not_counted():
    """Only the measurement's own requests can be missing."""
    plan = OpenPlan([-2.0, -1.0, 0.0, 1.0], deadline=-1.5)
    assert drive(plan, service=1.0, slots=1, begin=-2.0) == [(-2.0, -2.0)]
    assert plan.not_sent() == 2


def test_a_closed_plan_keeps_to_one_request_a_user():
    """Three users and answers of 1 s: three requests each second, until the deadline."""
    sent = drive(ClosedPlan(3, 0.0, 0.0, 4.0, None), service=1.0, slots=3)
    assert Counter(start for _, start in sent) == {0.0: 3, 1.0: 3, 2.0: 3, 3.0: 3}


def test_users_think_before_they_send_again():
    """Two users, 1 s to answer and 3 s to think: a request each every 4 s, by Little's law."""
    sent = drive(ClosedPlan(2, 3.0, 0.0, 12.0, None), service=1.0, slots=2)
    assert Counter(start for _, start in sent) == {0.0: 2, 4.0: 2, 8.0: 2}


@given(st.integers(1, 9), st.integers(1, 50), st.floats(0, 2))
def test_a_closed_plan_ends_after_its_requests(users, requests, think_time):
    """Exactly as many as were asked for, whatever the users and their thinking."""
    sent = drive(ClosedPlan(users, think_time, 0.0, NEVER, requests), service=0.5, slots=users)
    assert len(sent) == requests


def test_requests_of_the_warm_up_are_not_taken_off_the_count():
    """Five requests are asked for; those intended before 0 come on top."""
    sent = drive(ClosedPlan(1, 0.0, -2.0, NEVER, 5), service=1.0, slots=1, begin=-2.0)
    assert [intended for intended, _ in sent] == [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]


def test_users_who_wait_for_a_connection_wait_in_line():
    """Two users and one connection: each request starts a second after it was intended."""
    sent = drive(ClosedPlan(2, 0.0, 0.0, 4.0, None), service=1.0, slots=1)
    assert sent == [(0.0, 0.0), (0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]


def test_routes_are_drawn_by_weight_and_seed():
    """A weight of 3 against 1, and none for 0; the same seed gives the same order."""
    draw, again = Draw([3, 1, 0], seed=5), Draw([3, 1, 0], seed=5)
    drawn = [draw() for _ in range(10_000)]
    assert drawn == [again() for _ in range(10_000)]
    counts = Counter(drawn)
    assert counts[2] == 0
    assert abs(counts[0] - 7500) < 5 * (10_000 * 0.75 * 0.25) ** 0.5
