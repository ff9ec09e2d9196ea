"""Read-through: what a hit costs, with single-flight, a bound, a TTL and threads; and in asyncio.

Each peer is set up for the same promise where it can be: one load a miss. cachebox's decorator has
a lock of its own, cachetools is given a condition, moka waits for concurrent callers.
"""

import asyncio
import threading
from itertools import cycle, islice

from perflab.patterns import CacheAside, MemoryTier
from tests.benchmarks.racing import Race

ENTRIES, TTL = 1_000, 300
KEYS = [f"user:{number}" for number in range(100)]


def load(key):
    return key


async def load_async(key):
    return key


def hits(get):
    """`run(n)`: n hits, the keys one after the other."""
    for key in KEYS:
        get(key)

    def run(n):
        for key in islice(cycle(KEYS), n):
            get(key)

    return run


def ours():
    return hits(CacheAside(MemoryTier(ENTRIES, TTL), load, ttl=TTL).get)


def moka():
    from moka_py import cached

    return hits(cached(maxsize=ENTRIES, ttl=TTL, policy="lru", wait_concurrent=True)(load))


def cachebox():
    from cachebox import TTLCache, cached

    return hits(cached(TTLCache(ENTRIES, TTL))(load))


def cachetools():
    from cachetools import TTLCache, cached

    return hits(cached(TTLCache(ENTRIES, TTL), condition=threading.Condition())(load))


def theine():
    import datetime

    from theine import Memoize

    return hits(Memoize(ENTRIES, datetime.timedelta(seconds=TTL))(load))


def dogpile():
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.memory", expiration_time=TTL)
    return hits(region.cache_on_arguments()(load))


def awaited(get):
    """`run(n)`: n hits in one event loop."""

    async def ask(n):
        for key in islice(cycle(KEYS), n):
            await get(key)

    loop = asyncio.new_event_loop()

    def run(n):
        loop.run_until_complete(ask(n))

    run.close = loop.close
    run(len(KEYS))
    return run


def ours_async():
    return awaited(CacheAside(MemoryTier(ENTRIES, TTL), load_async, ttl=TTL).aget)


def aiocache():
    from aiocache import cached

    return awaited(cached(ttl=TTL)(load_async))


def cashews():
    from cashews import Cache

    cache = Cache()
    cache.setup("mem://", size=ENTRIES)
    return awaited(cache(ttl=TTL)(load_async))


RACES = [
    Race(
        "a hit, read through",
        {
            "ours": ours,
            "moka-py": moka,
            "cachebox": cachebox,
            "cachetools": cachetools,
            "theine": theine,
            "dogpile.cache": dogpile,
        },
        {"moka-py": 1.6, "cachebox": 2.5, "cachetools": 8.0, "dogpile.cache": 30.0},
        idle_bytes=lambda: CacheAside(MemoryTier(ENTRIES, TTL), load, ttl=TTL),
    ),
    Race(
        "a hit, awaited",
        {"ours": ours_async, "aiocache": aiocache, "cashews": cashews},
        {},
        threads=(1,),
    ),
]
