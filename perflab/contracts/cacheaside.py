"""What must hold of a service that reads users through a cache and writes them past it.

Under test is `make(world)`: the service of one process in that world (`contracts/cache.py`), with
a cache in its own memory above the cache server that all processes share. It has
`get_user(user_id)`, which raises LookupError for who does not exist, and `update_user(user)`. Each
command to its cache goes through `world.stepped(cache)`, so that a check can choose the order of
things. `as_printed` makes one of classes like the guide's, `over_tiers` one of classes like ours.
"""

import json
import random
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import flights, updates
from perflab.contracts.parts.cache import RemoteTier, User, World

Make = Callable[[World], Any]


def as_printed(service: Callable[..., Any], cache: Callable[..., Any]) -> Make:
    """A service made with (cache, read, write, user type), a cache with (client, database, ttl);
    and with what else they take: see `World.build`."""

    def make(world: World) -> Any:
        own = world.stepped(world.build(cache, world.remote, world.table, world.ttl))
        users = world.users
        return world.build(service, own, users.read, users.write, world.user_type)

    return make


def over_tiers(aside: Callable[..., Any], tiered: Callable[..., Any], memory: Any) -> Make:
    """A service of a CacheAside over a TieredCache over a MemoryTier and the world's server."""
    return lambda world: _Service(world, aside, tiered, memory)


class _Service:
    """Our classes behind the two calls of the service."""

    def __init__(self, world: World, aside: Any, tiered: Any, memory: Any) -> None:
        self._users = world.users
        near = memory(world.max_entries, world.near_ttl, clock=world.clock)
        cache = tiered(
            [near, RemoteTier(world.remote)],
            world.ttl,
            encode=lambda user: json.dumps(user and asdict(user)).encode(),
            decode=lambda data: _user(world, json.loads(data)),
            clock=world.clock,
        )
        self._aside = aside(
            world.stepped(cache),
            self._read,
            ttl=world.ttl,
            negative_ttl=world.negative_ttl,
            jitter=world.jitter,
            rng=random.Random(1),
        )

    def _read(self, user_id: str) -> User | None:
        try:
            return self._users.read(user_id)
        except LookupError:
            return None

    def get_user(self, user_id: str) -> User:
        user: User | None = self._aside.get(user_id)
        if user is None:
            raise LookupError(user_id)
        return user

    def update_user(self, user: User) -> None:
        self._users.write(user)
        self._aside.invalidate(user.id)


def _user(world: World, fields: dict[str, str] | None) -> User | None:
    return None if fields is None else world.user_type(**fields)


def _answers(service: Any, user_id: str) -> bool:
    try:
        return service.get_user(user_id) is not None
    except (LookupError, ConnectionError):
        return False


