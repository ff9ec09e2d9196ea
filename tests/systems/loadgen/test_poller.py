"""Waiting for sockets, with either means."""

import os
import selectors
import socket
import sys

import pytest

from perflab.systems.loadgen.poller import IN, OUT, EpollPoller, SelectorPoller

MAKERS = [SelectorPoller, lambda: SelectorPoller(selectors.PollSelector())]
if sys.platform == "linux":
    MAKERS.append(EpollPoller)


@pytest.fixture(params=MAKERS)
def poller(request):
    return request.param()


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def test_what_is_ready_is_reported_with_its_direction(poller, pair):
    """Readable, writable, both or neither, as asked."""
    left, right = pair
    poller.watch(left.fileno(), IN)
    assert poller.wait(0) == []
    right.send(b"x")
    assert poller.wait(60) == [(left.fileno(), IN)]
    poller.watch(left.fileno(), IN | OUT)
    assert poller.wait(60) == [(left.fileno(), IN | OUT)]
    poller.watch(left.fileno(), OUT)
    assert poller.wait(60) == [(left.fileno(), OUT)]


def test_what_is_forgotten_is_not_reported_until_watched_again(poller, pair):
    """Not even when its other end closes; watched again, it tells."""
    left, right = pair
    poller.watch(left.fileno(), IN)
    poller.forget(left.fileno())
    right.close()
    assert poller.wait(0.001) == []
    assert poller.wait(0.001) == []
    poller.watch(left.fileno(), IN)
    assert [fd for fd, _ in poller.wait(60)] == [left.fileno()]


def test_a_number_that_is_used_again_is_watched_anew(poller):
    """A socket closed while it rested, and another of the same number in its place."""
    left, right = socket.socketpair()
    mine, other = socket.socketpair()
    fd = left.detach()
    with right, mine, other:
        poller.watch(fd, IN)
        poller.forget(fd)
        os.dup2(mine.fileno(), fd)
        poller.watch(fd, IN)
        other.send(b"x")
        assert poller.wait(60) == [(fd, IN)]
        os.close(fd)


def test_forgetting_what_was_never_watched_does_no_harm(poller, pair):
    """libcurl may say so twice."""
    poller.forget(pair[0].fileno())
    poller.forget(pair[0].fileno())
    assert poller.wait(0) == []
