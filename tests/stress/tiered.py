"""A cache of several tiers under many threads while its servers come and go."""

import gc
import random
import time

from perflab.contracts.parts.cache import Remote, RemoteTier
from perflab.contracts.threads import at_once
from perflab.measure import VirtualClock
from perflab.patterns import MemoryTier, TieredCache

KEYS, BOUND = 60, 20


def _world():
    clock = VirtualClock()
    remotes = [Remote(clock), Remote(clock)]
    near = MemoryTier(BOUND, 5, clock=clock)
    cache = TieredCache([near, *map(RemoteTier, remotes)], 60, retry_after=0.5, clock=clock)
    return clock, remotes, near, cache


def stress(seconds: float, threads: int, seed: int) -> str:
    """Each key has one writer, who counts up: what anybody reads was never overtaken twice.

    A reader notes the number last written in full before it asks. What it gets may be newer, or
    nothing, and never older.
    """
    clock, remotes, near, cache = _world()
    written = [0] * KEYS
    end = time.monotonic() + seconds

    def hammer(number):
        rng, reads = random.Random(f"{seed} {number}"), 0
        own = range(number, KEYS, threads)
        while time.monotonic() < end:
            for _ in range(20):
                key = rng.randrange(KEYS)
                before = written[key]
                value = cache.get(str(key))
                assert value is None or value >= before, (key, before, value)
                reads += 1
            for key in own:
                if rng.random() < 0.3:
                    cache.set(str(key), written[key] + 1)
                    written[key] += 1
                elif rng.random() < 0.1:
                    cache.delete(str(key))
            if number == 0:
                clock.advance(0.1)
                remotes[rng.randrange(2)].up = rng.random() < 0.8
        return reads

    reads = sum(one.result(seconds + 60) for one in at_once(threads, hammer))
    assert len(near) <= BOUND
    assert all(tier.owed <= KEYS for tier in cache.stats())
    errors = sum(tier.errors for tier in cache.stats())
    return f"{reads:,} reads, {sum(written):,} writes, {errors:,} errors of servers; none stale"


def growth(operations: int) -> str:
    """Always new keys, with one server dead all the time: debts end with the TTL."""
    clock, remotes, _, cache = _world()
    remotes[1].up = False
    operations //= 20  # each of these sends some twenty commands
    counts = []
    for number in range(operations):
        cache.set(str(number), number)
        cache.get(str(number - 1))
        cache.delete(str(number - 2))
        clock.advance(1)
        if number in (operations // 2, operations - 1):
            remotes[0]._data.clear()
            counts.append((cache.stats()[2].owed, len(gc.get_objects())))
    (owed, objects), (owed_at_last, objects_at_last) = counts
    assert owed_at_last <= max(owed, 200), counts
    assert objects_at_last < objects + 2_000, counts
    return f"{operations:,} sets, gets and deletions; at most {owed_at_last} keys owed"
