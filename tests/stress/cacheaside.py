"""Cache-aside under threads and event loops: nothing stale, every load counted, nobody waiting."""

import asyncio
import gc
import random
import threading
import time
from contextlib import suppress

from perflab.contracts.threads import at_once
from perflab.errors import ReentrantLoadError
from perflab.patterns import CacheAside, MemoryTier

KEYS = 12


class Source:
    """The truth, which counts how often it is asked and is slow or fails now and then."""

    def __init__(self, seed):
        self.values = [0] * KEYS
        self.loads = 0
        self._dice, self._lock = random.Random(seed), threading.Lock()

    def load(self, key):
        with self._lock:
            self.loads += 1
        value, dice = self.values[key], self._dice.random()
        if dice < 0.05:
            time.sleep(0.001)
        if dice > 0.993:
            raise ConnectionError
        if dice > 0.99 and asyncio._get_running_loop() is None:  # it would end the loop
            raise KeyboardInterrupt
        return value


def stress(seconds: float, threads: int, seed: int) -> str:
    """Each key has one writer: update, then invalidate. Nobody reads less than was in force."""
    source = Source(seed)
    aside = CacheAside(MemoryTier(KEYS // 2, 60), source.load, ttl=60, jitter=0.1)
    crossed = CacheAside(MemoryTier(2, 0.01), lambda key: crossed.get((key + 1) % 3), ttl=1)
    valid = [0] * KEYS
    end = time.monotonic() + seconds

    def see(key, before, value):
        assert value >= before, (key, before, value)

    async def by_tasks(rng):
        async def one():
            key = rng.randrange(KEYS)
            before = valid[key]
            with suppress(ConnectionError):
                see(key, before, await aside.aget(key))

        tasks = [asyncio.create_task(one()) for _ in range(20)]
        rng.choice(tasks).cancel()
        for task in tasks[: rng.randrange(30)]:  # the loop may end in the middle of the rest
            with suppress(asyncio.CancelledError):
                await task

    def hammer(number):
        rng, reads = random.Random(f"{seed} {number}"), 0
        while time.monotonic() < end:
            for _ in range(30):
                key = rng.randrange(KEYS)
                before = valid[key]
                with suppress(ConnectionError, KeyboardInterrupt):
                    see(key, before, aside.get(key))
                reads += 1
            for key in range(number, KEYS, threads):
                if rng.random() < 0.3:
                    source.values[key] += 1
                    aside.invalidate(key)
                    valid[key] = source.values[key]
            try:
                crossed.get(rng.randrange(3))
                raise AssertionError("a circle of loads came to an end")
            except ReentrantLoadError:
                pass
            if rng.random() < 0.02:
                asyncio.run(by_tasks(rng))
        return reads

    reads = sum(one.result(seconds + 60) for one in at_once(threads, hammer))
    assert aside.stats().loading == crossed.stats().loading == 0
    stats = aside.stats()
    assert 0 <= stats.loads - source.loads <= stats.failures  # some tasks end before they ask
    return (
        f"{reads:,} reads, {stats.loads:,} loads, {stats.joined:,} joined one, "
        f"{stats.discarded:,} overtaken by an update and not stored"
    )


def growth(operations: int) -> str:
    """Misses, failures and invalidations of always new keys."""

    def load(key):
        if key % 10 == 0:
            raise ConnectionError
        return key

    aside = CacheAside(MemoryTier(100, 60), load, ttl=60)
    counts = []
    for number in range(operations):
        with suppress(ConnectionError):
            aside.get(number)
        if number % 7 == 0:
            aside.invalidate(number)
        if number in (operations // 2, operations - 1):
            gc.collect()
            counts.append(len(gc.get_objects()))
    assert counts[1] < counts[0] + 1_000, counts
    assert aside.stats().loading == 0
    return f"{operations:,} loads, {aside.stats().failures:,} of them failed"
