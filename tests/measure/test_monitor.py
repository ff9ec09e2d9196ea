"""The request monitor counts and times what a web application does, whatever that is."""

import asyncio
from types import SimpleNamespace

import pytest

from perflab.measure import monitor as monitor_module
from perflab.measure.monitor import UNMATCHED, RequestMonitor
from perflab.measure.virtual import VirtualClock

START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b"done"}
REQUEST = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


class Client:
    """A fake server's side of one request: what it hands to the application and what it gets."""

    def __init__(self, *messages, fails_at=None):
        self.messages = list(messages)
        self.fails_at = fails_at
        self.sent = []

    async def receive(self):
        if not self.messages:
            await asyncio.Event().wait()  # a client that stays says nothing more
        return self.messages.pop(0)

    async def send(self, message):
        if len(self.sent) == self.fails_at:
            raise OSError("the client is gone")
        self.sent.append(message)


@pytest.fixture
def clock():
    return VirtualClock()


def ask(monitor, client=None, path="/", method="GET", kind="http"):
    """One request; return its client."""
    client = client or Client(REQUEST)
    scope = {"type": kind, "method": method, "path": path}
    # An application that waits for what never comes is a failure, not a hang.
    asyncio.run(asyncio.wait_for(monitor(scope, client.receive, client.send), 20))
    return client


def answering(clock, *steps, route="/"):
    """An application that sends messages, moves the clock (a number) or raises (an exception)."""

    async def app(scope, receive, send):
        if route is not None:
            scope["route"] = SimpleNamespace(path=route)
        for step in steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, dict):
                await send(step)
            elif step is receive_one:
                await receive()
            else:
                clock.advance(step)

    return app


receive_one = object()


def test_a_request_is_timed_from_the_call_to_the_last_byte(clock):
    """What the application does after its answer does not count."""
    monitor = RequestMonitor(answering(clock, 2.0, START, END, 50.0), clock=clock)
    ask(monitor)
    route = monitor.stats().routes["/"]
    assert (route.requests, dict(route.statuses), route.bytes_sent) == (1, {200: 1}, 4)
    assert (route.errors, route.exceptions, route.left) == (0, 0, 0)
    assert route.latency.max == 2.0


def test_a_streamed_body_is_timed_to_its_last_byte(clock):
    """Bytes of all parts count, and the time between them."""
    part = {"type": "http.response.body", "body": b"123", "more_body": True}
    monitor = RequestMonitor(answering(clock, START, part, 1.0, part, 2.0, END), clock=clock)
    client = ask(monitor)
    route = monitor.stats().routes["/"]
    assert route.latency.max == 3.0
    assert route.bytes_sent == 10
    assert client.sent == [START, part, part, END]


def test_a_slow_reader_is_part_of_the_latency(clock):
    """Where the server makes the application wait in send, that time counts."""

    class SlowReader(Client):
        async def send(self, message):
            clock.advance(1.5)
            await super().send(message)

    monitor = RequestMonitor(answering(clock, START, END), clock=clock)
    ask(monitor, SlowReader(REQUEST))
    assert monitor.stats().routes["/"].latency.max == 3.0


def test_an_exception_is_counted_and_raised_on(clock):
    """Before the answer: no status. The latency is recorded too."""
    monitor = RequestMonitor(answering(clock, 1.0, ValueError("broken")), clock=clock)
    with pytest.raises(ValueError, match="broken"):
        ask(monitor)
    route = monitor.stats().routes["/"]
    assert (route.requests, route.exceptions, dict(route.statuses)) == (1, 1, {})
    assert route.latency.max == 1.0
    assert monitor.stats().in_flight == 0


def test_an_exception_that_was_answered_is_counted_as_both(clock):
    """Frameworks answer 500 and raise on: one request, one error, one exception."""
    failed = START | {"status": 500}
    monitor = RequestMonitor(answering(clock, failed, END, ValueError("broken")), clock=clock)
    with pytest.raises(ValueError, match="broken"):
        ask(monitor)
    route = monitor.stats().routes["/"]
    assert (route.requests, route.errors, route.exceptions, route.left) == (1, 1, 1, 0)


def test_a_client_that_left_unnoticed_is_counted(clock):
    """The application answers into the void without asking; the monitor asks for it."""
    monitor = RequestMonitor(answering(clock, 3.0, START, END), clock=clock)
    ask(monitor, Client(REQUEST, GONE))
    route = monitor.stats().routes["/"]
    assert (route.requests, route.left, route.bytes_sent) == (1, 1, 0)
    assert route.latency.max == 3.0


def test_a_client_that_leaves_a_stream_is_counted(clock):
    """The application notices and returns; the time ends when it was told."""
    part = {"type": "http.response.body", "body": b"123", "more_body": True}
    app = answering(clock, receive_one, START, part, 1.0, receive_one, 9.0)
    monitor = RequestMonitor(app, clock=clock)
    ask(monitor, Client(REQUEST, GONE))
    route = monitor.stats().routes["/"]
    assert (route.left, route.exceptions, route.bytes_sent) == (1, 0, 3)
    assert route.latency.max == 1.0


def test_a_server_that_refuses_to_send_tells_that_the_client_left(clock):
    """OSError from send is a client that left, not an exception of the application."""
    monitor = RequestMonitor(answering(clock, START, END), clock=clock)
    with pytest.raises(OSError, match="gone"):
        ask(monitor, Client(REQUEST, fails_at=1))
    route = monitor.stats().routes["/"]
    assert (route.left, route.exceptions) == (1, 0)


