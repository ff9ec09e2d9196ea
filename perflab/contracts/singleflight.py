"""What must hold of a single-flight: many ask for one key, and one load answers them.

Under test is a class: `SingleFlight().do(key, load)` returns what `load()` returns.
"""

from collections.abc import Callable
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import flights
from perflab.contracts.parts.cache import World

Make = Callable[[World], Any]


def service_of(single_flight: Callable[[], Any]) -> Make:
    """A service without a cache, which loads users by way of the class."""
    return lambda world: _Service(world, single_flight())


class _Service:
    """What the checks of `flights.py` ask of."""

    def __init__(self, world: World, flight: Any) -> None:
        self._world, self._flight = world, flight

    def get_user(self, user_id: str) -> Any:
        return self._flight.do(user_id, lambda: self._world.users.read(user_id))


stampede, independent, failing = flights.stampede, flights.independent, flights.failing


@check(
    "a load that has ended is not remembered",
    "This is no cache: who asks after the load has ended loads anew. Take the key off the list of "
    "loads when its load ends, well or not.",
)
def anew(make: Make) -> Evidence:
    world = World()
    world.users.add(1)
    service = make(world)
    for _ in range(3):
        service.get_user("0")
    return Evidence(world.users.reads == 3, f"{world.users.reads} loads for 3 questions in a row")
