"""The shop's pages with and without each fix: one page, sixteen ways, and what each way costs."""

import gzip
import http.client
import itertools
import json

import pytest

from perflab.experiments.shoppages import (
    ALL_RELATED,
    INDEXED,
    LAST_ORDERS,
    PLAIN,
    case_study,
    prepare,
)
from perflab.systems import explain, postgres, valkey

SUBSETS = ["".join(use) for n in range(5) for use in itertools.combinations("ICPZ", n)]


@pytest.fixture(scope="module")
def database(small_shop):
    with postgres() as server:
        small_shop.copy_to(server)
        prepare(server)
        yield server


@pytest.fixture(scope="module")
def cache():
    with valkey() as server:
        yield server


@pytest.fixture
def app(database, cache):
    cache.client().flushall()
    with case_study(database, cache) as running:
        yield running


def page(app, path):
    """Status, what it cost by name, bytes sent and the body, unpacked."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
    connection.request("GET", path, headers={"accept-encoding": "gzip"})
    answer = connection.getresponse()
    sent = answer.read()
    connection.close()
    body = gzip.decompress(sent) if answer.headers["content-encoding"] == "gzip" else sent
    costs = {name[2:]: int(text) for name, text in answer.headers.items() if name[:2] == "x-"}
    return answer.status, costs, len(sent), body


def test_every_subset_of_the_fixes_makes_the_same_page(app):
    """Sixteen ways, twice each since the second may come from the cache: one body."""
    bodies = {page(app, f"/page/7?use={use}")[3] for use in SUBSETS * 2}
    assert len(bodies) == 1
    assert len(json.loads(bodies.pop())["related"]) > 0


def test_each_fix_saves_what_it_is_there_for(app):
    """Queries, connections and bytes, counted."""
    _, bare, size, body = page(app, "/page/7?use=")
    assert bare["queries"] > 20
    assert bare["connects"] == 1
    assert size == len(body)
    assert page(app, "/page/7?use=I")[1]["queries"] == 3
    page(app, "/page/7?use=P")
    assert page(app, "/page/7?use=P")[1] == bare | {"connects": 0}
    assert page(app, "/page/7?use=C")[1] == bare
    assert page(app, "/page/7?use=C")[1] == {"queries": 0, "connects": 0, "hit": 1}
    assert page(app, "/page/7?use=Z")[2] < size / 3


def test_no_subset_finds_what_another_has_cached(app):
    """Else the order in which they are tried would decide."""
    page(app, "/page/7?use=C")
    assert page(app, "/page/7?use=CI")[1]["hit"] == 0
    assert page(app, "/page/7?use=IC")[1]["hit"] == 1  # the same subset, written otherwise
    assert page(app, "/page/7?use=IC&related=3")[1]["hit"] == 0


def test_a_page_is_as_long_as_it_is_asked_to_be(app):
    """The knob of the chapter."""
    for count in (0, 5):
        assert len(json.loads(page(app, f"/page/7?use=I&related={count}")[3])["related"]) == count


@pytest.mark.parametrize("path", ["/page/7?use=X", "/page/7?related=-1", "/page/7?related=501"])
def test_nonsense_in_an_address_is_refused(app, path):
    """400, before the database is asked."""
    assert page(app, path)[0] == 400


def test_a_product_that_is_not_there_is_not_cached(app):
    """404, each time asked of the database."""
    for _ in range(2):
        status, costs, _, _ = page(app, "/page/99999999?use=C")
        assert (status, costs["queries"]) == (404, 1)


def test_the_rewritten_queries_search_where_there_are_indexes_and_scan_where_there_are_none(
    database,
):
    """The two schemas differ in that alone."""
    with database.connect() as connection:
        connection.execute("SET enable_seqscan = off")  # a small table is scanned for less
        for query, parameters in ((LAST_ORDERS, (7, 30)), (ALL_RELATED, ("Kitchen", 40))):
            plans = {
                schema: explain(connection, query.format(schema).replace("%s", "?"), parameters)
                for schema in (INDEXED, PLAIN)
            }
            table = "order_items" if query is LAST_ORDERS else "products"
            assert not plans[INDEXED].scans(table)
            assert plans[PLAIN].scans(table)
