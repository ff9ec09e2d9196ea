"""What must hold of a pool of database connections.

Under test is a class like `ConnectionPool(connect, max_open, max_idle, max_lifetime,
max_idle_time, ping, clock=clock)`, with the keywords of chapter 3 and a class method
`open_all(connects, **limits)` that opens a pool for each of several servers. `on_database` makes
one of a module like `perflab.guide.connectionpool`.

Its first checks, of a limit and of those who wait, stand in `perflab.contracts.waiting`; those of
connections that grow old or die in `ageing`, those of several servers in `servers`.
"""

import threading

from perflab.contracts import waiting
from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import ageing, servers
from perflab.contracts.parts.database import on_database
from perflab.contracts.parts.pools import (
    SOON,
    Factory,
    Held,
    Maker,
    Thing,
    burst,
    parked,
    take_and_give,
)
from perflab.contracts.threads import PATIENCE, Running, eventually
from perflab.measure.virtual import VirtualClock

__all__ = ["on_database"]

limit, in_order, no_overtaking = waiting.limit, waiting.in_order, waiting.no_overtaking
lost_wake_up, put_down = waiting.lost_wake_up, waiting.put_down
late_hand_off, time_out = waiting.late_hand_off, waiting.time_out
failed_create, keeps_failing = waiting.failed_create, waiting.keeps_failing
made_outside, close_with_waiters = waiting.made_outside, waiting.close_with_waiters
given_twice, leaked, interrupted = waiting.given_twice, waiting.leaked, waiting.interrupted


@check(
    "one after the other needs one connection",
    "Keep what comes back, and lend it again. Where max_idle is 0, or nothing is kept, each "
    "request opens a connection of its own.",
)
def used_again(make: Maker) -> Evidence:
    factory = Factory()
    pool = make(factory, max_open=4, max_idle=2)
    for _ in range(100):
        take_and_give(pool)
    pool.close()
    return Evidence(len(factory.made) == 1, f"{len(factory.made)} connects for 100 requests")


@check(
    "max_idle are kept, and the rest of a burst is closed",
    "Compare with max_idle before one is put among the idle, and close it instead: kept open, it "
    "costs the server memory for nothing.",
)
def kept(make: Maker) -> Evidence:
    factory = Factory()
    pool = make(factory, max_open=10, max_idle=3)
    burst(pool, 10)
    left = factory.open
    burst(pool, 10)
    pool.close()
    right = left == 3 and len(factory.made) == 17
    return Evidence(right, f"{left} kept, {len(factory.made)} connects in two bursts of 10")


lifetime, idle_time = ageing.lifetime, ageing.idle_time
swept, restarted = ageing.swept, ageing.restarted


@check(
    "while one is asked whether it is alive, others are lent",
    "A ping to a server that has vanished takes until its time-out. Do it outside the lock, with "
    "the connection in the hands of the caller that asked for it.",
    may_hang=True,
)
def pinged_outside(make: Maker) -> Evidence:
    gate, asked, slow = threading.Event(), threading.Event(), list[Thing]()

    def ping(thing: Thing) -> bool:
        if slow and thing is slow[0]:
            asked.set()
            gate.wait(PATIENCE)
        return True

    pool = make(Factory(), max_open=3, max_idle=3, ping=ping)
    held = Held(pool)
    slow.append(take_and_give(pool))
    first = Running(lambda: take_and_give(pool))
    eventually(lambda: asked.is_set() or first.ended)
    held.give()
    free = Running(lambda: take_and_give(pool, SOON)).join(SOON)
    gate.set()
    first.join()
    said = "lent meanwhile" if free else "everybody waits"
    return Evidence(free, said if asked.is_set() else "nobody is asked")


@check(
    "while one is being closed, others are lent, and its place is not",
    "To close takes a round trip: take it out under the lock, close it outside, and only then "
    "count its place as free, or more than max_open are open for a while.",
    may_hang=True,
)
def closed_outside(make: Maker) -> Evidence:
    gate, closing = threading.Event(), threading.Event()

    def before_close(thing: Thing) -> None:
        closing.set()
        gate.wait(PATIENCE)

    factory = Factory(before_close=before_close)
    pool = make(factory, max_open=3, max_idle=1)
    held = [Held(pool) for _ in range(3)]
    held[0].give()
    slow = Running(held[1].give)
    closing.wait(SOON)
    other = Running(lambda: Held(pool, SOON))
    more = Running(lambda: Held(pool, SOON / 4))
    free = other.join(SOON) and more.join(SOON)
    most = factory.most_open
    gate.set()
    slow.join()
    right = free and most <= 3 and closing.is_set()
    return Evidence(right, f"{'lent meanwhile' if free else 'everybody waits'}, {most} open")


@check(
    "one that arrives after closing is closed, outside the lock",
    "A connect that was under way when the pool was closed ends in a pool that wants it no longer. "
    "Close it, but let go of the lock before.",
    may_hang=True,
)
def arrives_late(make: Maker) -> Evidence:
    """Somebody waits; the one that comes back is too old, so another is opened for who waits."""
    connecting, closing, gate = threading.Event(), threading.Event(), threading.Event()
    clock, opened = VirtualClock(), threading.Event()

    def before(number: int) -> None:
        if number == 1:
            connecting.set()
            opened.wait(PATIENCE)

    def before_close(thing: Thing) -> None:
        if thing.number == 1:
            closing.set()
            gate.wait(PATIENCE)

    factory = Factory(before, before_close)
    pool = make(factory, max_open=1, max_idle=1, max_lifetime=300.0, clock=clock)
    held = Held(pool)
    waiter = parked(pool, lambda: take_and_give(pool))
    clock.advance(301)
    held.give()
    connecting.wait(SOON)
    pool.close()
    opened.set()
    arrives = closing.wait(SOON)
    free = Running(pool.stats).join(SOON)
    gate.set()
    told = waiter.join() and waiter.error is not None
    gone = eventually(lambda: factory.open == 0, SOON)
    said = "its close holds the lock" if not free else "closed" if gone else "left open"
    return Evidence(arrives and free and told and gone, said if arrives else "left open")


@check(
    "what comes back after closing is closed",
    "A connection that was lent when the pool was closed comes back some time. Look whether the "
    "pool is closed before it is put among the idle.",
)
def returned_late(make: Maker) -> Evidence:
    factory = Factory()
    pool = make(factory, max_open=3)
    held = [Held(pool) for _ in range(3)]
    held.pop().give()
    pool.close()
    idle = factory.open
    for one in held:
        one.give()
    right = idle == 2 and factory.open == 0
    return Evidence(right, f"{factory.open} of 3 left open")


shards_open, shards_limited = servers.shards_open, servers.shards_limited
shards_failing, first_ping = servers.shards_failing, servers.first_ping
