"""What a request over a kept connection comes to, through either transport: ends of answers,
connections that close, answers out of turn."""

import contextlib
import socket
import threading

import numpy as np
import pytest
from rawserver import answer, raw_server, reply, reset, say, silent

from perflab.systems import Closed, Route, run_load

pytestmark = pytest.mark.usefixtures("transport")

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
# Name: what the server sends, the status, and the bytes of body.
KEPT = {
    "a length": (reply(), 200, 5),
    "a length in small letters": (b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello", 200, 5),
    "lines that end in a line feed": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 200, 5),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", 200, 5),
    "an empty body": (reply(b""), 200, 0),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, 0),
    "304 with a length": (reply(b"", "304 Not Modified", claim=99), 304, 0),
    "a redirection": (reply(b"", "302 Found", "Location: /elsewhere\r\n"), 302, 0),
    "chunks": (CHUNKED + b"5\r\nhello\r\n1;x=y\r\n \r\n0\r\n\r\n", 200, 6),
    "chunks and trailers": (CHUNKED + b"A\r\n" + b"h" * 10 + b"\r\n0\r\nX: y\r\n\r\n", 200, 10),
    "100 first": (CONTINUE + reply(), 200, 5),
    "103 and 100 first": (HINTS + CONTINUE + reply(b"hell"), 200, 4),
    "more than a read": (reply(b"x" * 300_000), 200, 300_000),
    "HTTP/1.0 that keeps": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", 200, 5
    ),
}  # fmt: skip
CLOSED = {
    "an announced close": (reply(headers="Connection: close\r\n"), 200, 5),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5),
    "an end by closing": (b"HTTP/1.1 200 OK\r\n\r\nhello there", 200, 11),
    "nothing until the close": (b"HTTP/1.1 200 OK\r\n\r\n", 200, 0),
}


@pytest.mark.parametrize("what", KEPT)
@pytest.mark.parametrize("pieces", [1, 9])
def test_an_answer_keeps_its_connection(what, pieces):
    """Its end is known, be it sent at once or in pieces: the connection is used again."""
    data, status, size = KEPT[what]

    def behave(connection, path):
        step = -(-len(data) // pieces)
        for at in range(0, len(data), step):
            connection.sendall(data[at : at + step])
        return True

    with raw_server(behave) as server:
        result = run_load(server.url, Closed(1, requests=5))
    assert result.errors == {}
    assert set(result.status) == {status}
    assert set(result.bytes) == {size}
    assert result.connections_opened == server.connections == 1
    assert (result.connect_time[1:] == 0).all()
    assert (result.first_byte_time > 0).all()


@pytest.mark.parametrize("what", CLOSED)
def test_an_answer_ends_its_connection(what):
    """The next request opens another, and nothing fails."""
    data, status, size = CLOSED[what]
    with raw_server(say(data)) as server:
        result = run_load(server.url, Closed(1, requests=5))
    assert result.errors == {}
    assert set(result.status) == {status}
    assert set(result.bytes) == {size}
    assert result.connections_opened == server.connections == 5
    assert (result.connect_time > 0).all()


def test_the_answer_to_a_head_has_no_body_whatever_it_announces():
    """Nor does it change what the same headers mean behind a GET; without a length it ends too."""

    def behave(connection, path):
        if path == "/open":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            connection.sendall(reply(b"" if path == "/head" else b"hello", claim=5))
        return True

    routes = [Route("/head", "HEAD"), Route("/open", "HEAD"), Route("/get")]
    with raw_server(behave) as server:
        result = run_load(server.url, Closed(1, requests=100), route=routes)
    assert result.errors == {}
    assert server.connections == 1
    asked = np.array(result.paths)[result.route]
    assert np.array_equal(result.bytes, np.where(asked == "/get", 5, 0))
    assert set(asked) == {"/get", "HEAD /head", "HEAD /open"}


def test_a_body_behind_a_head_is_not_its_answer():
    """The server sends it all the same: the connection cannot be trusted any more."""
    routes = [Route("/head", "HEAD"), Route("/get")]
    with raw_server(answer) as server:
        result = run_load(server.url, Closed(1, requests=50), route=routes)
    asked = np.array(result.paths)[result.route]
    assert result.errors == {}
    assert np.array_equal(result.bytes, np.where(asked == "/get", 5, 0))
    # The last one's connection is not missed.
    assert server.connections == 1 + (asked[:-1] != "/get").sum()


def test_a_body_that_looks_like_an_answer_is_none():
    """Not even where the answer that it looks like has been seen before."""
    inner = reply()

    def behave(connection, path):
        if path == "/inner":
            return answer(connection, path)
        connection.sendall(reply(b"", claim=2 * len(inner)))
        for _ in range(2):  # often, though not always, read one by one
            connection.sendall(inner)
        return True

    with raw_server(behave) as server:
        result = run_load(server.url, Closed(1, requests=300), route=["/inner", "/outer"])
    asked = np.array(result.paths)[result.route]
    assert result.errors == {}
    assert np.array_equal(result.bytes, np.where(asked == "/inner", 5, 2 * len(inner)))
    assert server.connections == 1


@pytest.mark.parametrize("farewell", ["close", "reset"])
def test_a_kept_connection_that_the_server_closes_is_replaced_without_a_word(farewell):
    """Closed as the next request comes: it is sent once more, over a connection of its own."""
    seen = []

    def behave(connection, path):
        seen.append(connection)
        if seen.count(connection) < 3:
            return answer(connection, path)
        return reset(connection, path) if farewell == "reset" else False

    with raw_server(behave) as server:
        result = run_load(server.url, Closed(1, requests=9))
    assert result.errors == {}
    assert len(server.paths) == 9 + 4
    assert result.connections_opened == server.connections == 5


def test_a_connection_closed_while_it_rests_is_replaced():
    """What the server does between two requests costs neither."""

    def behave(connection, path):
        answer(connection, path)
        return False  # without having said so

    with raw_server(behave) as server:
        result = run_load(server.url, Closed(1, requests=5, think_time=0.05))
    assert result.errors == {}
    assert result.connections_opened == server.connections == 5


def test_what_comes_behind_an_answer_belongs_to_no_request():
    """A connection on which more arrives than was asked for is not used again."""
    with raw_server(say(reply() + reply(b"another"), stay=True)) as server:
        result = run_load(server.url, Closed(1, requests=5))
    assert result.errors == {}
    assert set(result.bytes) == {5}
    assert server.connections == 5


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"<html>hello</html>",
    ],
)
def test_headers_that_make_no_sense_are_malformed(head):
    """An answer of which nobody knows what it says is none."""
    with raw_server(say(head)) as server:
        result = run_load(server.url, Closed(1, requests=3))
    assert result.errors == {"malformed": 3}


