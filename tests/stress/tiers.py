"""The tier in memory under many threads: bounds, counts, and no value under another's key."""

import random
import time
import tracemalloc

from perflab.contracts.threads import at_once
from perflab.patterns import MemoryTier

KEYS, BOUND = 200, 64


class Odd(str):
    """A key compared by Python code."""

    def __hash__(self):
        return hash(str(self))

    def __eq__(self, other):
        return str(self) == other


def stress(seconds: float, threads: int, seed: int) -> str:
    """Gets, sets, deletions and expiries on three tiers: lock-free, locked, and one that changes
    from the first to the second when its first odd key comes."""
    changing = MemoryTier(BOUND, 0.05)
    tiers = [MemoryTier(BOUND, 0.05), MemoryTier(BOUND, 0.05, _lock_free=False), changing]
    end = time.monotonic() + seconds
    odd_from = time.monotonic() + seconds / 2

    def hammer(number):
        rng, lookups = random.Random(f"{seed} {number}"), [0] * len(tiers)
        while time.monotonic() < end:
            odd = time.monotonic() > odd_from
            for _ in range(50):
                name = f"key {rng.randrange(KEYS)}"
                for which, tier in enumerate(tiers):
                    key = Odd(name) if odd and tier is changing and rng.random() < 0.1 else name
                    dice = rng.random()
                    if dice < 0.1:
                        tier.set(key, name, rng.choice((None, 0.01, 1.0)))
                    elif dice < 0.12:
                        tier.delete(key)
                    elif dice < 0.2:
                        found = tier.entry(key)
                        assert found is None or (
                            found.value == name and 0 < found.remaining <= 0.05
                        )
                        lookups[which] += 1
                    else:
                        assert tier.get(key) in (None, name)
                        lookups[which] += 1
                    assert len(tier) <= BOUND or dice > 0.5
        return lookups

    done = [one.result(seconds + 60) for one in at_once(threads, hammer)]
    for which, tier in enumerate(tiers):
        stats, asked = tier.stats(), sum(lookups[which] for lookups in done)
        assert stats.hits + stats.misses == asked, (stats, asked)
        assert stats.entries <= BOUND
    assert not changing._lock_free
    total = sum(map(sum, done))
    return f"{total:,} lookups, every one counted; at most {BOUND} entries; no wrong value"


def growth(operations: int) -> str:
    """Always new keys, most of them looked up once and never again."""
    tier = MemoryTier(1_000, 60)

    def use(first, last):
        for number in range(first, last):
            tier.set(number, number)
            tier.get(number)
            tier.get(-number)

    use(0, 10_000)
    tracemalloc.start()
    use(10_000, 12_000)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    use(12_000, operations)
    tracemalloc.start()
    use(operations, operations + 2_000)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(tier) == 1_000
    assert after < before + 50_000, (before, after)
    return f"{operations:,} keys, {tier.stats().evictions:,} evicted, 1,000 held"
