"""Stress, a little of it: `make stress` does the same for a minute and ten million operations."""

import pytest

from tests.stress import run


@pytest.mark.parametrize("part", run.parts())
def test_under_many_threads_nothing_is_lost_passed_or_left(part):
    """Half a second of eight threads violates nothing and leaves no thread behind."""
    assert run.nothing_left(lambda: run.module(part).stress(0.5, 8, 1))


@pytest.mark.parametrize("part", run.parts())
def test_many_operations_leave_nothing_behind(part):
    """Twenty thousand operations do not let the pattern grow."""
    assert run.nothing_left(lambda: run.module(part).growth(20_000))


def test_a_violation_is_told_and_makes_the_run_fail(capsys):
    """One line for each, and the reason under it."""

    def violated():
        raise AssertionError("two at once")

    assert not run.held("invented", violated, 1.0)
    assert run.held("invented", lambda: "12 operations", 1.0)
    said = capsys.readouterr().out
    assert "VIOLATED" in said
    assert "two at once" in said
    assert "held" in said.splitlines()[-1]


def test_a_thread_left_behind_is_a_violation(monkeypatch):
    """Whatever the part itself has asserted."""
    monkeypatch.setattr(run, "ENDING", 0.05)
    stop = run.threading.Event()

    def leaves():
        run.threading.Thread(target=stop.wait, name="forgotten", daemon=True).start()
        return "done"

    try:
        with pytest.raises(AssertionError, match="forgotten"):
            run.nothing_left(leaves)
    finally:
        stop.set()