@check(
    "a user read again is read from memory",
    "Look into the cache before asking the database, and store what it says.",
)
def hits(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service = make(world)
    read = {service.get_user("0").name for _ in range(10)}
    loads, asked = world.users.reads, world.remote.sent["get"]
    return Evidence(loads == 1 and asked <= 2 and read == {"old"}, f"{loads} load for 10 reads")


@check(
    "what one process has read, another finds in the cache",
    "Users have to be stored as bytes, and made users again when read. If the cached thing is of "
    "another type, every hit is a miss.",
)
def shared(make: Make) -> Evidence:
    world = World(user_type=User, max_entries=1_000)
    ids = world.users.add(200)
    one, other = make(world), make(world)
    for user_id in ids:
        one.get_user(user_id)
    before = world.users.reads
    equal = all(other.get_user(user_id) == one.get_user(user_id) for user_id in ids)
    again = world.users.reads - before
    return Evidence(again == 0 and equal, f"{again} of {len(ids)} asked of the database again")


@check(
    "and so it does with a user that the drivers can store",
    "What comes back from the cache server is bytes or text, never a user: decode it.",
)
def storable(make: Make) -> Evidence:
    world = World(max_entries=1_000)
    ids = world.users.add(200)
    one, other = make(world), make(world)
    for user_id in ids:
        one.get_user(user_id)
    before = world.users.reads
    for user_id in ids:
        other.get_user(user_id)
    again = world.users.reads - before
    return Evidence(again == 0, f"{again} of {len(ids)} asked of the database again")


@check(
    "reading writes nothing into the database",
    "The lowest level of the cache is a table of the database that it should spare: every miss "
    "writes there. Leave it out, or let the users' table be the lowest level.",
)
def no_writes(make: Make) -> Evidence:
    world = World()
    service = make(world)
    for user_id in world.users.add(100):
        service.get_user(user_id)
    return Evidence(world.table.writes == 0, f"{world.table.writes} writes for 100 read misses")


@check(
    "who does not exist is asked for once",
    "«Does not exist» is an answer as well: keep it, for a short time. Tell it apart from a miss.",
)
def absent(make: Make) -> Evidence:
    world = World()
    service = make(world)
    found = sum(_answers(service, "nobody") for _ in range(100))
    loads, asked = world.users.reads, world.remote.sent["get"]
    right = loads == 1 and asked <= 2 and not found
    return Evidence(right, f"100 reads: {loads} of the database, {asked} of the cache server")


@check(
    "and is found soon after being created elsewhere",
    "Give «does not exist» a TTL of its own, a short one.",
)
def created(make: Make) -> Evidence:
    world = World(ttl=600.0, near_ttl=600.0, negative_ttl=10.0)
    service = make(world)
    _answers(service, "0")
    world.users.add(1)
    world.clock.advance(10.1)
    found = _answers(service, "0")
    return Evidence(found, f"after a negative TTL of 10 s: {'found' if found else 'not found'}")


@check(
    "a change made past the service is seen within the TTL",
    "Values need a TTL in every tier, in the process's own memory too.",
)
def expires(make: Make) -> Evidence:
    world = World(ttl=60.0, near_ttl=60.0)
    world.users.add(1)
    service = copied = make(world)
    service.get_user("0")
    world.users.write(world.user_type("0", "new"))
    for _ in range(6):
        world.clock.advance(10.1)
        name = service.get_user("0").name
        if name == "old":
            copied = make(world)  # a process that starts now; its copy of a copy is no younger
            copied.get_user("0")
    name = copied.get_user("0").name if name == "new" else name
    return Evidence(name == "new", f"after 60.6 s, with a TTL of 60: {name!r}")


@check(
    "the memory of a process is bounded",
    "A dict grows with every user that was ever read, or asked for in vain. Bound it, and drop the "
    "least recently used.",
)
def bounded(make: Make) -> Evidence:
    users, nobody = _held(make, 500), _held(make, 0)
    found = f"in memory, 100 allowed: {users} of 500 users, {nobody} of 500 who do not exist"
    return Evidence(0 < users <= 100 and nobody <= 100, found)


def _held(make: Make, existing: int) -> int:
    """For how many of 500 ids the memory of a process answers; so many of them exist."""
    world = World(max_entries=100)
    world.users.add(existing)
    ids = [str(number) for number in range(500)]
    service = make(world)
    for user_id in ids:
        _answers(service, user_id)
    world.remote.up = world.table.up = world.users.up = False
    return sum(_knows(service, user_id) for user_id in ids)


def _knows(service: Any, user_id: str) -> bool:
    """Whether it says something of this id, be it that there is no such user."""
    try:
        service.get_user(user_id)
    except LookupError:
        return True
    except ConnectionError:
        return False
    return True


@check(
    "every caller has a user of its own",
    "What one caller does to the object in the cache it does to all of them. Keep bytes, or copy.",
)
def own(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service = make(world)
    service.get_user("0")
    service.get_user("0").name = "changed"
    name = service.get_user("0").name
    return Evidence(name == "old", f"one caller changes the name; the next reads {name!r}")


@check(
    "keys stored together are not all loaded again together",
    "One TTL for all makes all expire in one moment, and the database gets them all at once. Draw "
    "each TTL from a range.",
)
def spread(make: Make) -> Evidence:
    world = World(ttl=100.0, near_ttl=100.0, jitter=0.1, max_entries=1_000)
    ids, service, loads = world.users.add(300), make(world), []
    for second in (0, *range(89, 102)):
        world.clock.advance(second - world.clock())
        before = world.users.reads
        for user_id in ids:
            service.get_user(user_id)
        loads.append(world.users.reads - before)
    again, most = sum(loads[1:]), max(loads[1:])
    return Evidence(
        again == 300 and most <= 60, f"{again} of 300 loaded again, at most {most} in a second"
    )


updated, orders, creations = updates.updated, updates.orders, updates.creations
overtaken, refused = updates.overtaken, updates.refused
stampede, repeated = flights.stampede, flights.repeated
failing, independent = flights.failing, flights.independent
reentrant, crossed, interrupted = flights.reentrant, flights.crossed, flights.interrupted
