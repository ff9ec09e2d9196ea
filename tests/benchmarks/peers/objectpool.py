"""Object pools: a thing is borrowed and given back, with four idle and as many threads at most.

Each in the form that its documentation shows: a `with` block, but for the standard library's
LifoQueue, which is what many use instead of a pool and has no block. Only ours counts, refuses a
second release and notices what is forgotten.
"""

from collections.abc import Callable
from queue import LifoQueue

from perflab.patterns.objectpool import ObjectPool
from tests.benchmarks.racing import Race

SIZE = 4


class Thing:
    """Nothing to make, so that only the pool is measured."""


def in_a_block(borrow: Callable[[], object]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n):
            with borrow():  # type: ignore[attr-defined]  # each of them gives a context manager
                pass

    return run


def ours() -> Callable[[int], None]:
    return in_a_block(ObjectPool(Thing, max_idle=SIZE).acquire)


def limited() -> Callable[[int], None]:
    return in_a_block(ObjectPool(Thing, max_idle=SIZE, max_open=SIZE).acquire)


def object_pool() -> Callable[[int], None]:
    from object_pool import ObjectPool as Peer

    return in_a_block(Peer(Thing, SIZE).item)


def generic_pool() -> Callable[[int], None]:
    from generic_pool import Factory, Pool

    class Things(Factory):  # type: ignore[misc]  # it ships no types
        def create(self) -> Thing:
            return Thing()

    return in_a_block(Pool(Things(), maxsize=SIZE).item)


def lifo_queue() -> Callable[[int], None]:
    queue: LifoQueue[Thing] = LifoQueue()
    for _ in range(SIZE):
        queue.put(Thing())

    def run(n: int) -> None:
        for _ in range(n):
            thing = queue.get()
            queue.put(thing)

    return run


RACES = [
    Race(
        "borrow and give back",
        {
            "ours": ours,
            "object-pool": object_pool,
            "generic-pool": generic_pool,
            "queue.LifoQueue": lifo_queue,
            "ours, at most 4": limited,
        },
        {"object-pool": (3.5, 8)},
        idle_bytes=lambda: ObjectPool(Thing),
    )
]
