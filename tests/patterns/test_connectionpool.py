"""A connection pool, ours: what its contract does not ask."""

import gc
import math
import sqlite3
import subprocess
import sys
import threading
import warnings
import weakref
from contextlib import suppress

import pytest

from perflab.contracts import connectionpool as contract
from perflab.contracts import judge
from perflab.contracts.parts.pools import Factory, Held, Thing
from perflab.contracts.threads import Running, eventually
from perflab.errors import AcquireTimeoutError, DoubleReleaseError
from perflab.measure import VirtualClock
from perflab.patterns import ConnectionPool
from perflab.patterns.parts import desk, lending


@pytest.fixture(params=[True, False], ids=["lock-free", "locked"], autouse=True)
def _path(request, monkeypatch):
    """Each test runs with the GIL's path and with the locked one."""
    monkeypatch.setattr(lending, "LOCK_FREE", request.param)


def test_the_contract_holds_on_either_path():
    """With the lock at each call too, where there is no GIL to rely on."""
    found = judge(contract, ConnectionPool)
    assert {name: seen.found for name, seen in found.items() if not seen.holds} == {}


def test_what_one_left_undone_the_next_does_not_see(tmp_path):
    """Rolled back when it comes back, also when its user's block raised; committed work stays."""
    pool = ConnectionPool(lambda: sqlite3.connect(tmp_path / "shop.db"), 1)
    with pool.acquire() as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.execute("INSERT INTO orders VALUES (1)")
        connection.commit()
    with suppress(KeyError), pool.acquire() as connection:
        connection.execute("INSERT INTO orders VALUES (2)")
        raise KeyError
    with pool.acquire() as connection:
        assert connection.execute("SELECT id FROM orders").fetchall() == [(1,)]
    assert pool.stats().made == 1
    pool.close()
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


def test_one_whose_ping_raises_is_not_lent():
    """That is how a driver says that its server is gone; another is opened in its place."""

    def ask(thing):
        if not thing.alive:
            raise OSError("gone")

    pool = ConnectionPool(Factory(), 1, ping=ask)
    with pool.acquire() as first:
        first.alive = False
    with pool.acquire() as second:
        assert second is not first
        assert first.closed
    assert pool.stats().broken == 1


def test_one_that_cannot_be_rolled_back_is_closed():
    """Nothing is raised by giving it back; the next caller gets a new one."""

    class Broken(Thing):
        def rollback(self):
            raise OSError("gone")

    factory = Factory()
    pool = ConnectionPool(lambda: Broken(factory, 0), 1)
    with pool.acquire() as first:
        pass
    with pool.acquire() as second:
        assert second is not first
        assert first.closed
    assert pool.stats().broken == 2


def test_one_that_cannot_be_closed_frees_its_place():
    """What close() raises is nobody's business."""

    def refuse(thing):
        raise OSError("gone")

    pool = ConnectionPool(Factory(before_close=refuse), 2, 0)
    for _ in range(5):
        with pool.acquire(0):
            pass
    assert pool.stats().open == 0
    assert pool.stats().surplus == 5


@pytest.mark.parametrize("where", ["ping", "rollback", "connect"])
def test_an_interrupt_anywhere_frees_the_place(where):
    """KeyboardInterrupt comes out, with its traceback kept: nobody waits for the collector."""
    armed = []

    def interrupt(*_):
        if armed:
            armed.clear()
            raise KeyboardInterrupt
        return True

    factory = Factory(interrupt if where == "connect" else lambda number: None)
    pool = ConnectionPool(factory, 1, ping=interrupt if where == "ping" else None)
    if where != "connect":
        pool.acquire().release()
    if where == "rollback":
        with pool.acquire(0):
            next(iter(pool._desk.slots)).tidy = interrupt
    armed.append(True)
    with pytest.raises(KeyboardInterrupt) as kept:
        pool.acquire(0).release()
    Held(pool, 0).give()
    assert kept.traceback
    assert pool.stats().open == 1


def test_a_forgotten_connection_is_reported():
    """With a ResourceWarning, by the call after the collector has found it."""
    pool = ConnectionPool(Factory(), 1)
    pool.acquire()
    gc.collect()
    with pytest.warns(ResourceWarning, match="a Thing was never given back"):
        pool.acquire(0).release()
    assert pool.stats().leaked == 1


