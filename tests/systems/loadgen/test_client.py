"""Requests as they are on the wire: method, headers and body of each route, and nothing else."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from perflab.systems.loadgen import Closed, Route, run_load

pytestmark = pytest.mark.usefixtures("transport")


class Listener(BaseHTTPRequestHandler):
    """Writes down (method, path, headers, body) of each request of its only connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # it writes headers and body apart: 40 ms between the two

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {name.lower(): value for name, value in self.headers.items() if name != "Host"}
        self.server.asked.append((self.command, self.path, told, body))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"hello")

    def log_request(self, *ignored):
        pass


LARGE = b"\x00" * 5000  # above the size from which libcurl would ask for leave to send it
ROUTES = {
    "get": Route("/0"),
    "head": Route("/1", "HEAD"),
    "post": Route("/2", "POST", body={"a": 1}, headers={"X-Own": "yes"}),
    "empty post": Route("/3", "POST"),
    "put": Route("/4", "PUT", body=LARGE),
    "delete": Route("/5", "DELETE"),
    "get with a body": Route("/6", body="ü"),
    "a header without a value": Route("/7", headers={"X-Empty": ""}),
}


def ask(routes, requests):
    """What a server is told that is asked for routes in turn over one connection."""
    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        server.asked = []
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        result = run_load(url, Closed(1, requests=requests), route=routes)
        thread.join()
    assert result.errors == {}
    assert result.connections_opened == 1
    return server.asked


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_is_sent_as_it_says(name):
    """Method, path, own headers, the body with its length; no «Expect», no type made up."""
    route = ROUTES[name]
    asked = ask(route, 3)
    method, path, told, body = asked[0]
    assert asked == [asked[0]] * 3
    assert (method, path) == (route.method, route.path)
    assert body == (route.body or b"")
    sent = {key.lower(): value for key, value in route.headers.items()}
    expected = {"user-agent", "accept", *sent}
    if route.body is not None or route.method not in ("GET", "HEAD"):
        expected.add("content-length")
    assert told.keys() == expected
    assert sent.items() <= told.items()


def test_a_handle_forgets_the_route_before():
    """All kinds mixed over one connection: each is what it is when it is alone."""
    alone = {route.path: ask(route, 1)[0] for route in ROUTES.values()}
    mixed = ask(list(ROUTES.values()), 200)
    assert len(mixed) == 200
    assert {path for _, path, _, _ in mixed} == set(alone)
    assert all(one == alone[one[1]] for one in mixed)
