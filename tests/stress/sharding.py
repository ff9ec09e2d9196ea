"""Lookups from many threads while nodes join and leave: each finds an old node or a new one."""

import itertools
import random
import sys
import time

from perflab.contracts.threads import at_once
from perflab.patterns.sharding import ModuloRouter, RingRouter

KEYS = [f"user:{number}" for number in range(2_000)]
NODES = [f"shard-{number}" for number in range(8)]
NEW = "shard-new"


def stress(seconds: float, threads: int, seed: int) -> str:
    """One thread lets a node join and leave, the others look up; both routers."""
    routers = RingRouter(NODES), ModuloRouter(NODES)
    allowed = [
        {key: {one.route(key), other.route(key)} for key in KEYS}
        for one, other in zip(routers, (type(of)([*NODES, NEW]) for of in routers), strict=True)
    ]
    end = time.monotonic() + seconds

    def change() -> int:
        changes = 0
        while time.monotonic() < end:
            for router in routers:
                router.add(NEW)
            for router in routers:
                router.remove(NEW)
            changes += 2 * len(routers)
        return changes

    def look(number: int) -> int:
        rng, lookups = random.Random(seed + number), 0
        while time.monotonic() < end:
            for key in rng.choices(KEYS, k=200):
                for router, right in zip(routers, allowed, strict=True):
                    found = router.route(key)
                    assert found in right[key], f"{key} on {found}, not on one of {right[key]}"
                lookups += 2
        return lookups

    running = at_once(threads, lambda number: look(number) if number else change())
    changes, *lookups = (one.result(seconds + 60) for one in running)
    for router in routers:
        assert router.nodes == dict.fromkeys(NODES, 1)
        assert router._table == type(router)(NODES)._table
    return f"{sum(lookups):,} lookups beside {changes:,} changes, all right"


def growth(operations: int) -> str:
    """Lookups, and a node that joins and leaves after every ten thousand."""
    router = RingRouter(NODES)
    router.add(NEW)
    router.remove(NEW)
    before = sys.getallocatedblocks()
    keys = itertools.cycle(KEYS)
    for _ in range(operations // 10_000):
        for key in itertools.islice(keys, 10_000):
            router.route(key)
        router.add(NEW)
        router.remove(NEW)
    grown = sys.getallocatedblocks() - before
    assert grown < 1_000, f"{grown:,} blocks more"
    return f"{operations:,} lookups: {grown:+} blocks"
