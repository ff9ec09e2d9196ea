"""Object pools under many threads, without and with a limit; buffers that somebody still sees."""

import random
import sys
import threading
import time
import warnings
from collections import Counter

from perflab.contracts.threads import at_once
from perflab.errors import AcquireTimeoutError
from perflab.patterns import Buffer, ObjectPool

IDLE, OPEN = 5, 6


class Mine(Buffer):
    """A buffer that knows who uses it. State: `user`, None while nobody has it."""

    __slots__ = ("user",)

    def __init__(self) -> None:
        super().__init__(64)
        self.user: int | None = None

    def give(self) -> None:
        assert self.user is None, "given back while somebody uses it"
        self.reset()


class Counted:
    """A pool and what was made for it. State, guarded by the lock: `made`."""

    def __init__(self, max_open: int | None) -> None:
        self.made, self._lock = 0, threading.Lock()
        self.pool = ObjectPool(self.make, Mine.give, IDLE, max_open=max_open)

    def make(self) -> Mine:
        with self._lock:
            self.made += 1
        return Mine()


def use(pool: ObjectPool[Mine], number: int, rng: random.Random, done: Counter[str]) -> None:
    """Write, look, give back, and look again at what was there."""
    try:
        lease = pool.acquire(rng.choice([None, 0.0, 0.001]))
    except AcquireTimeoutError:
        done["timeouts"] += 1
        return
    done["lent"] += 1
    buffer = lease.__enter__()
    assert buffer.user is None, "two users of one buffer"
    assert not len(buffer.bytes()), "it holds what another wrote"
    buffer.user = number
    text = b"%d " % number * rng.randrange(1, 40)
    buffer.write(text)
    if rng.random() < 0.1:
        time.sleep(0)  # another thread's turn
    view = buffer.bytes()
    assert buffer.user == number, "two users of one buffer"
    buffer.user = None
    if rng.random() < 0.001:
        done["forgotten"] += 1
    else:
        lease.release()
    assert view == text, "a view shows what another wrote"


def stress(seconds: float, threads: int, seed: int) -> str:
    """Any calls from all threads, for so long, to a pool of each kind by turns."""
    free, limited = Counted(None), Counted(OPEN)
    counts = {pool: [Counter[str]() for _ in range(threads)] for pool in (free, limited)}
    over = threading.Event()

    def hammer(number: int) -> None:
        rng = random.Random(seed + number)
        while not over.is_set():
            for counted, count in counts.items():
                use(counted.pool, number, rng, count[number])
            seen = limited.pool.stats()
            assert seen.open <= OPEN, f"{seen.open} are open"
            assert seen.idle <= IDLE, f"{seen.idle} are idle"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        crew = at_once(threads, hammer)
        over.wait(seconds)
        over.set()
        for one in crew:
            one.result(60)
        stats = {counted: counted.pool.stats() for counted in counts}
    for counted, seen in stats.items():
        done = sum(counts[counted], Counter())
        assert (seen.acquired, seen.leaked) == (done["lent"], done["forgotten"]), f"{done} {seen}"
        assert (seen.timeouts, seen.made) == (done["timeouts"], counted.made), f"{done} {seen}"
        assert seen.open == seen.idle == seen.made - seen.surplus - seen.leaked <= IDLE, f"{seen}"
        counted.pool.close()
        assert counted.pool.stats().open == 0
    one, two = stats.values()
    return (
        f"{one.acquired + two.acquired:,} lent, {one.made + two.made:,} made, "
        f"{two.waits:,} waited, {two.timeouts:,} timed out, {one.leaked + two.leaked:,} forgotten"
    )


def growth(operations: int) -> str:
    """Borrow and give back on one thread; every thousandth is forgotten."""
    counted = Counted(OPEN)

    def borrow(number: int) -> None:
        for k in range(number):
            lease = counted.pool.acquire(0)
            if k % 1000:
                lease.release()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        borrow(10_000)
        before = sys.getallocatedblocks()
        borrow(operations)
        grown = sys.getallocatedblocks() - before
    assert grown < 1_000, f"{grown:,} blocks more"
    return f"{operations:,} borrowed, {counted.made:,} made: {grown:+} blocks"
