"""What must hold of a cache of several tiers while one of them is down; part of `tiered.py`."""

from collections.abc import Callable
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.cache import World

Make = Callable[[World], Any]


def found(cache: Any, key: str) -> Any:
    """The value, or the word "nothing"."""
    try:
        return cache.get(key)
    except LookupError:
        return "nothing"


@check(
    "a dead server fails no call: the tiers below it serve",
    "An error of one tier is a miss there, not an error of the cache.",
)
def survives(make: Make) -> Evidence:
    world = World()
    cache = make(world)
    cache.set("a", "x")
    world.remote.up = False
    cache.set("b", "y")
    read = found(make(world), "a"), found(cache, "b")
    return Evidence(read == ("x", "y"), f"read without the server: {read[0]!r}, {read[1]!r}")


@check(
    "the errors of a dead server are counted",
    "A dead server that looks like a miss makes the service slow, and nobody knows why. Count "
    "what fails.",
)
def counted(make: Make) -> Evidence:
    world = World()
    cache = make(world)
    cache.set("a", "x")
    quiet = getattr(cache, "errors", 0)
    world.remote.up = False
    cache.set("b", "y")
    noted = getattr(cache, "errors", 0)
    return Evidence(quiet == 0 and noted > 0, f"{quiet} errors before, {noted} after it died")


@check(
    "a dead server is not asked every time, and is tried again",
    "Each question to a dead server costs a time-out. Leave it alone for a second after an "
    "error, then let one caller try.",
)
def rests(make: Make) -> Evidence:
    world = World()
    cache = make(world)
    world.remote.up = False
    for number in range(100):
        found(cache, str(number))
    asked = world.remote.sent.total()
    world.remote.up = True
    world.clock.advance(1.1)
    cache.set("a", "x")
    back = len(world.remote) == 1
    return Evidence(asked <= 3 and back, f"100 lookups asked it {asked} times; used again: {back}")


@check(
    "what was changed while the server was down is not served old",
    "The server comes back with what it had. Remember which keys could not be written or deleted "
    "there, and delete them before asking for them.",
)
def returns(make: Make) -> Evidence:
    world = World(near_ttl=1.0)
    cache = make(world)
    for key in ("a", "b"):
        cache.set(key, "old")
    world.remote.up = False
    cache.set("a", "new")
    cache.delete("b")
    world.remote.up = True
    world.clock.advance(1.1)
    read = found(cache, "a"), found(cache, "b")
    right = read == ("new", "nothing")
    return Evidence(right, f"set: {read[0]!r}, deleted: {read[1]!r} after its return")


@check(
    "bytes of somebody else on the server are a miss, not an error",
    "What cannot be decoded is not ours: go on to the next tier.",
)
def foreign(make: Make) -> Evidence:
    world = World()
    make(world).set("a", "x")
    world.remote.set("a", b"\x80\x04\x95", px=60_000)
    read = found(make(world), "a")
    return Evidence(read == "x", f"stored 'x', read {read!r}")
