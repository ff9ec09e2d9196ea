"""What the kernel does with small writes, full queues, used-up ports and closed connections."""

import pytest

from perflab.errors import OtherSystemError
from perflab.experiments import ports, tcp

linux = pytest.mark.skipif(not tcp.LINUX, reason="Linux's own behaviour")


@linux
def test_the_second_of_two_small_writes_is_held_back():
    """On a kept connection the kernel waits for an acknowledgement in more than half the cases."""
    run = tcp.small_writes(10)
    assert (run.writes, len(run.seconds)) == (2, 10)
    assert run.held_back > 5


@pytest.mark.parametrize("how", [{"writes": 1}, {"no_delay": True}])
def test_neither_one_write_nor_no_delay_is_held_back(how):
    """Both repairs leave nothing to wait for."""
    assert tcp.small_writes(10, **how).held_back in (0, None)


def test_a_new_connection_for_each_request_gets_whole_answers():
    """The server takes one connection after the other."""
    assert len(tcp.small_writes(5, kept=False).seconds) == 5
    with pytest.raises(ValueError, match="writes"):
        tcp.small_writes(writes=3)


@linux
def test_a_backlog_of_k_connects_k_and_one():
    """Nobody else is connected before a lost packet is sent again."""
    run = tcp.backlog(4, clients=12)
    assert run.at_once == 5
    assert run.between == 0


def test_room_for_all_connects_all():
    """Nothing is dropped where the queue is long enough."""
    run = tcp.backlog(128, clients=12)
    assert run.at_once == 12
    assert run.seconds.tolist() == sorted(run.seconds)


@linux
def test_who_closes_first_keeps_the_port():
    """Every closed connection is still in the kernel's table."""
    assert ports.left_behind(25) == 25


@linux
def test_with_few_ports_connecting_fails_at_once():
    """As many connect as there are ports."""
    try:
        became = ports.with_few_ports(5, 7)
    except OtherSystemError as too_old:
        pytest.skip(str(too_old))
    assert became == ["connected"] * 5 + ["EADDRNOTAVAIL"] * 2


@pytest.mark.parametrize("tried", [ports.left_behind, ports.with_few_ports])
def test_what_is_linuxs_own_is_tried_nowhere_else(tried, monkeypatch):
    """Neither a number nor a yes: an error that says whose behaviour it is."""
    monkeypatch.setattr(tcp, "LINUX", True)
    assert tcp.on_linux(False) is False
    monkeypatch.setattr(tcp, "LINUX", False)
    with pytest.raises(OtherSystemError, match="Linux"):
        tried()
    with pytest.raises(OtherSystemError, match="Linux"):
        tcp.on_linux(True)


def test_an_idle_connection_that_the_server_closed_answers_nobody():
    """The client learns of it when it asks."""
    assert ports.on_a_closed_connection() == "no answer"
