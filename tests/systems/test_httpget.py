"""Connections to a real server are kept as Go's client keeps them."""

import asyncio
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from perflab.systems.httpget import HttpGet


class Counting(ThreadingHTTPServer):
    """Counts the connections that it accepts."""

    daemon_threads = True
    request_queue_size = 128
    accepted = 0

    def process_request(self, request, client_address):
        self.accepted += 1
        super().process_request(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        body = b"" if self.path == "/empty" else b"hello"
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/last":
            self.close_connection = True  # without a word in the header
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *about):
        """Quiet."""


@pytest.fixture(scope="module")
def server():
    with Counting(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def opened(server, requests, use, path="/", at_once=1):
    """Connections that so many requests take: counted by the client, and by the server."""
    before = server.accepted
    with HttpGet(f"http://127.0.0.1:{server.server_port}{path}") as client:

        async def ask():
            await use(await client.get())

        async def main():
            for _ in range(requests // at_once):
                await asyncio.gather(*(ask() for _ in range(at_once)))

        asyncio.run(main())
        return client.connections, server.accepted - before


async def read(answer):
    assert await answer.read() in (b"hello", b"")
    answer.close()


async def unread(answer):
    answer.close()


def test_an_answer_closed_unread_costs_its_connection(server):
    """A thousand requests, a thousand connections."""
    assert opened(server, 1_000, unread) == (1_000, 1_000)


def test_an_answer_read_gives_its_connection_back(server):
    """A thousand requests one after the other take one."""
    assert opened(server, 1_000, read) == (1, 1)


def test_two_connections_wait_and_no_more(server):
    """Of ten at once eight are closed, so the next ten open eight."""
    assert opened(server, 30, read, at_once=10) == (26, 26)


def test_an_answer_without_a_body_needs_no_reading(server):
    """There is nothing to read, so its connection is free at once."""
    assert opened(server, 20, unread, path="/empty") == (1, 1)


def test_a_connection_that_the_server_closed_is_replaced(server):
    """The request is sent again on a new one, and its caller never knows."""
    assert opened(server, 10, read, path="/last") == (10, 10)


def test_a_status_is_no_exception(server):
    """A 500 comes back as an answer; who counts has to look."""

    async def broken(answer):
        assert answer.status == 500
        await answer.read()

    assert opened(server, 3, broken, path="/broken") == (1, 1)


def test_nobody_listens(server):
    """A refused connection is raised, and counted as opened."""

    async def main():
        with HttpGet("http://127.0.0.1:1/") as client, pytest.raises(OSError):  # noqa: PT011 - its text is the system's
            await client.get()
        return client.connections

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "127.0.0.1:80", ""])
def test_another_kind_of_address_is_refused(url):
    """Only http is spoken."""
    with pytest.raises(ValueError, match="url="):
        HttpGet(url)
