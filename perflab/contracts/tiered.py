"""What must hold of a cache of several tiers: own memory, a cache server, a table.

Under test is `make(world)`: a cache of one process in that world (`contracts/cache.py`), empty
itself, above the server and the table that all processes share. It has `get(key)`, which raises
LookupError where no tier has the key, `set(key, value)`, `delete(key)`, and `errors`, how many
commands to a tier have failed. `as_printed` makes one of a class like the guide's, `over_tiers` one
of classes like ours.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import outages, overtaking
from perflab.contracts.parts.cache import RemoteTier, RowTier, World
from perflab.contracts.parts.outages import found

Make = Callable[[World], Any]


def as_printed(multi_level_cache: Callable[..., Any]) -> Make:
    """A class made with (client, database, ttl), and what else it takes: see `World.build`."""
    return lambda world: world.build(multi_level_cache, world.remote, world.table, world.ttl)


def over_tiers(tiered_cache: Callable[..., Any], memory_tier: Callable[..., Any]) -> Make:
    """A class made with (tiers, ttl), over a memory tier and two that the contract brings."""

    def make(world: World) -> Any:
        memory = memory_tier(world.max_entries, world.near_ttl, clock=world.clock)
        tiers = [memory, RemoteTier(world.remote), RowTier(world.table, world.clock)]
        return _Raising(tiered_cache(tiers, world.ttl, retry_after=1.0, clock=world.clock))

    return make


class _Raising:
    """Our cache, which returns a default, as one that raises."""

    def __init__(self, cache: Any) -> None:
        self.set, self.delete, self._cache = cache.set, cache.delete, cache

    def get(self, key: str) -> Any:
        value = self._cache.get(key, self)
        if value is self:
            raise LookupError(key)
        return value

    @property
    def errors(self) -> int:
        """Failed commands, of all tiers."""
        return sum(tier.errors for tier in self._cache.stats())


def _cut_off(world: World) -> None:
    world.remote.up = world.table.up = False


@check(
    "what one process stores another reads, equal and of its type",
    "A driver stores bytes, text and numbers and gives back bytes or text. Encode a value to "
    "bytes once (JSON will do) and decode what any tier returns.",
)
def shared(make: Make) -> Evidence:
    world = World()
    values = {"a": {"id": 7, "tags": ["x"]}, "b": 7, "c": "7", "d": [], "e": True}
    writer, reader = make(world), make(world)
    for key, value in values.items():
        writer.set(key, value)
    read = {key: found(reader, key) for key in values}
    right = sum(read[key] == values[key] and type(read[key]) is type(values[key]) for key in values)
    return Evidence(right == len(values), f"{right} of {len(values)} values")


@check(
    "None, 0 and empty text are values like any other",
    "`if value:` takes them for a miss. Ask whether there is an entry, not whether it is true.",
)
def falsy(make: Make) -> Evidence:
    world = World()
    values = {"a": None, "b": 0, "c": "", "d": False}
    writer, reader = make(world), make(world)
    for key, value in values.items():
        writer.set(key, value)
    right = sum(found(reader, key) == value for key, value in values.items())
    return Evidence(right == len(values), f"{right} of {len(values)} found by another process")


@check(
    "what cannot be stored is refused aloud, and changes nothing",
    "Turn the value into bytes first, and write the tiers after that.",
)
def unstorable(make: Make) -> Evidence:
    cache = make(World())
    cache.set("a", "old")
    refused = False
    try:
        cache.set("a", object())
    except (TypeError, ValueError):
        refused = True
    except Exception as error:  # a driver's own class
        refused = "not supported" in str(error)
    read = found(cache, "a")
    return Evidence(
        refused and read == "old", f"refused: {refused}; {'un' * (read == 'old')}changed"
    )


@check(
    "a hit in memory sends nothing; one on the server asks no table",
    "Ask the tiers one after the other and stop at the first that has the key.",
)
def commands(make: Make) -> Evidence:
    world = World()
    near, other = make(world), make(world)
    near.set("a", "x")
    before, rows = world.remote.sent.total(), world.table.reads
    for _ in range(10):
        near.get("a")
    none = world.remote.sent.total() - before
    other.get("a")
    one = world.remote.sent["get"]
    return Evidence(
        none == 0 and one == 1 and world.table.reads == rows,
        f"{none} commands for 10 hits in memory; {one} for one on the server",
    )


@check(
    "the memory of a process is bounded",
    "A dict grows for ever. Drop the entry least recently used when a new one finds no room.",
)
def bounded(make: Make) -> Evidence:
    world = World(max_entries=100)
    cache = make(world)
    for number in range(1_000):
        cache.set(str(number), "x")
    _cut_off(world)
    held = sum(_answers(cache, str(number)) for number in range(1_000))
    return Evidence(0 < held <= 100, f"{held:,} of 1,000 values in memory, 100 allowed")


def _answers(cache: Any, key: str) -> bool:
    try:
        return bool(found(cache, key) != "nothing")
    except ConnectionError:
        return False


@check(
    "another process's change is seen within the near TTL",
    "What lies in memory knows nothing of other processes: it needs a TTL, which a hit does not "
    "prolong.",
)
def seen(make: Make) -> Evidence:
    world = World(near_ttl=5.0)
    one, other = make(world), make(world)
    other.set("a", "old")
    one.get("a")
    other.set("a", "new")
    for _ in range(6):
        world.clock.advance(1.0)
        read = one.get("a")
    return Evidence(read == "new", f"after 6 s, with a TTL of 5: {read!r}")


@check(
    "copied upwards, a value lives no longer than where it came from",
    "A fresh TTL in each tier adds up: 9.6 s on the server and 5 s in memory. Give the copy the "
    "time that was left.",
)
def copies(make: Make) -> Evidence:
    world = World(ttl=10.0, near_ttl=5.0)
    writer, reader = make(world), make(world)
    writer.set("a", "x")
    world.clock.advance(9.6)
    reader.get("a")
    lived = 9.6
    while found(reader, "a") != "nothing" and lived < 30:
        world.clock.advance(0.2)
        lived += 0.2
    return Evidence(lived < 10.5, f"served for {lived:.1f} s with a TTL of 10")


@check(
    "what is deleted is deleted in every tier",
    "Write the method, and let it go through all the tiers.",
)
def deleted(make: Make) -> Evidence:
    world = World()
    cache, other = make(world), make(world)
    cache.set("a", "x")
    cache.set("b", "y")
    cache.delete("a")
    cache.delete("never set")
    read = found(cache, "a"), found(other, "a"), found(cache, "b")
    return Evidence(read == ("nothing", "nothing", "y"), f"read after it: {read[0]}, {read[1]}")


@check(
    "every caller has a value of its own",
    "A dict in memory hands out the one object that it holds: who changes it changes it for all. "
    "Keep bytes, and decode them for each caller.",
)
def own(make: Make) -> Evidence:
    cache = make(World())
    value = {"roles": ["reader"]}
    with suppress(Exception):  # one that stores no dict may have kept it all the same
        cache.set("a", value)
    value["roles"].append("admin")
    cache.get("a")["roles"].append("admin")
    roles = cache.get("a")["roles"]
    return Evidence(roles == ["reader"], f"stored ['reader'], read {roles}")


overtaken, meanwhile = overtaking.overtaken, overtaking.meanwhile
upwards, threads = overtaking.upwards, overtaking.threads
survives, counted = outages.survives, outages.counted
rests, returns, foreign = outages.rests, outages.returns, outages.foreign
