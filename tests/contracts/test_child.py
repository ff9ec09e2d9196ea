"""What may hang is tried in a child process, for a limited time."""

import os
import threading
import time

import psutil
import pytest

from perflab.contracts import Evidence, check
from perflab.contracts.child import ChildError, in_child


def test_evidence_comes_back_as_it_was():
    """The child's answer is the check's."""
    assert in_child(lambda n: Evidence(n > 1, f"{n} seen"), 2) == (True, "2 seen")
    assert in_child(lambda n: Evidence(n > 1, f"{n} seen"), 1) == (False, "1 seen")


@pytest.mark.parametrize("hang", [threading.Event().wait, lambda: [None for _ in iter(int, 1)]])
def test_what_hangs_or_spins_fails_and_is_gone(hang):
    """The check fails after about two seconds, and no process stays."""
    before = set(psutil.Process().children())
    holds, found = in_child(lambda _: hang(), None)
    assert (holds, found) == (False, "still waiting after 2 s")
    assert set(psutil.Process().children()) <= before


def test_a_thread_that_hangs_does_not_hold_the_answer_back():
    """The child ends with its answer, whatever its threads do."""

    def leaks(_):
        threading.Thread(target=threading.Event().wait).start()
        return Evidence(True, "answered")

    before, began = threading.active_count(), time.monotonic()
    assert in_child(leaks, None) == (True, "answered")
    assert threading.active_count() == before
    assert time.monotonic() - began < 2


def test_what_the_child_raises_is_told():
    """A stub is told from an error, and an error by its name."""

    def raises(error):
        raise error

    with pytest.raises(NotImplementedError, match="todo"):
        in_child(raises, NotImplementedError("todo"))
    with pytest.raises(ChildError, match="OSError: no"):
        in_child(raises, OSError("no"))
    with pytest.raises(ChildError, match="SystemExit"):
        in_child(raises, SystemExit(3))


def test_a_process_that_dies_fails():
    """An implementation that ends its process ends only the child."""
    assert in_child(lambda _: os._exit(0), None) == (False, "the process died")


def test_a_long_answer_is_read_to_its_end():
    """More than a pipe holds at once."""
    assert in_child(lambda n: Evidence(True, "x" * n), 300_000)[1] == "x" * 300_000


def test_a_check_that_may_hang_is_tried_in_a_child():
    """What the check changes stays in the child."""
    seen = []

    @check("nothing of it stays", "hint", may_hang=True)
    def one(thing):
        seen.append(thing)
        return Evidence(True, str(len(seen)))

    assert one.run("thing") == Evidence(True, "1")
    assert not seen
