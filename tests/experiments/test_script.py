"""Programs as scripts: the truth is known, and what each kind of profiler makes of it."""

import sys

import pytest

from perflab.experiments.script import (
    Piece,
    looks,
    profile_of,
    sampled,
    traced_shares,
    true_shares,
)

TURNS = [Piece("loop", 0.1), Piece("sort", 0.1, holds=True)] * 20
CHATTY = [Piece("small", 1.0)] * 400 + [Piece("large", 600.0)]


def test_a_look_that_is_due_while_the_lock_is_held_comes_at_its_end():
    """Once, and it sees who held it."""
    seen = looks([Piece("loop", 0.025), Piece("sort", 0.1, holds=True), Piece("loop", 0.02)], 0.01)
    moments = [round(moment, 9) for moment, _ in seen]
    assert moments == [0.01, 0.02, 0.125, 0.135, 0.145][: len(moments)]
    assert [function for _, function in seen][:4] == ["loop", "loop", "sort", "loop"]


@pytest.mark.parametrize("interval", [0.01, 0.003, 0.001])
def test_the_more_often_it_looks_the_less_it_sees_of_what_holds_the_lock(interval):
    """By looks the sort nearly vanishes; by time it has its half, to within an interval each."""
    profile = profile_of(TURNS, interval)
    assert profile.share("sort", "looks") < interval * 12
    assert profile.share("sort") == pytest.approx(0.5, abs=5 * interval + 0.005)


def test_a_clock_that_costs_nothing_traces_the_truth():
    """And one that takes as long as the call names the wrong function."""
    assert traced_shares(CHATTY, cost=0) == pytest.approx(true_shares(CHATTY))
    assert traced_shares(CHATTY, cost=1)["small"] > 0.5 > true_shares(CHATTY)["small"]


def test_a_sampled_run_leaves_the_switch_interval_as_it_was():
    """Also where what it runs raises."""
    usual = sys.getswitchinterval()

    def breaks():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sampled(breaks, breaks, every=0.01, rounds=1)
    assert sys.getswitchinterval() == usual


def test_an_interval_that_is_none_is_refused():
    """It would look for ever at the same moment."""
    with pytest.raises(ValueError, match="interval=0"):
        looks(TURNS, 0)
