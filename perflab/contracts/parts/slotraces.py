"""What must hold of a bulkhead of ours when threads race: part of `perflab.contracts.slots`.

No race is hoped for: the one thread is stopped before each of its instructions in turn, and the
other acts there (see `stepping`).
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.stepping import switch_at_each_instruction
from perflab.contracts.parts.work import SOON, in_line, leave, pass_through
from perflab.contracts.threads import Running
from perflab.errors import BulkheadFullError

Bulkheads = Callable[..., Any]
MOMENT, A_WHILE = 0.0003, 0.06  # seconds: for waits that end in a time-out


@check(
    "no wake-up is lost, wherever in entering a slot is freed",
    "A caller finds no slot, then one is freed and nobody is seen waiting, then the caller lies "
    "down for ever. Stand in line first, then look again.",
    may_hang=True,
)
def lost_wake_up(bulkheads: Bulkheads) -> Evidence:
    """Entering is stopped before each of its instructions, and the slot freed there.

    When it has twice in a row slept all its time before it came to the instruction, the rest of
    the call is of no interest here.
    """
    turns = asleep = slept = 0

    def scene() -> tuple[Callable[[], Any], Callable[[], Any]]:
        nonlocal turns
        if slept > 1:
            raise _EnoughError
        turns += 1
        bulkhead, freed = bulkheads(1, A_WHILE), list[float]()
        bulkhead.__enter__()

        def free_it() -> None:
            leave(bulkhead)
            freed.append(time.monotonic())

        def enter() -> None:
            nonlocal asleep, slept
            began, refused = time.monotonic(), True
            with contextlib.suppress(BulkheadFullError):
                pass_through(bulkhead)
                refused = False
            slept = slept + 1 if time.monotonic() > began + A_WHILE else 0
            asleep += refused and bool(freed) and freed[0] < began + A_WHILE / 2

        return enter, free_it

    with contextlib.suppress(_EnoughError):
        switch_at_each_instruction(scene)
    return Evidence(turns > 2 and not asleep, f"asleep {asleep} times of {turns}")


@check(
    "who comes while a slot is freed gets it",
    "Between looking who waits and freeing the slot somebody comes, finds none and waits. Free "
    "the slot first, then look at the line.",
    may_hang=True,
)
def freed(bulkheads: Bulkheads) -> Evidence:
    """Leaving is stopped before each of its instructions, and another thread enters there."""
    calls: list[Running] = []

    def scene() -> tuple[Callable[[], Any], Callable[[], Any]]:
        bulkhead = bulkheads(1, SOON)
        bulkhead.__enter__()

        def enter() -> None:
            calls.append(Running(lambda: pass_through(bulkhead)))
            calls[-1].join(MOMENT)

        return lambda: leave(bulkhead), enter

    switch_at_each_instruction(scene)
    asleep = sum(not call.join() or call.error is not None for call in calls)
    return Evidence(len(calls) > 5 and not asleep, f"asleep {asleep} times of {len(calls)}")


@check(
    "a time-out that races a hand-off loses no slot",
    "The time is over, and before the caller has left the line it is handed a slot. Leave the line "
    "under the lock; who is no longer in it has a slot.",
    may_hang=True,
)
def late_hand_off(bulkheads: Bulkheads) -> Evidence:
    """As above, but a caller that soon gives up: also while it does a slot is freed."""
    used: list[Any] = []

    def scene() -> tuple[Callable[[], Any], Callable[[], Any]]:
        bulkhead = bulkheads(1, MOMENT)
        used.append(bulkhead)
        bulkhead.__enter__()

        def enter() -> None:
            with contextlib.suppress(BulkheadFullError):
                pass_through(bulkhead)

        return enter, lambda: leave(bulkhead)

    switch_at_each_instruction(scene)
    turns = used[1:-1]  # without the rehearsal and the last turn, in which no slot was freed
    lost = sum(bulkhead.stats().in_use for bulkhead in turns)
    return Evidence(len(turns) > 10 and not lost, f"lost {lost} times of {len(turns)}")


@check(
    "a newcomer does not overtake, wherever in freeing a slot it comes",
    "The slot is free for a moment before it is handed to the first in line, and whoever comes by "
    "takes it. While somebody is in line, nobody takes a slot that is free.",
    may_hang=True,
)
def overtaken(bulkheads: Bulkheads) -> Evidence:
    """Leaving is stopped before each of its instructions, and beside one in line another comes."""
    orders: list[list[str]] = []
    calls: list[Running] = []

    def scene() -> tuple[Callable[[], Any], Callable[[], Any]]:
        bulkhead, order = bulkheads(1), list[str]()
        orders.append(order)
        bulkhead.__enter__()

        def one(name: str) -> None:
            with bulkhead:
                order.append(name)

        calls.append(in_line(bulkhead, lambda: one("first")))

        def come() -> None:
            calls.append(Running(lambda: one("newcomer")))
            calls[-1].join(3 * MOMENT)

        return lambda: leave(bulkhead), come

    switch_at_each_instruction(scene)
    ended = all(call.join() for call in calls)
    overtakes = sum(order[0] == "newcomer" for order in orders)
    return Evidence(ended and not overtakes, f"{overtakes} of {len(orders)} overtaken")


class _EnoughError(Exception):
    """What comes later in the call, comes after it has slept."""
