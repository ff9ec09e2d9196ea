"""The cache of several tiers beyond its contract: debts, counts, and any order of outages."""

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from perflab.contracts.parts.cache import Remote, RemoteTier
from perflab.contracts.threads import Running, eventually
from perflab.measure import VirtualClock
from perflab.patterns import MemoryTier, TieredCache


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def remote(clock):
    return Remote(clock)


@pytest.fixture
def cache(clock, remote):
    """One entry in memory for a second, above a server."""
    near = MemoryTier(1, 1, clock=clock)
    return TieredCache([near, RemoteTier(remote)], 60, retry_after=5, clock=clock)


def test_each_tier_counts_what_it_was_asked(cache, clock, remote):
    """Hits, misses and copies, tier by tier."""
    cache.set("a", 1)
    cache.set("b", 2)
    assert [cache.get(key) for key in ("b", "a", "a", "c")] == [2, 1, 1, None]
    near, far = cache.stats()
    assert (near.hits, near.misses, near.filled) == (2, 2, 1)
    assert (far.hits, far.misses, far.filled) == (1, 1, 0)
    assert (near.errors, far.errors, near.skipped, far.owed, far.last_error) == (0, 0, 0, 0, "")


def test_a_dead_tier_is_skipped_and_says_why(cache, clock, remote):
    """One error, then nothing is sent until the time is over."""
    remote.up = False
    for _ in range(3):
        assert cache.get("a") is None
    far = cache.stats()[1]
    assert (far.errors, far.skipped, far.misses) == (1, 2, 0)
    assert far.last_error == "ConnectionError: connection refused"
    clock.advance(5)
    cache.get("a")
    assert cache.stats()[1].errors == 2


def test_one_caller_tries_a_dead_tier_again_while_the_others_go_on(cache, clock, remote):
    """The second comes while the first still waits for the server's answer, and is not held up."""
    remote.up = False
    cache.get("a")
    remote.up = True
    clock.advance(5)
    others = []

    def meanwhile(command, key):
        remote.hook = lambda command, key: None
        others.append(Running(lambda: cache.get("b", "skipped")).result())

    remote.hook = meanwhile
    cache.get("a")
    assert others == ["skipped"]
    assert remote.sent["get"] == 2
    cache.get("b")
    assert remote.sent["get"] == 3


def test_debts_are_paid_with_every_command_the_oldest_first(cache, clock, remote):
    """The server's other users are rid of old values too, without a pause for all at once."""
    for key in "abc":
        cache.set(key, "old")
    remote.up = False
    for key in "abc":
        cache.delete(key)
    remote.up = True
    clock.advance(5)
    assert (cache.stats()[1].owed, len(remote)) == (3, 3)
    cache.get("x")
    assert (cache.stats()[1].owed, remote.get("a")) == (2, None)
    cache.get("c")
    assert (cache.stats()[1].owed, len(remote)) == (0, 0)


def test_a_debt_is_forgotten_when_what_was_there_has_expired(cache, clock, remote):
    """After a TTL nothing is deleted any more."""
    cache.set("a", "old")
    remote.up = False
    cache.delete("a")
    remote.up = True
    clock.advance(60.1)
    assert cache.get("a") is None
    assert (remote.sent["delete"], cache.stats()[1].owed) == (1, 0)


def test_a_debt_made_while_an_older_one_is_paid_stays(cache, clock, remote):
    """A write fails between the deletion and its being noted: the key is still owed."""
    cache.set("a", "old")
    remote.up = False
    cache.delete("a")
    remote.up = True
    clock.advance(5)

    def fails_again(command, key):
        remote.hook = lambda command, key: None
        remote.set("a", '"stale"', px=60_000)  # by somebody, after our deletion
        remote.up = False
        cache._tiers[1]._retry_at = 0.0
        cache.delete("a")
        remote.up = True

    remote.hook = fails_again
    cache.get("x")
    assert cache.stats()[1].owed == 1
    clock.advance(5)
    assert cache.get("a") is None


def test_a_write_interrupted_halfway_is_owed(cache, clock, remote):
    """A KeyboardInterrupt passes, and what the tier may still hold is not served."""
    cache.set("a", "old")
    clock.advance(1)

    def interrupt(command, key):
        remote.hook = lambda command, key: None
        remote.set("a", '"old"', px=60_000)  # as if it had not arrived
        raise KeyboardInterrupt

    remote.hook = interrupt
    with pytest.raises(KeyboardInterrupt):
        cache.delete("a")
    assert cache.get("a") is None


