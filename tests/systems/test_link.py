"""A slow link: what comes through it, how late at the earliest, and what it counted."""

import contextlib
import socket
import threading
import time

import psutil
import pytest

from perflab.contracts.threads import eventually
from perflab.errors import ServerError
from perflab.systems import link


class Echo:
    """A server that sends back what it gets, in its own thread for each connection."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.ended = []  # how each connection ended, as its server saw it
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
                self.ended.append("closed")
            except OSError as error:
                self.ended.append(type(error).__name__)


@pytest.fixture
def echo():
    with Echo() as server:
        yield server


def connected(slow):
    return socket.create_connection(("127.0.0.1", slow.port), timeout=10)


def exchange(connection, data):
    """Send it all while reading as much back."""
    sending = threading.Thread(target=connection.sendall, args=(data,))
    sending.start()
    got = b""
    while len(got) < len(data):
        got += connection.recv(65536)
    sending.join()
    return got


def test_what_goes_in_comes_out_in_order_whatever_the_jitter(echo):
    """Half a megabyte each way, each byte at its place."""
    data = bytes(n % 251 for n in range(500_000))
    settings = {"bandwidth": 200e6, "delay": 0.002, "jitter": 0.005}
    with link(echo.url, **settings) as slow, connected(slow) as one:
        assert exchange(one, data) == data
        counts = slow.counts()
    assert (counts.bytes_up, counts.bytes_down, counts.connections) == (500_000, 500_000, 1)


def test_nothing_comes_before_its_time(echo):
    """A round trip takes twice the delay, the first one of a connection four times it."""
    with link(echo.url, delay=0.03) as slow, connected(slow) as one:
        for least in (0.12, 0.06, 0.06):
            began = time.perf_counter()
            exchange(one, b"x")
            assert time.perf_counter() - began > least - 0.01  # the link begins at its accept


def test_the_bandwidth_is_shared_by_all_connections(echo):
    """Two that send 25 kB each take as long as one that sends 50, and no less."""
    with link(echo.url, bandwidth=2e6) as slow, connected(slow) as one, connected(slow) as two:
        began = time.perf_counter()
        threads = [
            threading.Thread(target=exchange, args=(each, bytes(25_000))) for each in (one, two)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.perf_counter() - began > 8 * 50_000 / 2e6


def test_round_trips_are_counted_as_changes_of_direction(echo):
    """Five questions and answers over one connection change direction nine times."""
    with link(echo.url) as slow, connected(slow) as one:
        for _ in range(5):
            exchange(one, b"question")
        assert slow.counts().turns == 9
        slow.forget()
        assert slow.counts().turns == 0


def test_a_reset_reaches_both_ends(echo):
    """The client gets a connection error, not an end of the stream; so does the server."""
    with link(echo.url) as slow, connected(slow) as one:
        exchange(one, b"x")
        assert slow.reset() == 1
        with pytest.raises(ConnectionResetError):
            one.recv(1)
        assert eventually(lambda: echo.ended == ["ConnectionResetError"], 5)
        assert slow.counts().resets == 1
        with connected(slow) as another:
            assert exchange(another, b"goes on") == b"goes on"


def test_a_half_closed_connection_still_carries_what_the_client_sends(echo):
    """The client reads the end; its own direction is open."""
    with link(echo.url) as slow, connected(slow) as one:
        exchange(one, b"x")
        assert slow.half_close() == 1
        assert one.recv(1) == b""
        before = slow.counts().bytes_up
        one.sendall(b"still here")
        assert eventually(lambda: slow.counts().bytes_up == before + 10, 5)


def test_the_end_of_a_stream_is_passed_on(echo):
    """The server learns that its client has finished, the client that the server has."""
    with link(echo.url, delay=0.005) as slow, connected(slow) as one:
        exchange(one, b"x")
        one.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""
        assert eventually(lambda: echo.ended == ["closed"], 5)


def test_a_target_that_refuses_is_counted():
    """The client's connection ends, and the link goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    with link(url) as slow, connected(slow) as one:
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(1) == b""
        assert eventually(lambda: slow.counts().refused == 1, 5)


def test_a_client_that_never_reads_costs_no_memory_without_bound(echo):
    """The sender is held back once a bounded amount is under way."""
    with link(echo.url) as slow, connected(slow) as one:
        one.settimeout(0.5)
        process = psutil.Process(slow.pid)
        before = process.memory_info().rss
        with pytest.raises(TimeoutError):
            one.sendall(bytes(100_000_000))
        assert process.memory_info().rss - before < 20e6


def test_it_changes_while_it_runs(echo):
    """What comes after the change takes as long as that says."""
    with link(echo.url) as slow, connected(slow) as one:
        exchange(one, b"x")
        slow.set(delay=0.03)
        began = time.perf_counter()
        exchange(one, b"x")
        assert time.perf_counter() - began > 0.06 - 0.005
        with pytest.raises(ValueError, match="delay=-1"):
            slow.set(delay=-1)


def test_before_the_start_it_says_so(echo):
    """Instead of counting nothing."""
    with pytest.raises(ServerError, match="never started"):
        link(echo.url).counts()
