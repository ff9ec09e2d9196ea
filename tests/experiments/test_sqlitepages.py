"""Pages of an SQLite file: computed from its format, and held against what is really read."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from perflab.experiments.sqlitepages import READ_HERE, bytes_read, page_of_rows, pages_fetched
from perflab.systems import shop

PAGE = 4_096


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "a shop's.db"
    with closing(shop(1_000).copy(path)) as db:
        db.execute("CREATE INDEX by_total ON orders(total)")
        db.execute("CREATE TABLE many (id INTEGER PRIMARY KEY, text)")
        db.executemany("INSERT INTO many (text) VALUES (?)", [("x" * 90,)] * 50_000)
        mixed = "SELECT id, id * 7919 % 10000 AS k, text FROM many WHERE id <= 10000"
        db.execute(f"CREATE TABLE mixed AS {mixed}")  # two levels: the upper one stays in memory
        db.execute("CREATE INDEX by_k ON mixed(k)")
        db.commit()
    return path


def test_every_row_lies_on_one_page_and_pages_follow_the_key(path):
    """As many entries as rows, each page one stretch; also where the tree is three levels deep."""
    for table, rows in (("orders", None), ("many", 50_000)):
        pages = page_of_rows(path, table)
        with closing(sqlite3.connect(path)) as db:
            assert len(pages) == db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        assert rows is None or len(pages) == rows
        assert pages_fetched(pages) == len(set(pages.tolist()))


def test_what_is_no_table_is_refused(path):
    """An index has pages, but no rows of its own."""
    for name in ("by_total", "nothing"):
        with pytest.raises(ValueError, match="table"):
            page_of_rows(path, name)


def test_a_page_is_fetched_again_where_the_reader_comes_back():
    """Whoever keeps one page fetches it for each visit, once for a stretch of them."""
    assert pages_fetched([]) == 0
    assert pages_fetched([3, 3, 3]) == 1
    assert pages_fetched([3, 3, 4, 3]) == 3


@pytest.mark.skipif(not READ_HERE.exists(), reason="this system does not tell what is read")
def test_computed_is_what_sqlite_reads(path):
    """With hardly a cache it reads what the format says, and some more for the index itself."""
    pages = page_of_rows(path, "mixed")
    order = np.argsort(np.arange(1, len(pages) + 1) * 7_919 % 10_000, kind="stable")
    query = "SELECT sum(length(text)) FROM mixed {} WHERE k >= ?"
    for way, computed in (("NOT INDEXED", pages), ("INDEXED BY by_k", pages[order])):
        read = bytes_read(path, query.format(way), (0,)) / PAGE
        assert pages_fetched(computed) <= read <= 1.25 * pages_fetched(computed)
