"""A client on a bare socket: what the link counts is what the protocol demands."""

import json

import pytest

from perflab.experiments.rawclient import RawClient, asked
from perflab.systems import link, webapp

TRIPS = {  # for three requests: kept, new, resumed
    "": (1 + 3, 3 * 2, None),
    "1.2": (3 + 3, 3 * 4, 4 + 2 * 3),
    "1.3": (2 + 3, 3 * 3, 3 * 3),
}


@pytest.fixture(scope="module", params=TRIPS)
def app(small_shop, request):
    with webapp(small_shop, tls=request.param) as running:
        yield running


def test_round_trips_are_those_of_the_protocol(app):
    """One for TCP, two, one or none for TLS, one for the request."""
    kept, new, resumed = TRIPS[app.settings.tls]
    assert asked(app, 3, delay=0.005).round_trips == kept
    assert asked(app, 3, delay=0.005, kept=False).round_trips == new
    if resumed is not None:
        again = asked(app, 3, delay=0.005, kept=False, resume=True)
        assert (again.round_trips, again.resumed, again.connections) == (resumed, 2, 3)


def test_requests_in_one_write_are_answered_in_order(app):
    """Pipelining: one turn of direction, the answers in the order of the paths."""
    with link(app) as way, RawClient(way, app.authority) as client:
        client.get()
        before = way.counts().turns
        bodies = client.ask([f"/products/{number}" for number in (3, 1, 2)])
        assert way.counts().turns - before == 2
    assert [json.loads(body)["id"] for body in bodies] == [3, 1, 2]


def test_it_needs_something_with_a_url():
    """A bad argument is named at once."""
    with pytest.raises(ValueError, match="server"):
        RawClient(None)