def test_a_client_that_stays_is_not_counted_as_gone(clock):
    """A client that is served twice over one connection left neither time."""
    monitor = RequestMonitor(answering(clock, receive_one, START, END), clock=clock)
    for _ in range(2):
        ask(monitor)
    assert monitor.stats().routes["/"].left == 0


def test_looking_for_the_client_takes_no_message_from_the_application(clock):
    """An upload that the application reads after its answer arrives whole and in order."""
    got = []

    async def app(scope, receive, send):
        await send(START)
        await send(END)
        got.extend([await receive(), await receive()])

    first = REQUEST | {"body": b"1", "more_body": True}
    second = REQUEST | {"body": b"2"}
    ask(RequestMonitor(app, clock=clock), Client(first, second))
    assert got == [first, second]


def test_routes_are_kept_apart_and_what_has_none_together(clock):
    """Made-up paths share one entry, so they cannot fill the memory."""

    async def app(scope, receive, send):
        if scope["path"].startswith("/products/"):
            scope["route"] = SimpleNamespace(path="/products/{id}")
        await send(START)
        await send(END)

    monitor = RequestMonitor(app, clock=clock)
    for path in ("/products/1", "/products/2", "/a", "/b", "/c"):
        ask(monitor, path=path)
    counts = {name: route.requests for name, route in monitor.stats().routes.items()}
    assert counts == {"/products/{id}": 2, UNMATCHED: 3}


def test_a_route_makes_its_histograms_once(clock, monkeypatch):
    """They are dear to make: ten requests of one route take two, of latency and of wait."""
    made = []
    histogram = monitor_module.LatencyHistogram
    monkeypatch.setattr(monitor_module, "LatencyHistogram", lambda: made.append(1) or histogram())
    monitor = RequestMonitor(answering(clock, START, END), clock=clock)
    for _ in range(10):
        ask(monitor)
    assert len(made) == 2


def test_the_slow_log_keeps_the_latest_and_counts_all(clock):
    """From the threshold on; bounded; with method, path, status and seconds."""
    monitor = RequestMonitor(answering(clock, 0.5, START, END), slow=0.5, keep=2, clock=clock)
    for path in ("/1", "/2", "/3"):
        ask(monitor, path=path, method="PUT")
    fast = RequestMonitor(answering(clock, 0.4, START, END), slow=0.5, clock=clock)
    ask(fast)
    stats = monitor.stats()
    assert [request.path for request in stats.slow] == ["/2", "/3"]
    assert stats.slow_requests == 3
    last = stats.slow[-1]
    assert (last.method, last.status, last.seconds) == ("PUT", 200, 0.5)
    assert fast.stats().slow == ()


def test_requests_under_way_are_in_flight_and_cancelled_ones_end(clock):
    """A cancelled request counts as one, without a status."""

    async def app(scope, receive, send):
        await asyncio.Event().wait()

    async def main():
        monitor = RequestMonitor(app, clock=clock)
        client = Client(REQUEST)
        scope = {"type": "http", "method": "GET", "path": "/"}
        tasks = [asyncio.create_task(monitor(scope, client.receive, client.send)) for _ in range(3)]
        await asyncio.sleep(0)
        during = monitor.stats()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return during, monitor.stats()

    during, after = asyncio.run(main())
    assert (during.in_flight, dict(during.routes)) == (3, {})
    assert after.in_flight == 0
    assert (after.routes[UNMATCHED].requests, after.routes[UNMATCHED].exceptions) == (3, 0)


def test_a_snapshot_does_not_change(clock):
    """What comes after it is in the next one."""
    monitor = RequestMonitor(answering(clock, 1.0, START, END), clock=clock)
    ask(monitor)
    before = monitor.stats()
    ask(monitor)
    assert before.routes["/"].requests == before.routes["/"].latency.count == 1
    assert dict(before.routes["/"].statuses) == {200: 1}
    assert monitor.stats().routes["/"].requests == 2
    with pytest.raises(TypeError):
        before.routes["/"].statuses[200] = 5


def test_the_snapshot_for_json_has_percentiles_where_there_are_enough_samples(clock):
    """20 samples carry a median (ten lie beyond it) and no 99th percentile."""
    monitor = RequestMonitor(answering(clock, 1.0, START, END), clock=clock)
    for _ in range(20):
        ask(monitor)
    route = monitor.stats().as_dict()["routes"]["/"]
    assert route["p50"] == pytest.approx(1.0, rel=0.01)
    assert route["p99"] is None
    assert route["mean"] == route["max"] == 1.0


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_what_is_no_request_passes_through(clock, kind):
    """Nothing is counted, and the application gets the server's own callables."""
    given = []

    async def app(scope, receive, send):
        given.extend([receive, send])

    monitor = RequestMonitor(app, clock=clock)
    client = ask(monitor, kind=kind)
    assert given == [client.receive, client.send]
    assert dict(monitor.stats().routes) == {}


@pytest.mark.parametrize("slow", [-1, float("nan"), True, "1", None])
def test_a_threshold_that_is_none_is_refused(slow):
    """At construction, by name."""
    with pytest.raises(ValueError, match="slow="):
        RequestMonitor(None, slow=slow)


@pytest.mark.parametrize("keep", [-1, 1.5, True, None])
def test_a_bound_that_is_none_is_refused(keep):
    """At construction, by name."""
    with pytest.raises(ValueError, match="keep="):
        RequestMonitor(None, keep=keep)
