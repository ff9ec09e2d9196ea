"""Connection pools under many threads: servers that fail, time-outs, leaks, a close at the end."""

import gc
import random
import sys
import threading
import time
import warnings
from collections import Counter

from perflab.contracts.parts.pools import Factory, Thing
from perflab.contracts.threads import at_once
from perflab.errors import AcquireTimeoutError, ClosedError
from perflab.patterns import ConnectionPool

OPEN, IDLE = 4, 3


class Server(Factory):
    """Opens connections, and sometimes refuses; what it opens dies, breaks and is forgotten."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        super().__init__(self.maybe_refuse)
        self.now = 0.0
        self.users: Counter[Thing] = Counter()

    def maybe_refuse(self, number: int) -> None:
        if self.dice.random() < 0.05:
            raise ConnectionRefusedError

    def connect(self) -> Thing:
        thing = self()
        thing.rollback = lambda: self.maybe_break(thing)  # type: ignore[method-assign]  # a mock
        return thing

    def maybe_break(self, thing: Thing) -> None:
        if self.dice.random() < 0.01:
            raise ConnectionResetError

    def ping(self, thing: Thing) -> bool:
        assert not thing.closed, "a closed connection is asked"
        return self.dice.random() > 0.01


def use(
    pool: ConnectionPool[Thing], server: Server, rng: random.Random, done: Counter[str]
) -> None:
    """Borrow once, for almost no time; most give back, some forget, some wait for a short time."""
    timeout = rng.choice([None, None, 0.0, 0.0005, 0.05])
    began = time.monotonic()
    try:
        lease = pool.acquire(timeout)
    except (AcquireTimeoutError, ConnectionRefusedError, ClosedError) as error:
        done[type(error).__name__] += 1
        return
    done["worst wait, µs"] = max(done["worst wait, µs"], int(1e6 * (time.monotonic() - began)))
    done["lent"] += 1
    thing = lease.__enter__()
    server.users[thing] += 1
    assert server.users[thing] == 1, "two users of one connection"
    assert not thing.closed, "a closed connection is lent"
    assert server.open <= OPEN, f"{server.open} are open"
    if rng.random() < 0.1:
        server.now += rng.random()
    server.users[thing] -= 1
    if rng.random() < 0.002:
        done["forgotten"] += 1
        return
    lease.release()


def stress(seconds: float, threads: int, seed: int) -> str:
    """Any calls from all threads, for so long; then it is closed with everybody in it."""
    server = Server(seed)
    pool = ConnectionPool(
        server.connect, OPEN, IDLE, 50.0, 20.0, server.ping, clock=lambda: server.now
    )
    counts = [Counter[str]() for _ in range(threads)]
    over = threading.Event()

    def hammer(number: int) -> None:
        rng = random.Random(seed + number)
        while not over.is_set() or "ClosedError" not in counts[number]:
            use(pool, server, rng, counts[number])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        crew = at_once(threads, hammer)
        over.wait(seconds)
        over.set()
        pool.close()
        for one in crew:
            one.result(60)
        seen = pool.stats()
    worst = max(count.pop("worst wait, µs") for count in counts)
    done = sum(counts, Counter())
    assert server.most_open <= OPEN
    assert (seen.open, seen.idle, seen.waiting, server.open) == (0, 0, 0, 0), f"left: {seen}"
    assert all(thing.closed for thing in server.made), "a connection is left open"
    assert (seen.acquired, seen.leaked) == (done["lent"], done["forgotten"]), f"{done}, {seen}"
    assert seen.timeouts == done["AcquireTimeoutError"], f"{done}, {seen}"
    assert seen.made == len(server.made), f"{len(server.made)}, {seen}"
    return (
        f"{done['lent']:,} lent, {seen.made:,} opened, {seen.waits:,} waited, worst "
        f"{worst / 1e3:,.0f} ms, {seen.timeouts:,} timed out, {seen.leaked:,} forgotten"
    )


def growth(operations: int) -> str:
    """Borrow and give back on one thread; every thousandth connection breaks or is forgotten."""
    server = Server(1)
    pool = ConnectionPool(server.connect, OPEN, IDLE, 50.0, 20.0, clock=lambda: server.now)

    def borrow(number: int) -> None:
        for k in range(number):
            try:
                lease = pool.acquire(0)
            except ConnectionRefusedError:
                continue
            if k % 1000:
                lease.release()
        server.made.clear()
        server.users.clear()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        borrow(10_000)
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(operations // 10_000):
            borrow(10_000)
        gc.collect()
        grown = sys.getallocatedblocks() - before
    assert grown < 1_000, f"{grown:,} blocks more"
    return f"{operations:,} borrowed, {pool.stats().made:,} opened: {grown:+} blocks"
