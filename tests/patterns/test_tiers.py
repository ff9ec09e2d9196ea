"""The tier in memory beyond its contract: order, counts, keys, and who waits for whom."""

import enum
import functools
import gc
import random
import sys
import threading
import weakref

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from perflab.contracts.threads import Running, at_once
from perflab.measure import VirtualClock
from perflab.patterns import MemoryTier

LOCKED = functools.partial(MemoryTier, _lock_free=False)
BOTH = pytest.mark.parametrize("make", [MemoryTier, LOCKED], ids=["lock-free", "locked"])


class Key(enum.StrEnum):
    A = "a"


class Loud(str):
    """A key compared by Python code."""

    def __hash__(self):
        return hash(str(self))

    def __eq__(self, other):
        return str(self) == other


@BOTH
def test_every_lookup_is_counted_once(make):
    """Hits, misses, expirations and evictions add up to what was asked."""
    clock = VirtualClock()
    tier = make(2, 10, clock=clock)
    for key in "abc":
        tier.set(key, key)
    assert [tier.get(key) for key in "abc"] == [None, "b", "c"]
    clock.advance(10)
    assert tier.get("b", 0) == 0
    assert tier.entry("c") is None
    stats = tier.stats()
    assert (stats.hits, stats.misses, stats.evictions, stats.expirations) == (2, 3, 1, 2)
    assert (stats.entries, stats.hit_ratio) == (0, 0.4)


@BOTH
def test_no_hit_of_any_thread_is_lost_from_the_count(make):
    """Counting takes no lock, and yet every hit is in the count."""
    tier = make(10, 60)
    tier.set("a", 1)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = at_once(4, lambda number: [tier.get("a") for _ in range(5_000)])
        found = sum(sum(thread.result(30)) for thread in threads)
    finally:
        sys.setswitchinterval(before)
    assert found == tier.stats().hits == 20_000


def test_a_hit_waits_for_no_writer():
    """While another thread holds the tier's lock, a plain key is found all the same."""
    tier = MemoryTier(10, 60)
    tier.set("a", 1)
    with tier._lock:
        assert Running(lambda: tier.get("a")).result() == 1


def test_with_a_lock_a_hit_waits():
    """The locked path takes the lock: the counterpart that shows the test above can fail."""
    tier = LOCKED(10, 60)
    tier.set("a", 1)
    with tier._lock:
        reading = Running(lambda: tier.get("a"))
        assert not reading.join(0.05)
    assert reading.result() == 1


def test_without_the_interpreters_lock_every_hit_takes_ours(monkeypatch):
    """Where threads are free, what rests on the GIL is not used."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert not MemoryTier(1, 60)._lock_free
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    assert MemoryTier(1, 60)._lock_free


@BOTH
def test_equal_keys_are_one_key_whatever_their_type(make):
    """As in a dict: an enum's text and the text itself, 1, True and 1.0."""
    tier = make(10, 60)
    tier.set("a", "text")
    tier.set(1, "one")
    assert (tier.get(Key.A), tier.get(True), tier.get(1.0)) == ("text", "one", "one")
    tier.set(Key.A, "member")
    assert (tier.get("a"), len(tier)) == ("member", 2)
    tier.set("a", "text")
    assert tier.delete(Key.A)
    assert tier.get("a") is None
    assert tier.get(1) == "one"


@BOTH
def test_keys_compared_by_python_code_are_kept_with_all_others(make):
    """The first of them costs the quick way, and no entry."""
    tier = make(3, 60)
    tier.set("a", 1)
    tier.set(("b", 2), 2)
    quick = tier.get
    tier.set(Loud("c"), 3)
    assert [quick(key) for key in ("a", ("b", 2), "c", Loud("c"))] == [1, 2, 3, 3]
    quick("a")
    tier.set("d", 4)
    assert [quick(key) for key in ("a", ("b", 2), "c", "d")] == [1, None, 3, 4]
    assert tier.stats().hits == 8


@BOTH
def test_what_is_dropped_may_use_the_cache_while_it_is_destroyed(make):
    """A finaliser that sets a key of the same tier neither hangs nor is lost."""
    tier = make(1, 60)

    class Last:
        def __del__(self):
            tier.set("last words", "x")

    def drop():
        tier.set("a", Last())
        tier.set("b", 1)  # evicts a
        gc.collect()
        tier.set("c", Last())
        tier.delete("c")
        gc.collect()
        return tier.get("last words"), len(tier)

    assert Running(drop).result(30) == ("x", 1)