def test_a_forgotten_connection_goes_to_who_waits():
    """A caller waits; then the lease is dropped, and nobody calls the pool."""
    factory = Factory()
    pool = ConnectionPool(factory, 1)
    lease = pool.acquire()
    waiter = Running(lambda: Held(pool))
    assert eventually(lambda: pool.stats().waiting == 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del lease
        gc.collect()
        assert waiter.result().thing is factory.made[1]
    assert factory.made[0].closed


def test_the_collector_may_come_while_the_lock_is_held():
    """A lease is found in the middle of a call that has the lock; who waits gets its place."""
    pool = ConnectionPool(Factory(), 3)
    ring = [pool.acquire() for _ in range(3)]
    ring.append(ring)
    waiter = Running(lambda: Held(pool))
    assert eventually(lambda: pool.stats().waiting == 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with pool._desk:
            del ring
            gc.collect()
        waiter.result()
        seen = pool.stats()
    assert (seen.leaked, seen.open) == (3, 1)


@pytest.mark.parametrize("broken", [False, True], ids=["a connection", "a place"])
def test_an_interrupt_just_when_it_is_served_loses_nothing(broken, monkeypatch):
    """What the caller was handed is free for the next, while the traceback is kept."""
    pool = ConnectionPool(Factory(), 1)
    lease = pool.acquire()
    if broken:
        next(iter(pool._desk.slots)).tidy = lambda: 1 / 0

    def wait(waiter, timeout):
        lease.release()
        assert waiter.got is not None
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.Waiter, "wait", wait)
    with pytest.raises(KeyboardInterrupt) as kept:
        pool.acquire()
    Held(pool, 0).give()
    assert kept.traceback
    assert pool.stats().made == 1 + broken


def test_a_newcomer_does_not_overtake_while_a_connection_is_put_down():
    """Put down just when somebody has begun to wait, it is theirs, though nobody has told them."""
    pool = ConnectionPool(Factory(), 1)
    lease = pool.acquire()
    waiter = Running(lambda: Held(pool))
    assert eventually(lambda: pool.stats().waiting == 1)
    slot = lease._slot
    slot.lent = False
    pool._idle.append(slot)  # as giving back does, which comes no further for the moment
    with pytest.raises(AcquireTimeoutError):
        pool.acquire(0)
    assert waiter.result().thing is slot.value


def test_all_that_is_idle_is_looked_through_once_in_an_interval():
    """Not with every call: 100 calls in 100 s look through it nine times."""
    clock, looks = VirtualClock(), []

    class Watched(ConnectionPool):
        def sweep(self):
            looks.append(clock.now)
            super().sweep()

    pool = Watched(Factory(), 2, max_idle_time=10.0, clock=clock)
    for _ in range(100):
        pool.acquire().release()
        clock.advance(1)
    assert looks == [10.0 * k for k in range(1, 10)]


def test_a_wait_is_counted_and_timed():
    """One caller waits for two seconds of the pool's clock, another gives up after three."""
    clock = VirtualClock()
    pool = ConnectionPool(Factory(), 1, clock=clock)
    held = Held(pool)
    waiter = Running(lambda: Held(pool))
    assert eventually(lambda: pool.stats().waits == 1)
    clock.advance(2)
    held.give()
    waiter.result()
    with pytest.raises(AcquireTimeoutError, match="within 0 s"):
        pool.acquire(0)
    seen = pool.stats()
    assert (seen.waits, seen.timeouts, seen.waiting) == (2, 1, 0)
    assert seen.wait_time == 2


def test_as_many_nested_acquires_as_threads_block_each_other():
    """Each of four threads holds one of four and asks for another: nobody is ever served."""
    pool, all_hold = ConnectionPool(Factory(), 4), threading.Barrier(4)

    def nested():
        with pool.acquire():
            all_hold.wait()
            with pytest.raises(AcquireTimeoutError):
                pool.acquire(0.01)
            all_hold.wait()

    for thread in [Running(nested) for _ in range(4)]:
        thread.result()
    assert pool.stats().timeouts == 4
    assert pool.stats().idle == 4


def test_a_refused_call_leaves_the_pool_as_it_was():
    """A bad time-out, a failed connect, a second release: then it works."""
    fails = [True]

    def before(number):
        if fails:
            fails.clear()
            raise OSError("refused")

    pool = ConnectionPool(Factory(before), 1)
    for bad in (-1, math.nan, "x"):
        with pytest.raises(ValueError, match="timeout="):
            pool.acquire(bad)
    with pytest.raises(OSError, match="refused"):
        pool.acquire(0)
    lease = pool.acquire(0)
    lease.release()
    for again in (lease.release, lease.__enter__):
        with pytest.raises(DoubleReleaseError):
            again()
    with pool.acquire(0):
        assert pool.stats().in_use == 1


def test_a_pool_that_is_dropped_takes_its_connections_along():
    """No cycle keeps it; connections that are referred to nowhere close themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pool = ConnectionPool(Factory(), 2)
        pool.acquire().release()
        gc.disable()
        try:
            books = weakref.ref(pool._desk)
            del pool
            assert books() is None
        finally:
            gc.enable()


EXIT = """
import threading
from perflab.patterns import ConnectionPool
class Connection:
    def rollback(self): pass
    def close(self): pass
pool = ConnectionPool(Connection, 2)
pool.acquire().release()
held, other = pool.acquire(), pool.acquire()
threading.Thread(target=pool.acquire, daemon=True).start()
while not pool.stats().waiting: pass
"""


def test_an_interpreter_that_exits_does_not_hang():
    """With one connection lent, one idle and a daemon thread that waits; without a word."""
    ended = subprocess.run(
        [sys.executable, "-c", EXIT], capture_output=True, timeout=60, check=True
    )
    assert (ended.stdout, ended.stderr) == (b"", b"")
