"""Policies do what their names say, on traces that are what they say."""

import numpy as np
import pytest

from perflab.experiments import eviction
from perflab.patterns import MemoryTier

POLICIES = (eviction.lru, eviction.lfu, eviction.aged_lfu, eviction.at_random, eviction.optimal)


def test_lru_hits_just_when_our_memory_tier_does():
    """Request by request: the model is the thing."""
    trace = eviction.with_scans(eviction.zipf(500, 5_000), every=500, length=60)
    tier, hits = MemoryTier(50, ttl=60, clock=lambda: 0.0), []
    for key in trace.tolist():
        hits.append(tier.get(key) is not None)
        if not hits[-1]:
            tier.set(key, b"x")
    assert eviction.lru(trace, 50).tolist() == hits


@pytest.mark.parametrize("policy", POLICIES)
def test_a_cache_that_holds_everything_misses_each_key_once(policy):
    """Whatever the policy, with room for all only first requests miss."""
    trace = eviction.zipf(40, 2_000)
    assert (~policy(trace, 40)).sum() == len(set(trace.tolist()))


@pytest.mark.parametrize("policy", POLICIES[:-1])
def test_no_policy_beats_the_one_that_knows_the_future(policy):
    """On steady, scanned, drifting and looping requests."""
    plain = eviction.zipf(200, 3_000, seed=3)
    for trace in (
        plain,
        eviction.with_scans(plain, 300, 50),
        eviction.drifting(plain, 600, 40),
        np.arange(3_000) % 33,
    ):
        assert policy(trace, 30).sum() <= eviction.optimal(trace, 30).sum()


def test_a_loop_longer_than_the_cache_gives_lru_nothing():
    """Each key is dropped just before it comes again."""
    assert not eviction.lru(np.arange(1_000) % 11, 10).any()


def test_lfu_keeps_what_is_asked_for_often_and_of_equals_drops_the_oldest():
    """Keys 1 and 2 were asked for twice, so 3 goes when 4 comes."""
    trace = np.array([1, 1, 2, 2, 3, 4, 1, 2, 4, 3])
    assert eviction.lfu(trace, 3).tolist() == [False, True, False, True, False, False, True, True,
                                               True, False]  # fmt: skip


def test_lfu_that_forgets_takes_up_new_favourites():
    """After the change its hit ratio is back sooner."""
    trace = np.concatenate([np.arange(2_000) % 10, 10 + np.arange(2_000) % 10])
    late = slice(2_500, None)
    assert eviction.lfu(trace, 10)[late].mean() < 0.5
    assert eviction.lfu(trace, 10, forget=100)[late].mean() > 0.9


def test_popularity_follows_zipfs_law():
    """The first key twice as often as the second, ten times as often as the tenth."""
    counts = np.bincount(eviction.zipf(100, 200_000), minlength=100)
    assert counts[0] / counts[1] == pytest.approx(2, rel=0.05)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.1)


def test_scans_are_of_keys_that_nobody_else_asks_for():
    """Two scans of three keys in a trace of four requests."""
    scanned = eviction.with_scans(np.array([0, 1, 0, 1]), every=2, length=3)
    assert scanned.tolist() == [0, 1, 2, 3, 4, 0, 1, 5, 6, 7]


def test_popularity_drifts_by_whole_steps():
    """After each two requests every rank moves on by one key."""
    moved = eviction.drifting(np.array([0, 1, 2, 0, 1, 2]), every=2, by=1)
    assert moved.tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, None, "x"])
def test_sizes_are_whole_numbers(bad):
    """Refused by name, at once."""
    with pytest.raises(ValueError, match="size="):
        eviction.lru(np.array([1]), bad)
    with pytest.raises(ValueError, match="keys="):
        eviction.zipf(bad, 10)
    with pytest.raises(ValueError, match="every="):
        eviction.with_scans(np.array([1]), bad, 1)
