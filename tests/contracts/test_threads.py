"""Threads that a check forces into a situation."""

import threading

import pytest

from perflab.contracts.threads import Running, StuckError, at_once, eventually


def test_a_result_or_an_error_comes_to_whoever_asks():
    """What the thread returned or raised is not lost."""
    assert Running(lambda: 5).result() == 5
    with pytest.raises(OSError, match="no"):
        Running(broken).result()


def broken():
    raise OSError("no")


def test_a_thread_that_does_not_end_is_named():
    """StuckError, and the thread may go on."""
    gate = threading.Event()
    waiting = Running(gate.wait)
    with pytest.raises(StuckError, match=r"after 0\.01 s"):
        waiting.result(0.01)
    assert not waiting.ended
    gate.set()
    assert waiting.result() is True


def test_all_pass_one_barrier_before_the_first_calls():
    """No call begins before every thread is there."""
    barrier = threading.Barrier(4)
    done = at_once(4, lambda number: (number, barrier.wait(5))[0])
    assert [one.result() for one in done] == [0, 1, 2, 3]


def test_eventually_waits_for_a_condition_and_gives_up():
    """True as soon as it holds, false where it does not come."""
    gate = threading.Event()
    threading.Timer(0.01, gate.set).start()
    assert eventually(gate.is_set)
    assert not eventually(lambda: False, 0.01)
