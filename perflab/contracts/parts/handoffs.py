"""What must hold where a hand-off races a caller that begins to wait, or that gives up.

A part of the contract of `perflab.contracts.waiting`, which says what is under test. The switch of
threads is forced between any two steps of the code (see `stepping`), not hoped for.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.pools import (
    MOMENT,
    SOON,
    Factory,
    Held,
    Maker,
    free_again,
    take_and_give,
)
from perflab.contracts.parts.stepping import Scene, switch_at
from perflab.contracts.threads import Running

ENOUGH = 0.4  # seconds: well under a check's two


def where_it_waits(scene: Scene, waits: Callable[[], bool]) -> int:
    """Some instruction of `run` at which it stands in the queue, soon after it has joined it.

    The first turn is a rehearsal without a switch of threads: Python 3.13 traces instructions of
    code that it has traced before.
    """
    switch_at(sys.maxsize, *scene(), MOMENT)
    step = 1
    while switch_at(step, *scene(), MOMENT) and not waits():
        step += 24
    return step


def turns(scene: Scene, steps: Iterable[int]) -> int:
    """A switch of threads at each of these instructions; how many there were.

    On a machine with no time to spare it ends early: what matters most comes first.
    """
    end, played = time.monotonic() + ENOUGH, 0
    for step in steps:
        if not switch_at(step, *scene(), MOMENT) or time.monotonic() > end:
            break
        played += 1
    return played


@check(
    "no wake-up is lost, wherever in acquire a thing comes back",
    "A caller finds nothing, then the last thing comes back and nobody is seen waiting, then the "
    "caller lies down for ever. Stand in the queue first, then look again.",
    may_hang=True,
)
def lost_wake_up(make: Maker) -> Evidence:
    """`acquire` is stopped before its instructions, and the thing given back there.

    Before every third (a line has more), from where it waits back to where it begins.
    """
    pools, asleep = list[Any](), 0

    def scene() -> tuple[Callable[[], Any], Callable[[], Any]]:
        pool, given = make(Factory(), max_open=1), list[float]()
        held = Held(pool)
        pools.append(pool)

        def give() -> None:
            held.give()
            given.append(time.monotonic())

        def take() -> None:
            nonlocal asleep
            began = time.monotonic()
            try:
                take_and_give(pool, SOON / 2)
            except TimeoutError:
                asleep += bool(given) and given[0] < began + SOON / 2
            pool.close()

        return take, give

    first = where_it_waits(scene, lambda: pools[-1].stats().waits > 0)
    tried = turns(scene, range(first, 0, -3))
    return Evidence(tried > 1 and not asleep, f"asleep {asleep} times of {tried}")


@check(
    "who comes while a thing is put down gets it",
    "Between looking for who waits and putting it down, somebody looks for it in vain and begins "
    "to wait. Put it down first, then look at the queue (or do both under the lock).",
    may_hang=True,
)
def put_down(make: Maker) -> Evidence:
    """Giving back is stopped before every third instruction, and `acquire` called there."""
    calls: list[Running] = []

    def scene() -> tuple[Callable[[], Any], Callable[[], Any]]:
        pool = make(Factory(), max_open=1)
        held = Held(pool)

        def take() -> None:
            calls.append(Running(lambda: take_and_give(pool, SOON)))
            calls[-1].join(MOMENT / 2)

        return held.give, take

    switch_at(sys.maxsize, *scene(), MOMENT)
    tried = turns(scene, itertools.count(1, 3))
    asleep = sum(not call.join() or call.error is not None for call in calls)
    return Evidence(tried > 1 and not asleep, f"asleep {asleep} times of {tried}")


@check(
    "a time-out that races a hand-off loses nothing",
    "The wait is over, and before the caller is out of the queue it is handed something. Leave "
    "the queue under the lock; who is no longer in it has got something, and takes it.",
    may_hang=True,
)
def late_hand_off(make: Maker) -> Evidence:
    """As above, with an `acquire` that gives up at once, from where it stands in the queue."""
    pools: list[Any] = []

    def scene() -> tuple[Callable[[], Any], Callable[[], Any]]:
        pools.append(make(Factory(), max_open=1))
        held = Held(pools[-1])

        def take() -> None:
            with suppress(TimeoutError):
                take_and_give(pools[-1], 0)

        return take, held.give

    first = where_it_waits(scene, lambda: pools[-1].stats().waits > 0)
    begun = len(pools)
    tried = turns(scene, itertools.count(max(first - 24, 1), 3))
    lost = sum(free_again(pool, 1, 0) == 0 for pool in pools[begun : begun + tried])
    for pool in pools:
        pool.close()
    return Evidence(tried > 1 and not lost, f"lost {lost} times of {tried}")