@BOTH
def test_what_is_gone_is_let_go(make):
    """Replaced, evicted, deleted, expired and cleared values are not kept alive."""
    clock = VirtualClock()
    tier = make(3, 10, clock=clock)

    class Value:
        pass

    values = [Value() for _ in range(7)]
    alive = [weakref.ref(value) for value in values]
    for key, value in zip("aabcdef", values, strict=True):
        tier.set(key, value)
    del values, value
    gc.collect()
    assert [ref() is not None for ref in alive] == [False] * 4 + [True] * 3
    tier.delete("d")
    clock.advance(10)
    tier.get("e")
    gc.collect()
    assert [ref() is not None for ref in alive] == [False] * 6 + [True]
    tier.clear()
    gc.collect()
    assert not any(ref() for ref in alive)


def test_the_order_is_that_of_a_well_known_cache():
    """On a random trace the same keys are evicted as from cachetools' LRUCache."""
    cachetools = pytest.importorskip("cachetools")
    peer, tier, rng = cachetools.LRUCache(20), MemoryTier(20, 60), random.Random(1)
    for _ in range(5_000):
        key = int(rng.paretovariate(0.5)) % 60
        assert tier.get(key) == peer.get(key)
        if rng.random() < 0.5:
            peer[key] = key
            tier.set(key, key)


@BOTH
def test_a_refused_call_leaves_the_tier_as_it_was(make):
    """After nonsense in every argument it answers as before."""
    tier = make(2, 60)
    tier.set("a", 1)
    for call in (lambda: tier.set([], 1), lambda: tier.set("a", 2, -1), lambda: tier.get({})):
        with pytest.raises(ValueError, match="must be"):
            call()
    assert (tier.get("a"), len(tier)) == (1, 1)


def test_a_reader_asks_its_own_source_for_what_is_not_there():
    """What it cannot answer at a glance it hands on, with the default."""
    tier = MemoryTier(2, 60)
    read = tier.reader(lambda key, default: (key, default))
    tier.set("a", 1)
    assert (read("a"), read("b"), read("b", 7)) == (1, ("b", None), ("b", 7))


class Model(RuleBasedStateMachine):
    """The tier beside a list of (key, value, expiry), the least recently used first."""

    keys = st.sampled_from(["a", "b", ("c", 1), Loud("a"), Loud("d")])

    @initialize(lock_free=st.booleans(), bound=st.integers(1, 4))
    def begin(self, lock_free, bound):
        self.clock, self.bound = VirtualClock(), bound
        self.tier = MemoryTier(bound, 10, clock=self.clock, _lock_free=lock_free)
        self.entries = []

    def _find(self, key):
        return next((entry for entry in self.entries if entry[0] == key), None)

    @rule(key=keys, value=st.one_of(st.none(), st.integers()), ttl=st.sampled_from([None, 3, 30]))
    def set(self, key, value, ttl):
        self.tier.set(key, value, ttl)
        self.entries = [entry for entry in self.entries if entry[0] != key]
        self.entries.append((key, value, self.clock() + min(ttl or 10, 10)))
        del self.entries[: -self.bound]

    @rule(key=keys, quick=st.booleans())
    def get(self, key, quick):
        entry = self._find(key)
        expected = "nothing"
        if entry is not None:
            self.entries.remove(entry)
            if entry[2] > self.clock():
                self.entries.append(entry)
                expected = entry[1]
        if quick:
            assert self.tier.get(key, "nothing") == expected
        else:
            found = self.tier.entry(key)
            assert (found.value if found else "nothing") == expected
            assert found is None or found.remaining == entry[2] - self.clock()

    @rule(key=keys)
    def delete(self, key):
        entry = self._find(key)
        assert self.tier.delete(key) == (entry is not None)
        if entry is not None:
            self.entries.remove(entry)

    @rule(seconds=st.sampled_from([1, 4, 11]))
    def advance(self, seconds):
        self.clock.advance(seconds)

    @invariant()
    def holds_what_the_model_holds(self):
        assert len(self.tier) <= self.bound
        assert list(self.tier._entries) == [entry[0] for entry in self.entries]


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=100, stateful_step_count=40)


def test_threads_may_come_and_go_while_the_first_odd_key_arrives():
    """Readers in the quick way, a writer of plain keys and the first key of another kind."""
    for _ in range(20):
        tier = MemoryTier(4, 60)
        for key in "ab":
            tier.set(key, key)
        start = threading.Barrier(3)

        def read(tier=tier, start=start):
            start.wait()
            return {tier.get(key) for _ in range(50) for key in "ab"} <= {"a", "b"}

        def odd(tier=tier, start=start):
            start.wait()
            tier.set(Loud("c"), "c")
            return tier.get("c") == "c"

        assert all(one.result(30) for one in (Running(read), Running(read), Running(odd)))
        assert tier.get("a") == "a"
        assert tier.stats().misses == 0
