"""What must hold where a thing is given back twice, never, or by nobody because of an interrupt.

A part of the contract of `perflab.contracts.waiting`, which says what is under test.
"""

import gc
import signal
from os import getpid, kill

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.pools import SOON, Factory, Held, Maker, free_again
from perflab.contracts.threads import PATIENCE, Running, eventually


@check(
    "what is given back twice is refused, and lent to one only",
    "The second time puts the same thing among the idle once more, and two users get it. Whoever "
    "gives back has to hold it: empty the lease, and look whether it is empty.",
)
def given_twice(make: Maker) -> Evidence:
    pool, refused = make(Factory(), max_open=2), 0
    held = Held(pool)
    held.give()
    for taken in (False, True):
        other = Held(pool) if taken else None
        try:
            held.give()
        except Exception:
            refused += 1
        if other:
            other.give()
    one, two = Held(pool), Held(pool)
    same = one.thing is two.thing
    pool.close()
    return Evidence(
        refused == 2 and not same, f"{refused} of 2 refused{', two users of one thing' * same}"
    )


@check(
    "what was forgotten is given back",
    "A caller that drops what it took and never gives it back takes a place with it, and after "
    "max_open of those everybody waits for ever. The collector knows: give the place back.",
    may_hang=True,
)
def leaked(make: Maker) -> Evidence:
    gc.freeze()  # in a child of this process: what was there before need not be gone through
    pool, taken = make(Factory(), max_open=2), 0
    while taken < 6:
        try:
            forgotten = Held(pool, SOON)
        except TimeoutError:
            return Evidence(False, f"{taken} taken and forgotten, then none left")
        taken += 1
        del forgotten
        gc.collect()
    return Evidence(True, f"{taken} taken and forgotten")


@check(
    "an interrupt while waiting leaves the pool as it was",
    "KeyboardInterrupt comes out of the wait like any other error. Whatever does, the caller has "
    "to leave the queue, or give back what it was handed meanwhile.",
    may_hang=True,
)
def interrupted(make: Maker) -> Evidence:
    """In the child's main thread, where signals arrive."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pool = make(Factory(), max_open=1)
    held = Held(pool)
    waits = pool.stats().waits

    def interrupt() -> None:
        eventually(lambda: pool.stats().waits > waits)
        kill(getpid(), signal.SIGINT)

    Running(interrupt)
    try:
        Held(pool, PATIENCE)
    except KeyboardInterrupt:
        held.give()
        free = free_again(pool, 1, SOON)
        return Evidence(free == 1, f"interrupted, then {free} of 1 free")
    except TimeoutError:
        return Evidence(False, "not interrupted")
    return Evidence(False, "served with what was lent")
