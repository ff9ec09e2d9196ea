"""What must hold of a cache-aside service when many ask at once; part of `cacheaside.py`."""

import threading
import time
from collections.abc import Callable
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.cache import World
from perflab.contracts.threads import PATIENCE, Running, at_once, eventually

Make = Callable[[World], Any]
QUIET = 0.1  # seconds without anybody more, after which all who will come have come
SOON = 0.5  # seconds for what waits for nothing


def _settled(count: Callable[[], int]) -> None:
    """Until the count, once it is not 0, stays the same for a while."""
    seen, since = count(), time.monotonic()
    eventually(lambda: count() > 0)
    while time.monotonic() - since < QUIET:
        time.sleep(0.002)
        if count() != seen:
            seen, since = count(), time.monotonic()


@check(
    "fifty callers who miss at once cost one load",
    "The first who misses loads; the others wait for what it finds. Keep, under a lock, which "
    "keys are being loaded.",
)
def stampede(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service, gate = make(world), threading.Event()
    world.users.hook = lambda command, key: _wait(gate)
    callers = at_once(50, lambda number: service.get_user("0").name)
    _settled(lambda: world.users.reads)
    gate.set()
    right = sum(caller.result() == "old" for caller in callers)
    loads = world.users.reads
    return Evidence(loads == 1 and right == 50, f"{loads} loads for {right} answers")


def _wait(gate: threading.Event) -> None:
    gate.wait(PATIENCE)


@check(
    "a load that ends while somebody looks is not repeated",
    "Between a miss and the list of loads another's load may begin and end. Look into the cache "
    "once more, if any load has ended since the first look.",
)
def repeated(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service = make(world)

    def load(command: str, key: str) -> None:
        world.remote.hook = lambda command, key: None
        Running(lambda: service.get_user("0")).result()  # another thread, from miss to store

    world.remote.hook = load
    name, loads = service.get_user("0").name, world.users.reads
    return Evidence(loads == 1 and name == "old", f"{loads} loads for 2 answers")


@check(
    "a load that fails fails once for all who wait, and is not kept",
    "If each of those who waited tries again one after the other, the last waits for all the "
    "time-outs. Hand the error to all of them, and let the next caller load anew.",
)
def failing(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service, gate = make(world), threading.Event()

    def fail(command: str, key: str) -> None:
        _wait(gate)
        raise ConnectionError("lost")

    world.users.hook = fail
    callers = at_once(20, lambda number: service.get_user("0"))
    _settled(lambda: world.users.reads)
    gate.set()
    if not all(caller.join() for caller in callers):  # the first who is stuck is enough
        return Evidence(False, "the load has failed, and who waited for it waits still")
    failed = sum(type(caller.error) is ConnectionError for caller in callers)
    loads = world.users.reads
    world.users.hook = lambda command, key: None
    again = Running(lambda: service.get_user("0").name).result()
    return Evidence(
        failed == 20 and loads == 1 and again == "old",
        f"{loads} loads failed for {failed} callers; then {again!r}",
    )


@check(
    "keys do not wait for each other",
    "One lock around every load lets one slow key hold up all of them. Hold the lock only to look "
    "who is loading what.",
)
def independent(make: Make) -> Evidence:
    world = World()
    world.users.add(2)
    service, gate = make(world), threading.Event()
    world.users.hook = lambda command, key: _wait(gate) if key == "0" else None
    slow = Running(lambda: service.get_user("0"))
    eventually(lambda: world.users.reads == 1)
    other = Running(lambda: service.get_user("1"))
    free = other.join(SOON)
    gate.set()
    slow.result(), other.result()
    return Evidence(free, f"while one key loads, another is {'answered' if free else 'held up'}")


@check(
    "a load that asks for its own key does not wait for itself",
    "It would wait for ever. Know which key the code is loading, and raise an error.",
    may_hang=True,
)
def reentrant(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service = make(world)

    def ask(command: str, key: str) -> None:
        world.users.hook = lambda command, key: None
        service.get_user(key)

    world.users.hook = ask
    asking = Running(lambda: service.get_user("0"))
    ended = asking.join(SOON)
    name = service.get_user("0").name if ended else None
    said = type(asking.error).__name__ if asking.error else "an answer"
    return Evidence(ended and name == "old", said if ended else "still waiting")


@check(
    "two loads that ask for each other's key do not wait for ever",
    "Thread one loads A and waits for B, thread two loads B and waits for A. Know which load waits "
    "for which, and follow that before waiting.",
    may_hang=True,
)
def crossed(make: Make) -> Evidence:
    world = World()
    world.users.add(2)
    service, meet = make(world), threading.Barrier(2)
    first = {"0": "1", "1": "0"}

    def ask(command: str, key: str) -> None:
        other = first.pop(key, None)
        if other is not None:
            meet.wait(PATIENCE)
            service.get_user(other)

    world.users.hook = ask
    asking = at_once(2, lambda number: service.get_user(str(number)))
    ended = sum(one.join(SOON) for one in asking)
    usable = ended == 2 and service.get_user("0").name == "old"
    return Evidence(usable, f"{ended} of 2 ended")


@check(
    "who is interrupted while loading leaves nobody waiting",
    "KeyboardInterrupt and a cancelled task are no Exception. Whatever ends a load must take it "
    "off the list of loads; one of those who wait loads in its place.",
    may_hang=True,
)
def interrupted(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service, gate = make(world), threading.Event()

    def interrupt(command: str, key: str) -> None:
        world.users.hook = lambda command, key: None
        _wait(gate)
        raise KeyboardInterrupt

    world.users.hook = interrupt
    leader = Running(lambda: service.get_user("0"))
    eventually(lambda: world.users.reads == 1)
    waiting = at_once(5, lambda number: service.get_user("0").name)
    gate.set()
    ended = sum(one.join(SOON) for one in waiting)
    right = sum(one.ended and one.error is None for one in waiting)
    left = leader.join(SOON) and type(leader.error) is KeyboardInterrupt
    return Evidence(left and right == 5, f"{ended} of 5 ended, {right} with an answer")
