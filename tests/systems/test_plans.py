"""The same query in two databases: their plans in one form, and the work that they did."""

from contextlib import closing

import psycopg
import pytest

from perflab.systems import explain, postgres
from perflab.systems.plans import for_postgres
from perflab.systems.shop import TABLES

BY_EMAIL = "SELECT * FROM users WHERE email = ?"
JOIN = """
    SELECT oi.product_id FROM orders JOIN order_items oi ON oi.order_id = orders.id
    WHERE orders.user_id = ? ORDER BY orders.total
"""


@pytest.fixture(scope="module")
def server(small_shop):
    with postgres() as server:
        small_shop.copy_to(server)
        yield server


@pytest.fixture
def lite(small_shop):
    with closing(small_shop.copy()) as connection:
        yield connection


@pytest.fixture
def post(server):
    with server.connect() as connection:
        yield connection
        connection.rollback()  # an index made in a test is gone with it


def both(lite, post, query, parameters=()):
    return [explain(connection, query, parameters) for connection in (lite, post)]


@pytest.mark.parametrize("table", TABLES)
def test_both_databases_hold_the_same_rows(table, lite, post):
    """Every value of every row."""
    query = f"SELECT * FROM {table} ORDER BY id"
    assert lite.execute(query).fetchall() == post.execute(query).fetchall()


def test_an_index_turns_a_scan_into_a_search_in_both(lite, post):
    """The plan says so, and so does the work."""
    for connection in (lite, post):
        before = explain(connection, BY_EMAIL, ("user4@gmail.com",))
        connection.execute("CREATE INDEX by_email ON users (email)")
        after = explain(connection, BY_EMAIL, ("user4@gmail.com",))
        assert before.scans("users")
        assert not before.uses("by_email")
        assert after.uses("by_email")
        assert not after.scans("users")
        assert before.rows == after.rows
        assert (after.steps or after.pages) < (before.steps or before.pages) / 2


def test_a_key_is_a_search(lite, post):
    """SQLite keeps a table in the order of its key, PostgreSQL has an index for it."""
    in_lite, in_post = both(lite, post, "SELECT total FROM orders WHERE id = ?", (5,))
    assert in_lite.uses("primary key")
    assert in_post.uses("orders_pkey")
    assert [in_lite.rows, in_post.rows] == [1, 1]


def test_both_return_as_many_rows(lite, post):
    """A join with an order: the plans differ, the answer does not."""
    buyer = lite.execute("SELECT user_id FROM orders").fetchone()
    in_lite, in_post = both(lite, post, JOIN, buyer)
    assert in_lite.rows == in_post.rows > 0
    assert len(in_post.to_frame()) == len(in_post.nodes) > 2


def test_an_index_that_sqlite_makes_for_one_query_has_no_name(lite):
    """It is gone after the query, so nobody can ask for it."""
    joined = explain(lite, "SELECT * FROM orders o LEFT JOIN order_items i ON i.order_id = o.id")
    assert "AUTOMATIC" in str(joined)
    assert {node.index for node in joined.nodes} <= {None, "primary key"}


def test_a_plan_is_indented_by_what_feeds_what(post):
    """The outermost step comes first."""
    lines = str(explain(post, JOIN, (3,))).splitlines()
    assert not lines[0].startswith(" ")
    assert all(line.startswith("  ") for line in lines[1:])


def test_counting_ends_with_the_query(lite):
    """The next query of the connection runs at its own speed, also after an error."""
    with pytest.raises(Exception, match="no such"):
        explain(lite, "SELECT * FROM nobody")
    before = explain(lite, "SELECT 1").steps
    assert explain(lite, "SELECT 1").steps == before


def test_question_marks_and_percents_are_written_psycopgs_way():
    """A question mark in quotes is a character, and so is a percent sign anywhere."""
    query = "SELECT '?', '100%', 'it''s ?' WHERE a LIKE ? AND b % 2 = ?"
    wanted = "SELECT '?', '100%%', 'it''s ?' WHERE a LIKE %s AND b %% 2 = %s"
    assert for_postgres(query) == wanted


def test_a_shop_is_loaded_once(small_shop, server):
    """A second copy is refused by the database, and the first one stays."""
    with pytest.raises(psycopg.errors.DuplicateTable):
        small_shop.copy_to(server)
    with server.connect() as connection:
        (users,) = connection.execute("SELECT count(*) FROM users").fetchone()
    assert users == small_shop.counts["users"]
