"""Which transport carries a load."""

import pytest

from perflab.systems import Closed, Route
from perflab.systems.loadgen import client, sockets
from perflab.systems.loadgen.engine import make_transport
from perflab.systems.loadgen.scenario import Scenario


class NoPoller:
    def watch(self, fd, bits):
        pass


@pytest.mark.parametrize(
    ("base", "route"),
    [
        ("http://127.0.0.1:80", Route("/")),
        ("http://[::1]:80/base", Route("/a?b=c")),
        ("http://localhost", Route("/", "POST", [1])),
    ],
)
def test_plain_requests_go_over_bare_sockets(base, route, monkeypatch):
    """To an address, without TLS, as they are."""
    monkeypatch.setattr(sockets, "best_poller", NoPoller)
    settings = Scenario(Closed(1), route=["/x", route]).settings(base)
    assert isinstance(make_transport(settings), sockets.SocketTransport)


@pytest.mark.parametrize(
    ("base", "route"),
    [
        ("https://127.0.0.1", Route("/")),
        ("http://example.com", Route("/")),
        ("http://127.0.0.1.", Route("/")),
        ("http://127.0.0.1", Route("/a/../b")),
        ("http://127.0.0.1/..", Route("/")),
        ("http://127.0.0.1", Route("/a#b")),
        ("http://127.0.0.1", Route("/", headers={"Expect": "100-continue"})),
        ("http://127.0.0.1", Route("/", headers={"transfer-encoding": "chunked"})),
    ],
)
def test_what_is_not_plain_is_left_to_libcurl(base, route, monkeypatch):
    """TLS, names to look up, paths that are rewritten, headers that change the exchange."""
    monkeypatch.setattr(client, "best_poller", NoPoller)
    settings = Scenario(Closed(1), route=["/x", route]).settings(base)
    assert isinstance(make_transport(settings), client.CurlTransport)
