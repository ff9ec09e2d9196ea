"""The shop in two databases at once, and the experiments that chapter 3 makes of it."""

from types import SimpleNamespace

import psycopg
import pytest

from perflab.errors import ClosedError
from perflab.experiments import fetching
from perflab.experiments.fetching import Fetching, fetch_far, fetch_near, runner
from perflab.experiments.fileshards import FileShards
from perflab.experiments.poolload import load_pool
from perflab.experiments.twodatabases import TwoDatabases
from perflab.patterns import ConnectionPool, ModuloRouter, RingRouter
from perflab.systems import shop

ORDERS = "SELECT id FROM orders WHERE total <= ?"


@pytest.fixture(scope="module")
def both():
    with TwoDatabases(shop(1_000)) as databases:
        yield databases


def test_both_hold_the_same_rows(both):
    """A query has the same answer in either."""
    sqlite, postgres = both.explain(ORDERS, (500,))
    assert sqlite.rows == postgres.rows > 0
    assert (sqlite.database[:6], postgres.database[:8]) == ("SQLite", "PostgreS")


def test_an_index_lasts_as_long_as_its_block(both):
    """It is there in both under a name made of its words, and gone after an error too."""
    before = both.bytes_used()

    def fails():
        with both.index("orders(total, status)"):
            assert both.explain(ORDERS, (1,))[0].uses("orders_total_status")
            assert all(now > then for now, then in zip(both.bytes_used(), before, strict=True))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert not both.explain(ORDERS, (1,))[0].uses("orders_total_status")
    assert both.bytes_used() == before


def test_a_forbidden_way_is_allowed_again_after_the_block(both):
    """PostgreSQL searches where it may not scan."""
    with both.index("orders(total)"):
        with both.forbid("seqscan", "bitmapscan"):
            assert both.explain(ORDERS, (10**6,))[1].uses("orders_total")
        assert both.explain(ORDERS, (10**6,))[1].scans("orders")


def test_a_bitmap_scan_goes_by_its_index(both):
    """It is a search: PostgreSQL sorts the pages that the index names, and then fetches them."""
    with both.index("orders(total)"), both.forbid("seqscan", "indexscan", "indexonlyscan"):
        ways = {node.way for node in both.explain(ORDERS, (10,))[1].nodes if node.index}
    assert ways == {"search"}


def test_times_come_for_both(both):
    """Two medians of seconds, also for a query with parameters."""
    assert all(0 < seconds < 60 for seconds in both.seconds(ORDERS, (500,), times=2))


def test_no_statement_is_prepared_however_often_it_is_asked(both):
    """A plan for all values would be another than the one that is shown."""
    both.seconds(ORDERS, (500,), times=9)
    left = both.postgres.execute("SELECT statement FROM pg_prepared_statements").fetchall()
    assert left == []


def test_the_first_call_does_not_count_for_the_median(monkeypatch):
    """It fills caches: 9 s, and then 1, 2 and 3."""
    moments = iter((0, 9, 10, 11, 20, 22, 30, 33))
    monkeypatch.setattr(fetching, "time", SimpleNamespace(perf_counter=lambda: next(moments)))
    assert fetching.median_time(lambda: None, times=3) == 2


def test_three_ways_fetch_the_same_items(both):
    """N+1, join and batches differ in queries, and on a link in round trips."""
    fetching = Fetching(runner(both.postgres), first=5)
    found = {name: (way(), fetching.queries) for name, way in fetching.ways().items()}
    single = [item for _, items in found["N+1"][0] for item in items]
    assert sorted(single) == sorted(row[-5:] for row in found["join"][0] if row[-5] is not None)
    assert sorted(single) == sorted(found["batches"][0][1])
    assert [sent for _, sent in found.values()] == [6, 7, 9]
    far = fetch_far(both.server, 0.0, times=1, first=5)
    assert {name: one.turns // 2 for name, one in far.passed.items()} == {
        "N+1": 6, "join": 1, "batches": 2}  # fmt: skip
    near = fetch_near(both.postgres, times=1, first=5)
    assert near.round_trip > 0
    assert set(near.seconds) == set(far.seconds)


def test_callers_of_a_pool_are_timed_with_and_without_their_wait(both):
    """No statement takes longer than its response; the error of one comes through."""
    pool = ConnectionPool(lambda: both.server.connect(autocommit=True), max_open=2)
    load = load_pool(pool, lambda c: c.execute("SELECT 1"), both.server.pid, 4, 0.2, 0.0)
    assert (load.response_time >= load.statement_time).all()
    assert load.response_time.sum() > load.statement_time.sum()  # four share what two can do
    assert load.throughput * load.seconds == len(load.response_time) > 0
    assert load.memory > 0
    with pytest.raises(psycopg.errors.UndefinedTable):
        load_pool(pool, lambda c: c.execute("SELECT 1 FROM nowhere"), both.server.pid, 2, 0.2)
    pool.close()
    with pytest.raises(ClosedError):
        load_pool(pool, lambda c: None, both.server.pid, 2, 0.2)


def test_a_restart_keeps_the_rows(both):
    """The connection is a new one, the data are the same."""
    before = both.explain(ORDERS, (500,))[1].rows
    both.restart()
    assert both.explain(ORDERS, (500,))[1].rows == before


@pytest.mark.parametrize("router", [ModuloRouter, RingRouter])
def test_shards_lose_nothing_when_one_joins(router, tmp_path):
    """Every order is in one file before and after, and in the right one."""
    orders = [(n, n % 97, 1, "", "") for n in range(1_000)]
    names = ["a", "b", "c"]
    with FileShards(tmp_path, names[:2]) as shards:
        shards.put(orders, router(names[:2]).route)
        assert sum(shards.rows().values()) == 1_000
        shards.open("c")
        moved = shards.rebalance(router(names).route)
        assert 0 < moved < 1_000
        assert sum(shards.rows().values()) == 1_000
        assert shards.rebalance(router(names).route) == 0
        assert len(shards.ask_all("SELECT 1")) == 3
