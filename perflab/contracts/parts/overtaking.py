"""What must hold of a cache of several tiers when reads and writes meet; part of `tiered.py`."""

import threading
from collections.abc import Callable
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.cache import World
from perflab.contracts.parts.outages import found
from perflab.contracts.threads import Running, at_once, eventually

Make = Callable[[World], Any]
GRACE = 0.25  # seconds: one whom the check holds in the middle may hold a lock, too


@check(
    "an old value read before a write is not copied above it",
    "Between asking a far tier and copying its answer a whole write may pass. Count the writes of "
    "a key, and copy only if none has ended since before the question.",
    may_hang=True,
)
def overtaken(make: Make) -> Evidence:
    world = World()
    make(world).set("a", "old")
    cache = make(world)

    def write(command: str, key: str) -> None:
        if command == "get" and not writers:
            writers.append(Running(lambda: cache.set("a", "new")))
            writers[0].join(GRACE)

    writers: list[Running] = []
    world.remote.hook = write
    cache.get("a")
    writers[0].result()
    read = cache.get("a")
    return Evidence(read == "new", f"written: 'new'; read after it: {read!r}")


@check(
    "nor one that is read while the new one is being written",
    "A reader may begin after the writer has begun, and still find the old value in a tier that is "
    "written last. Count the write when it ends, not when it begins.",
    may_hang=True,
)
def meanwhile(make: Make) -> Evidence:
    world = World()
    make(world).set("a", "old")
    cache = make(world)
    readers: list[Running] = []
    answered = threading.Event()

    def read(command: str, key: str) -> None:
        if command != "select" and not readers:
            readers.append(Running(lambda: found(cache, "a")))
            eventually(lambda: answered.is_set() or readers[0].ended, GRACE)

    world.table.hook = read
    world.remote.hook = lambda command, key: answered.set()
    cache.set("a", "new")
    for reader in readers:
        reader.result()
    seen = found(cache, "a")
    return Evidence(seen == "new" and bool(readers), f"written: 'new'; read after it: {seen!r}")


@check(
    "evicted on the server while written, the old value does not return",
    "A new value may be gone from a near tier before the far ones have it: whoever asks then "
    "copies the old one up again, for good. Write the farthest tier first.",
)
def upwards(make: Make) -> Evidence:
    world = World()
    cache = make(world)
    cache.set("a", "old")

    def evict(command: str, key: str) -> None:
        if command == "set":
            world.remote.hook = lambda command, key: None
            world.remote.delete("a")
            found(make(world), "a")  # another process asks

    world.remote.hook = evict
    cache.set("a", "new")
    read = found(make(world), "a")
    return Evidence(read == "new", f"written: 'new'; read by another process: {read!r}")


@check(
    "threads at once on one cache: no error, no wrong value",
    "Several threads look, copy upwards and evict. A bounded dict needs a lock or a tier that has "
    "one.",
)
def threads(make: Make) -> Evidence:
    world = World(max_entries=8)
    cache = make(world)

    def use(number: int) -> int:
        wrong = 0
        for turn in range(60):
            key = str((turn * (number + 1)) % 16)
            cache.set(key, key)
            wrong += found(cache, str(turn % 16)) not in ("nothing", str(turn % 16))
        return wrong

    wrong = sum(thread.result() for thread in at_once(4, use))
    return Evidence(wrong == 0, f"{wrong} wrong values in 240 lookups")
