"""The list of products, plain and compressed; a handler that says its length to the guide's."""

import http.client
import zlib

import pytest

from perflab.experiments.rawclient import RawClient
from perflab.experiments.webpages import ROUTES, listed
from perflab.systems import webapp


@pytest.fixture(scope="module")
def app(small_shop):
    with webapp(small_shop, routes=ROUTES) as running:
        yield running


def test_the_list_is_one_list_at_every_level(app):
    """Compressed or not, the bytes are those of the list."""
    with RawClient(app) as client:
        plain, fast, best = client.ask([f"/list/{one}" for one in ("plain/0", "gzip/1", "gzip/9")])
    assert plain == listed()
    assert zlib.decompress(fast, 31) == zlib.decompress(best, 31) == plain
    assert len(best) < len(fast) < len(plain) / 3


def test_a_length_declared_to_the_guides_middleware_breaks_the_answer(app):
    """The client is promised ten thousand bytes and reads the end before."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    connection.request("GET", "/declared/", headers={"accept-encoding": "gzip"})
    answer = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()
