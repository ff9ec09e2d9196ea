"""Chapter 6, exercise 2: what must hold of a generator that calls four at once, in order."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.threads import PATIENCE, Running, eventually

AHEAD, WIDE = 16, 4
Make = Callable[..., Iterator[Any]]


def _threads_left(before: int) -> int:
    eventually(lambda: threading.active_count() <= before, 1.0)
    return threading.active_count() - before


@check(
    "yields what a loop would",
    "Yield function(item) once for each item, also where there is none.",
    may_hang=True,
)
def _like_a_loop(make: Make) -> Evidence:
    found, none = list(make(lambda n: n + 1, iter(range(50)))), list(make(str, []))
    return Evidence(sorted(found) == list(range(1, 51)) and none == [], f"{len(found)} of 50")


@check(
    "four calls at once, never five",
    "Begin the calls for the next items before you wait for the result of the first: four workers, "
    "and no more.",
    may_hang=True,
)
def _four(make: Make) -> Evidence:
    gate, lock, counts = threading.Event(), threading.Lock(), SimpleNamespace(now=0, most=0)

    def call(item: int) -> int:
        with lock:
            counts.now += 1
            counts.most = max(counts.most, counts.now)
        gate.wait(PATIENCE)
        with lock:
            counts.now -= 1
        return item

    reader = Running(lambda: list(make(call, range(40))))
    eventually(lambda: counts.now >= WIDE, PATIENCE / 2)
    eventually(lambda: counts.now > WIDE, 0.1)
    gate.set()
    reader.result()
    return Evidence(counts.most == WIDE, f"{counts.most} at once")


@check(
    "order is kept where a later item is ready first",
    "A result that is ready too early has to wait for its turn: wait for the calls in the order in "
    "which you began them.",
    may_hang=True,
)
def _order(make: Make) -> Evidence:
    later = threading.Event()

    def call(item: int) -> int:
        if item == 0:
            later.wait(0.5)
        elif item == 3:
            later.set()
        return item

    found = list(make(call, range(20)))
    return Evidence(found == list(range(20)), f"came as {found}"[:60])


@check(
    "a slow call keeps none of the others waiting",
    "While one call is slow, the other three go on with the items behind it, so more than four are "
    "taken; and the next call begins when one was yielded, not when a group of them is done.",
    may_hang=True,
)
def _slow(make: Make) -> Evidence:
    for slow in range(20):
        if not _goes_on(make, slow):
            return Evidence(False, f"call {slow + 5} did not begin before call {slow + 1} was done")
    return Evidence(True, "the others go on")


def _goes_on(make: Make, slow: int) -> bool:
    """Whether the call four places behind a slow one begins while that is under way."""
    behind = threading.Event()

    def call(item: int) -> bool:
        if item == slow + WIDE:
            behind.set()
        return item != slow or behind.wait(PATIENCE / 2)

    return all(make(call, range(slow + 10)))


@check(
    "of endless items at most 16 more are taken than yielded",
    "Each item that is taken takes memory until it is yielded. Take the next only when one was "
    "yielded: do not read all items, and do not submit all of them.",
    may_hang=True,
)
def _bounded(make: Make) -> Evidence:
    taken, most, given = 0, 0, 0

    def items() -> Iterator[int]:
        nonlocal taken, most
        while taken < 10_000:
            taken += 1
            most = max(most, taken - given)
            yield taken

    for _ in make(abs, items()):
        given += 1
        if given == 200:
            break
    return Evidence(most <= AHEAD and given == 200, f"{most:,} ahead, {given} yielded")


@check(
    "an error is raised in its item's place",
    "What comes before the failing item is yielded first, and the error is not swallowed: ask for "
    "results in order, and let what they raise come through.",
    may_hang=True,
)
def _error(make: Make) -> Evidence:
    found: list[float] = []
    error = "no error"
    try:
        found.extend(make(lambda n: 6 / (n - 3), range(10)))
    except Exception as raised:
        error = type(raised).__name__
    good = found == [-2, -3, -6] and error == "ZeroDivisionError"
    return Evidence(good, f"{len(found)} values, then {error}")


@check(
    "closed before its end it leaves no thread behind",
    "A generator that is closed gets a GeneratorExit at its yield. End the workers in a `finally` "
    "or with a `with`.",
    may_hang=True,
)
def _closed(make: Make) -> Evidence:
    before = threading.active_count()
    generator: Any = make(abs, iter(range(1_000)))
    for _ in range(3):
        next(generator)
    generator.close()
    left = _threads_left(before)
    return Evidence(left == 0, f"{left} threads left")


IN_ORDER = (_like_a_loop, _four, _order, _slow, _bounded, _error, _closed)
