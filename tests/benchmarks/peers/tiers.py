"""Memory tiers: what a hit costs, with a bound, an LRU order, a TTL, counts and threads.

The peers count nothing and cachetools and lru-dict bring no lock or no TTL: cachetools is given a
lock, lru-dict is asked all the same. moka, cachebox and lru-dict are written in Rust and C.
"""

import datetime
import threading
from itertools import cycle, islice

from perflab.patterns import MemoryTier
from tests.benchmarks.racing import Race

ENTRIES, TTL = 1_000, 300
KEYS = [f"user:{number}" for number in range(100)]


def hits(set_, get):
    """`run(n)`: n hits, the keys one after the other."""
    for key in KEYS:
        set_(key, key)

    def run(n):
        for key in islice(cycle(KEYS), n):
            get(key)

    return run


def ours():
    tier = MemoryTier(ENTRIES, TTL)
    return hits(tier.set, tier.get)


def cachetools():
    from cachetools import TTLCache

    cache, lock = TTLCache(ENTRIES, TTL), threading.Lock()

    def get(key):
        with lock:
            return cache.get(key)

    return hits(cache.__setitem__, get)


def cacheout():
    from cacheout import LRUCache

    cache = LRUCache(maxsize=ENTRIES, ttl=TTL)
    return hits(cache.set, cache.get)


def ttlru_map():
    from ttlru_map import TTLMap

    cache = TTLMap(ttl=datetime.timedelta(seconds=TTL), max_size=ENTRIES)
    return hits(cache.__setitem__, cache.get)


def theine():
    from theine import Cache

    cache = Cache(ENTRIES)
    life = datetime.timedelta(seconds=TTL)
    return hits(lambda key, value: cache.set(key, value, life), cache.get)


def moka():
    from moka_py import Moka

    cache = Moka(ENTRIES, ttl=TTL, policy="lru")
    return hits(cache.set, cache.get)


def cachebox():
    from cachebox import TTLCache

    cache = TTLCache(ENTRIES, TTL)
    return hits(cache.__setitem__, cache.get)


def lru_dict():
    from lru import LRU

    cache = LRU(ENTRIES)
    return hits(cache.__setitem__, cache.get)


RACES = [
    Race(
        "a hit in memory",
        {
            "ours": ours,
            "cachetools": cachetools,
            "cacheout": cacheout,
            "ttlru-map": ttlru_map,
            "theine": theine,
            "moka-py": moka,
            "cachebox": cachebox,
            "lru-dict": lru_dict,
        },
        {"cachetools": 6.0, "cacheout": 3.0, "ttlru-map": 3.0},
        idle_bytes=lambda: MemoryTier(ENTRIES, TTL),
    )
]
