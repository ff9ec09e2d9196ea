"""The guide's middlewares are ported faithfully, defects included."""

import pytest

from perflab.contracts.parts.webclient import END, PART, START, BrokenError, Client, script
from perflab.guide.middleware import (
    AtomicU64,
    PerformanceMonitor,
    go_middleware,
    node_middleware,
    rust_middleware,
)
from perflab.measure import VirtualClock, run_virtual


def ask(middleware, app, client=None, log=None):
    """One request through a middleware on virtual time; its lines, and the client."""
    clock, client, lines = VirtualClock(), client or Client(), []
    wrapped = middleware(app, log if log is not None else lines.append, clock)
    try:
        run_virtual(wrapped(client.scope, client.receive, client.send), clock)
    except BrokenError:
        lines.append("raised")
    return lines, client


def test_three_loads_are_no_snapshot():
    """A request that is recorded between two of them is in the total and not in the count."""

    class Interrupted(AtomicU64):
        def load(self):
            value = super().load()
            if monitor is not None and self is monitor.request_count:
                monitor.record_request(2000)
            return value

    monitor = None
    monitor = PerformanceMonitor(Interrupted)
    monitor.record_request(2000)
    assert monitor.get_stats() == (1, 4000, 2)


@pytest.mark.parametrize(("seconds", "slow"), [(1.0, False), (1.002, True)])
@pytest.mark.parametrize("middleware", [node_middleware, go_middleware])
def test_more_than_a_second_is_slow(middleware, seconds, slow):
    """A second is not."""
    (line,), _ = ask(middleware, script(seconds, START, END))
    assert (line.method, line.path, line.status) == ("GET", "/", 200)
    assert line.slow is slow


def test_nodes_express_answers_for_a_handler_that_throws():
    """Its line has the 500, and the exception goes on; half-way through an answer there is none."""
    lines, _ = ask(node_middleware, script(BrokenError("no")))
    assert lines[0].status == 500
    assert lines[1:] == ["raised"]
    assert ask(node_middleware, script(START, PART, BrokenError("no")))[0] == ["raised"]


def test_gos_buffer_goes_out_when_it_is_full():
    """Small parts wait for the handler's end, large ones do not."""
    large = {**PART, "body": bytes(5000)}
    _, client = ask(go_middleware, script(START, PART, 1.0, large, 1.0, PART, 1.0, END))
    assert [round(seconds) for seconds, _ in client.got] == [1, 1, 1, 3, 3]


def test_gos_line_says_200_of_a_client_that_left():
    """Nothing in it tells that nobody got the answer."""
    lines, client = ask(go_middleware, script(1.0, START, END), Client(leaves=0.5, refuses=True))
    assert [line.status for line in lines] == [200]
    assert client.got == []


def test_rusts_time_ends_with_the_head_and_in_whole_milliseconds():
    """Two seconds of body are no time at all, and of 1.9 ms before it one is kept."""
    monitor = PerformanceMonitor()
    ask(rust_middleware, script(0.0019, START, PART, 2.0, END), log=monitor)
    assert monitor.get_stats() == (1, 1, 0)
