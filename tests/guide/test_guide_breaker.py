"""The guide's circuit breaker is ported faithfully, defects included."""

import pytest

from perflab.errors import CircuitOpenError
from perflab.guide.breaker import CircuitBreaker, CircuitState
from perflab.measure import VirtualClock


def bad():
    raise ConnectionError


def crash():
    raise ZeroDivisionError


def opened():
    """A breaker that has just opened, at time 0, and its clock."""
    clock = VirtualClock()
    breaker = CircuitBreaker(2, 10.0, clock=clock)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            breaker.execute(bad)
    return breaker, clock


def test_it_is_open_until_more_than_its_time_out_has_passed():
    """Go's comparison is >, so at the very moment it still refuses."""
    breaker, clock = opened()
    clock.advance(10.0)
    with pytest.raises(CircuitOpenError, match="circuit breaker is open"):
        breaker.execute(lambda: 1)
    clock.advance(0.001)
    assert breaker.execute(lambda: 1) == 1
    assert breaker.state is CircuitState.CLOSED


def test_a_failed_probe_opens_it_again():
    """Failures were never forgotten, so one more is enough."""
    breaker, clock = opened()
    clock.advance(11.0)
    with pytest.raises(ConnectionError):
        breaker.execute(bad)
    assert (breaker.state, breaker.failures) == (CircuitState.OPEN, 3)
    assert breaker.last_fail_time == 11.0


def test_a_panic_frees_the_mutex_and_counts_as_nothing():
    """Deferred, the unlock runs; the counting below the call does not. Half-open, it stays so."""
    breaker, clock = opened()
    clock.advance(11.0)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            breaker.execute(crash)
    assert (breaker.state, breaker.failures) == (CircuitState.HALF_OPEN, 2)
