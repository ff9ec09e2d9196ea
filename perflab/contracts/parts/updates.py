"""What must hold of a cache-aside service when users are updated; part of `cacheaside.py`."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.cache import World
from perflab.contracts.parts.orders import schedules
from perflab.contracts.threads import PATIENCE, Running, eventually

Make = Callable[[World], Any]
SOON = 0.5  # seconds for what waits for nothing


def _update(world: World, service: Any, user_id: str = "0") -> None:
    service.update_user(world.user_type(user_id, "new"))


@check(
    "after an update the new value is read",
    "Update the database, then take the key out of every tier of the cache.",
)
def updated(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service = make(world)
    service.get_user("0")
    _update(world, service)
    name = service.get_user("0").name
    other = make(world).get_user("0").name
    return Evidence(name == other == "new", f"read {name!r}, by another process {other!r}")


@check(
    "no order of a read and an update leaves an old value",
    "Look, load, [update, invalidate,] store: the old value is stored after the invalidation. Note "
    "that the key was invalidated while it was loaded, and do not store it then.",
    may_hang=True,
)
def orders(make: Make) -> Evidence:
    return _count_stale(make, known=True)


@check(
    "no order of a read and a creation leaves «does not exist»",
    "What is kept of a key that does not exist is a value as well: it can be old.",
    may_hang=True,
)
def creations(make: Make) -> Evidence:
    return _count_stale(make, known=False)


def _count_stale(make: Make, known: bool) -> Evidence:
    """Three commands of a reader and two of a writer: ten orders, each in a world of its own."""
    stale = tried = 0
    for schedule in schedules(reader=3, writer=2):
        world = World()
        if known:
            world.users.add(1)
        service = make(world)
        world.turns.run(
            schedule, reader=partial(_name, service), writer=partial(_update, world, service)
        )
        tried += 1
        stale += _name(service) != "new"
    return Evidence(stale == 0, f"{stale} of {tried} orders leave an old value")


def _name(service: Any) -> str:
    try:
        return str(service.get_user("0").name)
    except LookupError:
        return "nobody"


@check(
    "who asks after an update does not get what was loaded before it",
    "Those who come after the invalidation must not wait for the load from before it: let them "
    "start one of their own.",
)
def overtaken(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service, gate = make(world), threading.Event()

    def hold(command: str, key: str) -> None:
        if command == "read":
            world.users.hook = lambda command, key: None
            gate.wait(PATIENCE)

    world.users.hook = hold
    early = Running(lambda: service.get_user("0").name)
    eventually(lambda: world.users.reads == 1)
    updating = Running(lambda: _update(world, service))
    updating.join(SOON)
    late = Running(lambda: service.get_user("0").name)
    free = late.join(SOON)
    gate.set()
    early.result()
    updating.result()
    name, last = late.result(), service.get_user("0").name
    return Evidence(
        free and name == last == "new",
        f"asked after the update: {name!r}{'' if free else ', after a wait'}; later: {last!r}",
    )


@check(
    "an update that fails is told to its caller, and the cache goes on",
    "Let the database's error through. Whether it has changed anything is not known.",
)
def refused(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service = make(world)
    service.get_user("0")

    def fail(command: str, key: str) -> None:
        raise ConnectionError("lost")

    world.users.hook = fail
    told = False
    try:
        _update(world, service)
    except ConnectionError:
        told = True
    world.users.hook = lambda command, key: None
    name = service.get_user("0").name
    return Evidence(told and name in ("old", "new"), f"told: {told}; then reads {name!r}")
