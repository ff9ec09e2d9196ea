"""What a pool under test lends: things that count how often they are made, used and closed."""

import threading
from collections.abc import Callable
from typing import Any

from perflab.contracts.threads import PATIENCE, Running, eventually

SOON, MOMENT = 0.2, 0.001  # seconds: for what should be there at once; for a wait that times out
Maker = Callable[..., Any]  # of a pool: make(create, max_open=n, …)


class Thing:
    """A connection that does nothing but remember. State: `alive`, `closed`, `rollbacks`."""

    def __init__(self, factory: "Factory", number: int) -> None:
        self.number, self.alive, self.closed, self.rollbacks = number, True, False, 0
        self._factory = factory

    def rollback(self) -> None:
        self.rollbacks += 1

    def ping(self) -> bool:
        return self.alive

    def close(self) -> None:
        self._factory.closing(self)


class Factory:
    """Makes things, numbered from 0; `before(number)` runs first and may wait or raise.

    State, guarded by a lock: `made`; `open`, those made and not closed, and those being made;
    `most_open`, the largest that ever was. `before_close(thing)` runs while one is closed.
    """

    def __init__(
        self,
        before: Callable[[int], object] = lambda number: None,
        before_close: Callable[[Thing], object] = lambda thing: None,
    ) -> None:
        self.before, self.before_close = before, before_close
        self.made: list[Thing] = []
        self.attempts = self.open = self.most_open = 0
        self._lock = threading.Lock()

    def __call__(self) -> Thing:
        with self._lock:
            number, self.attempts = self.attempts, self.attempts + 1
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            self.before(number)
        except BaseException:
            with self._lock:
                self.open -= 1
            raise
        thing = Thing(self, number)
        self.made.append(thing)
        return thing

    def closing(self, thing: Thing) -> None:
        self.before_close(thing)
        with self._lock:
            self.open -= not thing.closed
            thing.closed = True


class Held:
    """A thing taken from a pool, until `give()`."""

    def __init__(self, pool: Any, timeout: float = PATIENCE) -> None:
        self._lease = pool.acquire(timeout)
        self.thing = self._lease.__enter__()

    def give(self) -> None:
        self._lease.__exit__(None, None, None)


def take_and_give(pool: Any, timeout: float = PATIENCE) -> Any:
    held = Held(pool, timeout)
    held.give()
    return held.thing


def parked(pool: Any, call: Callable[[], Any]) -> Running:
    """A call that has begun to wait."""
    waits = pool.stats().waits
    running = Running(call)
    eventually(lambda: running.ended or pool.stats().waits > waits)
    return running


def burst(pool: Any, size: int) -> list[Thing]:
    """So many taken at the same time, then all given back; what was lent."""
    held = [Held(pool) for _ in range(size)]
    for one in held:
        one.give()
    return [one.thing for one in held]


def free_again(pool: Any, number: int, patience: float) -> int:
    """How many of so many things can be taken at the same time, each within that patience."""
    held: list[Held] = []
    try:
        for _ in range(number):
            held.append(Held(pool, patience))  # noqa: PERF401  # what was taken before the error counts
    except TimeoutError:
        pass
    for one in held:
        one.give()
    return len(held)
