"""Tiers on real servers, under the contract of every tier."""

import functools
import json

import pytest

from perflab.contracts import judge, tiers
from perflab.contracts.threads import at_once, eventually
from perflab.experiments.cachetables import postgres_connection, sqlite_connection
from perflab.measure import VirtualClock
from perflab.patterns.connectionpool import ConnectionPool
from perflab.patterns.servertiers import TableTier, ValkeyTier
from perflab.patterns.tiered import TieredCache
from perflab.patterns.tiers import MemoryTier
from perflab.systems import postgres, valkey

LEAST_RECENTLY_USED = "the entry least recently used goes first, and a hit is a use"
BOUND = "it holds at most max_entries"
IN_THIS_PROCESS = {  # these interrupt a lookup between its steps; a server's has none here
    "an entry evicted between finding and moving it is a miss",
    "a key compared by Python code may be interrupted there",
}


@pytest.fixture(scope="module")
def cache():
    with valkey() as server:
        yield server


@pytest.fixture(scope="module")
def database():
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def pool(request, tmp_path):
    """Connections to one of the databases, and how its driver marks a parameter."""
    if request.param == "sqlite":
        connections = ConnectionPool(functools.partial(sqlite_connection, tmp_path / "cache.db"), 4)
        connections.placeholder = "?"
    else:
        server = request.getfixturevalue("database")
        connections = ConnectionPool(functools.partial(postgres_connection, server), 4)
        connections.placeholder = "%s"
    yield connections
    connections.close()


class AgeingClock(VirtualClock):
    """Moves a real server's keys towards their end instead of waiting for it.

    A second of the contract is a hundred on the server, so that the time that the check itself
    takes makes no difference.
    """

    SCALE = 100
    client = None

    def advance(self, seconds):
        for name in self.client.scan_iter():
            left = self.client.pttl(name) - round(seconds * 1e3 * self.SCALE)
            self.client.pexpire(name, left)  # 0 and less: it is deleted
        return super().advance(seconds)


class Scaled:
    """A tier whose seconds are longer."""

    def __init__(self, tier):
        self.tier = tier

    def entry(self, key):
        entry = self.tier.entry(key)
        return entry and (entry.value, entry.remaining / AgeingClock.SCALE)

    def set(self, key, value, ttl):
        self.tier.set(key, value, ttl * AgeingClock.SCALE)

    def delete(self, key):
        return self.tier.delete(key)


def failed(found):
    return {statement for statement, evidence in found.items() if not evidence.holds}


def test_valkey_keeps_the_contract_but_for_the_bound_that_is_its_own(cache):
    """It counts bytes, not entries; and which of them go is its policy."""
    client = cache.client()

    def make(max_entries, ttl, clock):
        client.flushall()
        clock.client = client
        return Scaled(ValkeyTier(client, ttl * AgeingClock.SCALE))

    make.clock = AgeingClock
    found = judge(tiers, make)
    of_threads = "threads at once: nothing lost, nothing wrong, the bound held"
    assert failed(found) - IN_THIS_PROCESS == {BOUND, LEAST_RECENTLY_USED, of_threads}
    assert found[of_threads].found.startswith("0 wrong values, 16 ")


def test_a_table_keeps_the_contract_but_for_who_goes_first(pool):
    """What expires first goes, not what was used least recently."""

    def make(max_entries, ttl, clock):
        tier = TableTier(pool, max_entries, ttl, placeholder=pool.placeholder, clock=clock)
        with pool.acquire() as connection:
            connection.execute("DROP TABLE IF EXISTS cache")
            connection.commit()
        tier.create()
        return tier

    assert failed(judge(tiers, make)) - IN_THIS_PROCESS == {LEAST_RECENTLY_USED}


def test_a_full_table_drops_what_expires_first(pool):
    """Whatever came last: of three there is room for two."""
    tier = TableTier(pool, 2, 60, table="few", placeholder=pool.placeholder, clock=VirtualClock())
    tier.create()
    for key, ttl in (("late", 50), ("soon", 10), ("later", 60)):
        tier.set(key, b"x", ttl)
    assert [key for key in ("late", "soon", "later") if tier.entry(key)] == ["late", "later"]