def test_a_tier_so_slow_that_the_time_is_over_makes_the_others_forget(clock):
    """What may not live any more is not stored; what stood there goes."""

    class Slow(MemoryTier):
        def set(self, key, value, ttl=None):
            super().set(key, value, ttl)
            clock.advance(20)

    near = MemoryTier(10, 60, clock=clock)
    cache = TieredCache([near, Slow(10, 60, clock=clock)], 60, clock=clock)
    near.set("a", b'"older"', 60)
    cache.set("a", "x", 10)
    assert near.entry("a") is None


def test_a_copy_counts_the_time_that_the_question_took(clock, remote):
    """The remaining time is counted from before the question, not from the answer."""
    near = MemoryTier(10, 60, clock=clock)
    cache = TieredCache([near, RemoteTier(remote)], 60, clock=clock)
    RemoteTier(remote).set("a", b"1", 10)
    remote.hook = lambda command, key: clock.advance(4)  # the answer is on its way
    assert cache.get("a") == 1
    assert near.entry("a").remaining == pytest.approx(6)


def test_values_of_ones_own_kind_need_their_own_coding(clock):
    """`encode` and `decode` make bytes of anything and back; what JSON refuses raises TypeError."""
    cache = TieredCache([MemoryTier(10, 60)], 60, encode=str.encode, decode=bytes.decode)
    cache.set("a", "text")
    assert cache.get("a") == "text"
    with pytest.raises(TypeError):
        TieredCache([MemoryTier(10, 60)], 60).set("a", {1, 2})
    assert json.loads(TieredCache([MemoryTier(1, 60)], 60)._encode([None])) == [None]


def test_writes_of_a_key_wait_for_each_other_and_readers_for_none(cache, remote):
    """While a write is held up at the server, a hit in memory is answered."""
    cache.set("a", "old")
    gate = []

    def hold(command, key):
        if command == "set":
            eventually(lambda: bool(gate))

    remote.hook = hold
    writing = Running(lambda: cache.set("a", "new"))
    assert Running(lambda: cache.get("a")).result() == "old"
    assert not writing.ended
    gate.append(1)
    writing.result()
    assert cache.get("a") == "new"


class Outages(RuleBasedStateMachine):
    """Whatever fails and whenever: the value in force, or nothing, and never another."""

    keys = st.sampled_from(["a", "b"])
    values = st.integers(0, 9)

    @initialize(near=st.sampled_from([1, 2, 10]))
    def begin(self, near):
        self.clock = VirtualClock()
        self.remotes = [Remote(self.clock), Remote(self.clock)]
        tiers = [MemoryTier(near, 3, clock=self.clock), *map(RemoteTier, self.remotes)]
        self.cache = TieredCache(tiers, 20, retry_after=2, clock=self.clock)
        self.true = {}

    @rule(key=keys, value=values, ttl=st.sampled_from([None, 5]))
    def set(self, key, value, ttl):
        self.cache.set(key, value, ttl)
        self.true[key] = (value, self.clock() + (ttl or 20))

    @rule(key=keys)
    def delete(self, key):
        self.cache.delete(key)
        self.true.pop(key, None)

    @rule(key=keys)
    def get(self, key):
        value, expires = self.true.get(key, (None, 0))
        value = value if expires > self.clock() else None
        found = self.cache.get(key)
        assert found in (None, value)
        if not any(tier.errors for tier in self.cache.stats()):
            assert found == value

    @rule(key=keys, which=st.integers(0, 1), value=st.none() | values)
    def change_while_one_is_down(self, key, which, value):
        self.remotes[which].up = False
        if value is None:
            self.delete(key)
        else:
            self.set(key, value, None)
        self.remotes[which].up = True
        self.clock.advance(2)

    @rule(which=st.integers(0, 1), up=st.booleans())
    def switch(self, which, up):
        self.remotes[which].up = up

    @rule(seconds=st.sampled_from([1, 3, 10]))
    def advance(self, seconds):
        self.clock.advance(seconds)


TestOutages = Outages.TestCase
TestOutages.settings = settings(max_examples=80, stateful_step_count=40)
