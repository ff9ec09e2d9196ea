"""The neighbour: it is there within the block, and gone after it, whatever happened inside."""

import math
import sys
import threading

import pytest

from perflab.systems import neighbour


def there():
    return [thread for thread in threading.enumerate() if thread.name == "neighbour"]


@pytest.mark.parametrize("after", [0, 0.0, 3599])
def test_it_is_there_within_the_block_and_gone_after_it(after):
    """Also one that had not begun to compute: leaving never waits for it."""
    assert there() == []
    with neighbour(after=after):
        assert len(there()) == 1
    assert there() == []


def test_it_is_gone_after_an_exception():
    """What the block raised comes through."""
    with pytest.raises(ZeroDivisionError), neighbour():
        raise ZeroDivisionError
    assert there() == []


def test_it_computes():
    """Its own code is what its thread runs, without anyone's waiting for a time."""
    with neighbour():
        (thread,) = there()
        while True:  # until it is seen at work, however busy the machine
            frame = sys._current_frames().get(thread.ident)
            if frame is not None and "number" in frame.f_locals:
                break
    assert not thread.is_alive()


def test_it_may_come_again_but_not_twice_at_once():
    """One object serves for one block after the other."""
    one = neighbour()
    for _ in range(2):
        with one:
            assert len(there()) == 1
    with one, pytest.raises(ValueError, match="neighbour="):
        one.__enter__()
    assert there() == []


@pytest.mark.parametrize("after", [-1, math.nan, math.inf, 3600, True, "1", None])
def test_what_is_no_time_is_named(after):
    """Before any thread is there."""
    with pytest.raises(ValueError, match="after="):
        neighbour(after=after)


def test_interrupted_while_it_starts_nobody_is_left_and_it_may_come_again(monkeypatch):
    """Ctrl-C comes while `with` waits for the thread: there will be no leaving the block."""
    start = threading.Thread.start

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    one = neighbour()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.__enter__()
    for thread in there():
        thread.join(10)
    assert there() == []
    with one:
        assert len(there()) == 1