def test_a_number_of_thousands_of_digits_is_too_large():
    """The announced length is compared, however long it is to write."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"
    with raw_server(say(head)) as server:
        assert run_load(server.url, Closed(1, requests=2)).errors == {"too large": 2}


def test_interim_answers_without_end_are_given_up():
    """Each is harmless; together they are headers without end, or take too long."""

    def behave(connection, path):
        while True:
            connection.sendall(HINTS * 100)

    with raw_server(behave) as server:
        result = run_load(server.url, Closed(1, requests=2), timeout=30)
    assert set(result.errors) == {"malformed"}


def test_a_large_body_is_sent_to_its_end():
    """More than the sockets hold, to a server that takes it in its own time."""
    size, got = 12 << 20, []
    with raw_server_of_bodies(size, got) as server:
        result = run_load(server, Closed(1, requests=3), route=Route("/", "PUT", b"x" * size))
    assert result.errors == {}
    assert got == [size] * 3
    assert result.connections_opened == 1


@contextlib.contextmanager
def raw_server_of_bodies(size, got):
    """Reads requests with a body of `size` from one connection, and answers each at its end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as file:
                while head := file.readline():
                    while head not in (b"\r\n", b""):
                        head = file.readline()
                    got.append(len(file.read(size)))
                    connection.sendall(reply())

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_time_out_ends_a_body_that_stops():
    """Its bytes and its status are in the record, and its connection is not used again."""
    with raw_server(say(reply(b"hell", claim=5), stay=True)) as server:
        result = run_load(server.url, Closed(2, requests=4), timeout=0.2)
    assert result.errors == {"timeout": 4}
    assert set(result.status) == {200}
    assert set(result.bytes) == {4}
    assert (result.service_time >= 0.199).all()
    assert server.connections == 4


def test_time_outs_begin_with_the_warm_up():
    """A silent server is asked again and again before the measurement begins."""
    with raw_server(silent) as server:
        result = run_load(server.url, Closed(1, requests=1), warm_up=1.0, timeout=0.05)
    assert result.errors == {"timeout": 1}
    assert len(server.paths) > 2


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_localhost_is_either_address(family):
    """Whichever of the two the server listens on."""
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")

    def serve():
        connection, _ = listener.accept()
        with connection:
            while connection.recv(65536):
                connection.sendall(reply())

    with listener:
        threading.Thread(target=serve, daemon=True).start()
        result = run_load(f"http://localhost:{listener.getsockname()[1]}", Closed(1, requests=20))
    assert result.errors == {}
    assert result.connections_opened == 1
