"""What must hold of any pool in which callers wait for one of a limited number of things.

Under test is a maker `make(create, max_open=n)` of a pool whose things `create()` makes:
`pool.acquire(timeout)` gives a context manager (TimeoutError when nothing became free in time),
`pool.close()` ends it, and `pool.stats().waits` counts the callers that had to wait.
"""

import threading
from functools import partial
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import handoffs, losses
from perflab.contracts.parts.pools import (
    MOMENT,
    SOON,
    Factory,
    Held,
    Maker,
    free_again,
    parked,
    take_and_give,
)
from perflab.contracts.threads import PATIENCE, Running, at_once, eventually


@check(
    "never more than max_open, also when eight ask at once",
    "Look whether one more may be made and count it in one step, under the lock, and before it is "
    "made: eight threads that look first and count afterwards all find room.",
)
def limit(make: Maker) -> Evidence:
    gate = threading.Event()
    factory = Factory(lambda number: gate.wait(PATIENCE))
    pool = make(factory, max_open=2)
    calls = at_once(8, lambda _: take_and_give(pool))
    eventually(lambda: factory.open > 2, 0.05)  # more than it may: not waited for by who is right
    gate.set()
    ended = sum(call.join() for call in calls)
    pool.close()
    right = factory.most_open <= 2 and ended == 8
    return Evidence(right, f"{factory.most_open} at once, {ended} of 8 served")


@check(
    "first come, first served",
    "Keep those who wait in a queue and hand what comes back to its head. Whoever is chosen at "
    "random, or wins a race for it, may have come last; one can wait for ever.",
)
def in_order(make: Maker) -> Evidence:
    """Nobody is served before five wait, who came one after the other. Four times: luck runs out"""
    orders = []
    for _ in range(4):
        pool, order = make(Factory(), max_open=1), list[int]()
        held = Held(pool)

        def one(number: int, pool: Any = pool, order: list[int] = order) -> None:
            mine = Held(pool)
            order.append(number)
            mine.give()

        calls = [parked(pool, partial(one, number)) for number in range(5)]
        held.give()
        for call in calls:
            call.join()
        pool.close()
        orders.append(order)
    wrong = [order for order in orders if order != list(range(5))]
    return Evidence(not wrong, f"served {', '.join(map(str, wrong[0] if wrong else orders[0]))}")


@check(
    "a newcomer does not overtake who waits",
    "What comes back belongs to the first in the queue from that moment on. Where it is only laid "
    "down and somebody woken, a caller that comes by takes it before the other one is awake.",
)
def no_overtaking(make: Maker) -> Evidence:
    pool, enough, overtakes = make(Factory(), max_open=1), threading.Event(), 0
    for _ in range(20):
        held = Held(pool)
        enough.clear()

        def waiting() -> None:
            mine = Held(pool)
            enough.wait(PATIENCE)
            mine.give()

        waiter = parked(pool, waiting)
        held.give()
        try:
            take = Held(pool, 0)
        except TimeoutError:
            pass
        else:
            overtakes += 1
            take.give()
        enough.set()
        waiter.join()
    pool.close()
    return Evidence(not overtakes, f"{overtakes} of 20 overtaken")


lost_wake_up, put_down = handoffs.lost_wake_up, handoffs.put_down
late_hand_off = handoffs.late_hand_off


@check(
    "who gives up in time leaves nothing behind",
    "A caller whose time is over is still in the queue, and the next thing is handed to nobody. "
    "Take it out of the queue.",
)
def time_out(make: Maker) -> Evidence:
    pool = make(Factory(), max_open=1)
    held, refused = Held(pool), 0
    for _ in range(5):
        try:
            Held(pool, MOMENT)
        except TimeoutError:
            refused += 1
    held.give()
    free = free_again(pool, 1, SOON)
    pool.close()
    return Evidence(refused == 5 and free == 1, f"{refused} of 5 gave up, then {free} of 1 free")


@check(
    "a failed create frees its place and wakes who waits",
    "The place was counted before the thing was made. Where making it raises, count it back, and "
    "let the first in the queue try: nobody else will come and do it.",
    may_hang=True,
)
def failed_create(make: Maker) -> Evidence:
    gate = threading.Event()

    def before(number: int) -> None:
        if number == 0:
            gate.wait(PATIENCE)
            raise OSError("refused")

    factory = Factory(before)
    pool = make(factory, max_open=1)
    first = Running(lambda: take_and_give(pool))
    eventually(lambda: factory.attempts == 1)
    second = parked(pool, lambda: take_and_give(pool))
    gate.set()
    told = first.join() and isinstance(first.error, OSError)
    served = second.join(SOON) and second.error is None
    pool.close()
    return Evidence(
        told and served, f"the first {'is told' if told else 'is not'}, the second "
        f"{'is served' if served else 'is not'}"
    )  # fmt: skip


@check(
    "a create that keeps failing parks nobody, and loses no place",
    "Each caller in the queue has to try and be told. Count every failed place back, or a server "
    "that was away for a minute leaves a pool without places.",
    may_hang=True,
)
def keeps_failing(make: Maker) -> Evidence:
    def before(number: int) -> None:
        if number < 12:
            raise OSError("refused")

    pool = make(Factory(before), max_open=2)
    calls = [call for _ in range(2) for call in at_once(6, lambda _: take_and_give(pool))]
    told = sum(call.join(SOON) and isinstance(call.error, OSError) for call in calls)
    if told == 12 and free_again(pool, 2, SOON) < 2:
        return Evidence(False, "12 of 12 told, then a place is missing")
    return Evidence(told == 12, f"{told} of 12 told")


@check(
    "while one thing is being made, others are lent and come back",
    "Making a thing may take seconds. Reserve its place under the lock and make it outside, or "
    "everybody waits for the slowest.",
    may_hang=True,
)
def made_outside(make: Maker) -> Evidence:
    gate = threading.Event()
    factory = Factory(lambda number: number == 1 and gate.wait(PATIENCE))
    pool = make(factory, max_open=2)
    held = Held(pool)
    slow = Running(lambda: take_and_give(pool))
    eventually(lambda: factory.attempts == 2)

    def others() -> None:
        try:
            Held(pool, MOMENT)
        except TimeoutError:
            held.give()
        for _ in range(3):
            take_and_give(pool, SOON)

    free = Running(others).join(SOON)
    gate.set()
    ended = slow.join()
    return Evidence(free and ended, "lent meanwhile" if free else "everybody waits")


@check(
    "closing tells those who wait",
    "Nothing comes back to a closed pool, so nobody would wake them. Hand each of them the news.",
    may_hang=True,
)
def close_with_waiters(make: Maker) -> Evidence:
    pool = make(Factory(), max_open=1)
    held = Held(pool)
    calls = [parked(pool, lambda: take_and_give(pool)) for _ in range(3)]
    pool.close()
    told = sum(call.join(SOON) and call.error is not None for call in calls)
    held.give()
    try:
        Held(pool, 0)
    except TimeoutError:
        return Evidence(False, f"{told} of 3 told; a later caller is left to wait")
    except Exception:
        return Evidence(told == 3, f"{told} of 3 told")
    return Evidence(False, f"{told} of 3 told; still lends")


given_twice, leaked, interrupted = losses.given_twice, losses.leaked, losses.interrupted
