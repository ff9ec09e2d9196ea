"""Servers that are dead, dying, endless or lying: always a result, with errors by kind."""

import psutil
import pytest
from rawserver import answer, free_port, raw_server, reply, reset, say, silent, without_end

from perflab.systems import Closed, Open, run_load

pytestmark = pytest.mark.usefixtures("transport")

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
HUGE = 10 << 30

LIARS = {
    "closes without a word": (say(b""), "no answer"),
    "resets": (reset, "reset"),
    "is silent": (silent, "timeout"),
    "speaks no HTTP": (say(b"220 smtp.example.com ESMTP\r\n"), "malformed"),
    "stops within the body": (say(reply(b"x" * 10, claim=100)), "cut short"),
    "stops within the headers": (say(b"HTTP/1.1 200 OK\r\nContent-"), "cut short"),
    "announces 10 GB": (say(reply(b"x", claim=HUGE), stay=True), "too large"),
    "sends a body without end": (without_end(CHUNKED, CHUNK), "too large"),
    "sends headers without end": (
        without_end(b"HTTP/1.1 200 OK\r\n", b"X-Line: " + b"y" * 500 + b"\r\n"),
        "malformed",
    ),
    "sends one header without end": (
        without_end(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 500),
        "malformed",
    ),
    "breaks its chunks": (say(CHUNKED + b"zz\r\nhello"), "malformed"),
}


@pytest.mark.parametrize("what", LIARS)
def test_a_server_that(what):
    """Each request ends as an error of the fitting kind, and all are accounted for."""
    behave, kind = LIARS[what]
    with raw_server(behave) as server:
        result = run_load(
            server.url, Closed(2, requests=6), timeout=1.0 if behave is silent else 30.0,
            max_bytes=1 << 20,
        )  # fmt: skip
    assert result.start.size == 6
    assert result.errors == {kind: 6}


def test_a_dead_server_is_refused_connections():
    """Nobody listens: every request is counted as refused, those of an open load too."""
    url = f"http://127.0.0.1:{free_port()}"
    assert run_load(url, Closed(3, requests=30)).errors == {"refused": 30}
    result = run_load(url, Open(100, 0.3))
    assert result.errors == {"refused": 30}
    assert result.not_sent == 0


def test_a_body_without_end_is_not_kept_in_memory():
    """The cap lies far above what the tester may grow by while it reads the body."""
    with raw_server(without_end(CHUNKED, CHUNK)) as server:
        result = run_load(server.url, Closed(1, requests=1), max_bytes=200 << 20, timeout=120)
    assert result.errors == {"too large": 1}
    assert result.bytes[0] >= 200 << 20
    assert result.readings["tester_rss"].max() < result.readings["tester_rss"][0] + (32 << 20)


def test_a_server_that_dies_in_the_middle_is_a_result():
    """The first requests succeed, the rest fail, and none is missing."""
    served = []

    def behave(connection, path):
        served.append(path)
        if len(served) == 20:
            server.close()
        return len(served) < 20 and answer(connection, path)

    with raw_server(behave) as server:
        result = run_load(server.url, Closed(1, requests=50))
    assert result.start.size == 50
    assert result.ok.sum() == 19
    assert sum(result.errors.values()) == 31
    assert set(result.errors) <= {"refused", "reset", "no answer"}
    assert not result.ok[19:].any()


def test_a_server_that_is_not_there_any_more_has_no_memory():
    """Its process number belongs to nobody: the figures are nan."""
    gone = next(pid for pid in range(4_000_000, 5_000_000) if not psutil.pid_exists(pid))
    url = f"http://127.0.0.1:{free_port()}"
    result = run_load(url, Closed(1, requests=1), server_pid=gone)
    assert result.errors == {"refused": 1}