def test_a_value_that_is_not_ours_is_refused_counted_and_replaced(cache):
    """A list under our key, and bytes that are no JSON: each is a miss, and then overwritten."""
    client = cache.client()
    client.flushall()
    tier = ValkeyTier(client, 60)
    cached = TieredCache([tier], 60)
    client.rpush("cache:a", b"1", b"2")
    client.set("cache:b", b"\x80\x04pickled")
    assert [cached.get("a"), cached.get("b")] == [None, None]
    assert (tier.foreign, cached.stats()[0].refused, cached.stats()[0].errors) == (1, 1, 0)
    for key in "ab":
        cached.set(key, "ours")
    assert [cached.get("a"), cached.get("b")] == ["ours", "ours"]


def test_a_key_that_another_set_without_an_end_lives_for_our_ttl(cache):
    """A copy of it in a nearer tier has an end."""
    client = cache.client()
    client.set("cache:for ever", b"1")
    assert ValkeyTier(client, 7).entry("for ever") == (b"1", 7)


def test_the_cache_outlives_its_valkey(cache):
    """Killed: misses without an error. Back: used again, and empty."""
    with valkey() as server:
        near = MemoryTier(100, ttl=60)
        cached = TieredCache([near, ValkeyTier(server.client(timeout=1), 60)], 60, retry_after=0.05)
        cached.set("a", 1)
        server.kill()
        near.clear()
        assert cached.get("a") is None
        cached.set("b", 2)
        assert cached.get("b") == 2
        server.restart()
        assert eventually(lambda: cached.set("c", 3) is None and server.client().dbsize() > 0, 5)
        near.clear()
        assert (cached.get("c"), cached.get("b")) == (3, None)
        assert cached.stats()[1].errors > 0


def test_a_postgres_restarted_in_the_middle_is_a_miss_and_then_a_tier_again():
    """Connections that the restart broke are replaced."""
    with postgres() as server:
        pool = ConnectionPool(server.connect, 2, ping=lambda one: one.execute("SELECT 1"))
        tier = TableTier(pool, 100, 60, placeholder="%s")
        tier.create()
        cached = TieredCache([tier], 60, retry_after=0.05)
        cached.set("a", {"n": 1})
        server.restart()
        assert eventually(lambda: cached.get("a") == {"n": 1}, 10)
        pool.close()


def test_values_are_json_that_another_process_can_read(cache, pool):
    """The bytes in each server are the same text."""
    client = cache.client()
    table = TableTier(pool, 10, 60, table="texts", placeholder=pool.placeholder)
    table.create()
    cached = TieredCache([ValkeyTier(client, 60), table], 60)
    cached.set("user", {"name": "Ada", "n": [1, 2]})
    assert json.loads(client.get("cache:user")) == {"name": "Ada", "n": [1, 2]}
    assert table.entry("user").value == client.get("cache:user")


@pytest.mark.parametrize("table", ["", "a b", "a; DROP TABLE users", None, 1, "ü"])
def test_a_tables_name_is_a_plain_word(pool, table):
    """It is the one thing that goes into the text of a query."""
    with pytest.raises(ValueError, match="table="):
        TableTier(pool, 10, 60, table=table)


def test_threads_share_a_table(database):
    """Eight over a pool of four write and read: nobody sees another key's value."""
    pool = ConnectionPool(database.connect, 4)
    tier = TableTier(pool, 1_000, 60, table="shared", placeholder="%s")
    tier.create()

    def use(number):
        for turn in range(20):
            key = f"{turn % 7}"
            tier.set(key, key.encode(), 60)
            found = tier.entry(f"{(turn + number) % 7}")
            assert found is None or found.value == f"{(turn + number) % 7}".encode()

    for thread in at_once(8, use):
        thread.result(30)
    pool.close()
