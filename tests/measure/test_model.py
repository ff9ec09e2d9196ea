"""The modelled server: what queueing by hand says, to the last digit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perflab.measure import Answer, ModelServer, response_times

whole = st.integers(0, 1_000)


@given(st.lists(st.tuples(whole, whole), min_size=1, max_size=60))
def test_one_slot_is_lindleys_queue(steps):
    """On whole numbers, to the last digit."""
    gaps, service = zip(*steps, strict=True)
    server = ModelServer(service=lambda n: service[n])
    found = [server.arrive(float(now)).seconds for now in np.cumsum(gaps)]
    assert found == response_times(gaps, service).tolist()


def test_two_slots_serve_two_at_once_and_the_third_waits_for_the_first_free():
    """Three come together; each takes 4 s."""
    server = ModelServer(slots=2, service=4.0)
    assert [server.arrive(10.0) for _ in range(3)] == [
        Answer(4.0, 200), Answer(4.0, 200), Answer(8.0, 200),
    ]  # fmt: skip
    assert server.arrived == 3


def test_work_under_way_stands_still_in_a_freeze_and_nobody_is_begun_in_it():
    """Begun at 2.5 with 1 s of work: half of it before the freeze from 3 to 5, half after."""
    server = ModelServer(service=1.0, frozen=(3.0, 5.0))
    assert server.arrive(2.5).seconds == 3.0
    assert server.arrive(4.0).seconds == 2.5
    assert server.arrive(6.5).seconds == 1.0


def test_a_slot_alone_begins_when_the_freeze_ends():
    """And not a moment later; the moment of its end belongs to it no longer."""
    assert ModelServer(service=1.0, frozen=(3.0, 5.0)).arrive(3.0).seconds == 3.0
    assert ModelServer(service=1.0, frozen=(3.0, 5.0)).arrive(5.0).seconds == 1.0
    assert ModelServer(service=1.0, frozen=(3.0, 5.0)).arrive(2.0).seconds == 1.0


def test_a_failing_request_is_told_so_at_once_and_takes_no_slot():
    """Every second one; the queue before the others is theirs alone."""
    server = ModelServer(service=4.0, fails=lambda n: n % 2 == 1, fail_time=0.25)
    assert [server.arrive(0.0) for _ in range(4)] == [
        Answer(4.0, 200), Answer(0.25, 500), Answer(8.0, 200), Answer(0.25, 500),
    ]  # fmt: skip


def test_a_failing_request_waits_for_the_end_of_a_freeze_like_all():
    """A process that stands still refuses nobody."""
    server = ModelServer(frozen=(1.0, 2.0), fails=lambda n: True, fail_time=0.5)
    assert server.arrive(1.5) == Answer(1.0, 500)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slots", 0), ("slots", True), ("slots", 1.5), ("slots", math.nan),
        ("service", -1), ("service", math.nan), ("service", math.inf), ("service", "1"),
        ("frozen", (2, 1)), ("frozen", 1), ("frozen", (0, math.nan)), ("frozen", (1, 2, 3)),
        ("fails", 3), ("fail_time", -1), ("fail_time", True),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(name, value):
    """At once, not at the first request."""
    with pytest.raises(ValueError, match=f"^{name}="):
        ModelServer(**{name: value})


def test_nobody_comes_before_the_one_before():
    """Nor at no time at all; and a service that is no time is refused when it is asked for."""
    server = ModelServer()
    server.arrive(2.0)
    for now in (1.9, math.nan):
        with pytest.raises(ValueError, match=r"^now="):
            server.arrive(now)
    with pytest.raises(ValueError, match=r"^service="):
        ModelServer(service=lambda n: -1.0).arrive(0.0)
