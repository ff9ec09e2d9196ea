"""Go's database/sql as the guide sets it up: the port does what Go did when it was tried."""

import threading

import pytest

from perflab.contracts.parts.pools import Factory
from perflab.contracts.threads import Running, eventually
from perflab.guide.connectionpool import (
    DB,
    USUAL_LIMITS,
    DatabaseConfig,
    ShardConfig,
    new_database,
    new_sharded_database,
)
from perflab.guide.parts.sqlconn import (
    BadConnError,
    ConnDoneError,
    DatabaseClosedError,
    DeadlineExceededError,
)
from perflab.measure import VirtualClock


def bursts(db, number=200, size=25):
    """So many requests at the same time, again and again."""
    for _ in range(number):
        for conn in [db.conn() for _ in range(size)]:
            conn.close()


def test_the_usual_limits_open_4005_connections_for_5000_requests():
    """25 may be open and 5 idle: each burst of 25 opens 20 anew, the first one all."""
    factory = Factory()
    db = DB(factory)
    db.set_max_open_conns(USUAL_LIMITS["max_open_conns"])
    db.set_max_idle_conns(USUAL_LIMITS["max_idle_conns"])
    bursts(db)
    assert len(factory.made) == 4_005
    assert db.stats().max_idle_closed == 4_000
    db.close()
    assert factory.open == 0


def test_a_shard_opens_a_connection_for_each_request():
    """No limit is handed on, and 0 means that none is kept."""
    factory = Factory()
    (shard,) = new_sharded_database([ShardConfig("localhost", 5432, "a")], lambda _: factory())
    bursts(shard)
    assert len(factory.made) == 1 + 5_000
    shard.close()


def test_a_configuration_is_handed_on_and_pinged_once():
    """The driver sees all of it, the pool has its limits, and one connection is idle."""
    seen, factory = [], Factory()

    def driver(config):
        seen.append(config)
        return factory()

    config = DatabaseConfig("localhost", 5432, "user", "password", "mydb", **USUAL_LIMITS)
    db = new_database(config, driver)
    assert seen == [config]
    assert (db.stats().max_open_connections, db.stats().idle) == (25, 1)
    db.close()


def test_a_failed_first_ping_leaves_a_thread():
    """As ten goroutines were left by ten attempts in Go."""
    before = set(threading.enumerate())

    def refuse(config):
        raise ConnectionRefusedError

    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            new_database(DatabaseConfig(), refuse)
    left = [one.name for one in threading.enumerate() if one not in before]
    assert left == ["opener"] * 3


def test_a_statement_is_tried_on_two_from_the_pool_and_on_a_new_one():
    """Three idle ones are dead: two are closed, the third stays for the next to find."""
    factory = Factory()
    db = DB(factory)
    db.set_max_idle_conns(3)
    for conn in [db.conn() for _ in range(3)]:
        conn.close()
    dead = set(factory.made)

    def statement(connection):
        if connection in dead:
            raise BadConnError
        return connection.number

    assert db.query(statement) == 3
    assert [thing.closed for thing in factory.made] == [False, True, True, False]
    with pytest.raises(ZeroDivisionError):  # another error is the statement's own
        db.query(lambda connection: 1 / 0)
    db.close()


def test_the_cleaner_closes_what_is_idle_or_old_at_its_time():
    """Counted by reason; it starts with the first idle connection and comes when one is due."""
    clock, factory = VirtualClock(), Factory()
    db = DB(factory, clock=clock)
    db.set_max_idle_conns(4)
    db.set_conn_max_idle_time(60)
    db.set_conn_max_lifetime(300)
    for conn in [db.conn() for _ in range(4)]:
        conn.close()
    for _ in range(5):
        clock.advance(59)
        conn = db.conn()
        conn.close()
    assert db.stats().max_idle_time_closed == 3
    clock.advance(7)
    assert (db.stats().max_lifetime_closed, db.stats().open_connections) == (1, 0)
    db.close()


def test_a_connection_is_good_for_one_close_and_a_bad_one_is_not_used_again():
    """ErrConnDone for the second; what the driver calls bad is closed at once."""
    factory = Factory()
    db = DB(factory)
    conn = db.conn()
    conn.close()
    with pytest.raises(ConnDoneError):
        conn.close()
    conn = db.conn()

    def bad(connection):
        raise BadConnError

    with pytest.raises(BadConnError):
        conn.raw(bad)
    assert factory.made[0].closed
    assert db.stats().open_connections == 0
    db.close()


def test_who_waits_gets_a_deadline_or_the_news_that_it_is_closed():
    """Both kinds of waits end, and are counted."""
    db = DB(Factory())
    db.set_max_open_conns(1)
    conn = db.conn()
    with pytest.raises(DeadlineExceededError):
        db.conn(0)
    waiter = Running(db.conn)
    assert eventually(lambda: db.stats().wait_count == 2)
    db.close()
    db.close()
    with pytest.raises(DatabaseClosedError):
        waiter.result()
    with pytest.raises(DatabaseClosedError):
        db.conn()
    conn.close()
    assert db.stats().open_connections == 0
