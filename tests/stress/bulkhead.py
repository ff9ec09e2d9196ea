"""Bulkheads: threads and tasks of several loops in one line, and what must hold all along."""

import asyncio
import gc
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from perflab.errors import BulkheadFullError
from perflab.patterns import Bulkhead

LIMIT, MAX_WAIT = 3, 0.01


class Inside:
    """How many are inside, counted under a lock of its own."""

    def __init__(self):
        self._lock = threading.Lock()
        self.now = self.most = self.done = 0

    def work(self, pause=0.0):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        if pause:
            time.sleep(pause)
        with self._lock:
            self.now -= 1
            self.done += 1

    async def work_async(self, pause):
        self.work()
        await asyncio.sleep(pause)


def stress(seconds: float, threads: int, seed: int) -> str:
    """Never more than the limit inside; every slot comes back; nobody waits without end."""
    bulkhead, inside, stop = Bulkhead(LIMIT, MAX_WAIT), Inside(), threading.Event()
    refused, cancelled = [0] * threads, [0] * threads

    def by_thread(number, executor):
        dice = random.Random(f"{seed} {number}")
        while not stop.is_set():
            pause = 0.001 if dice.random() < 0.05 else 0.0
            try:
                if dice.random() < 0.01:
                    bulkhead.submit(executor, inside.work, pause)
                elif dice.random() < 0.5:
                    bulkhead.call(inside.work, pause)
                else:
                    with bulkhead:
                        inside.work(pause)
            except BulkheadFullError:
                refused[number] += 1

    async def task(number, dice, executor):
        while not stop.is_set():
            try:
                async with asyncio.timeout(dice.choice((0.0, 0.0005, MAX_WAIT, 1.0))):
                    if dice.random() < 0.5:
                        await bulkhead.run(inside.work, 0.0005, executor=executor)
                    else:
                        await bulkhead.run(inside.work_async, 0.0002)
            except BulkheadFullError:
                refused[number] += 1
            except TimeoutError:
                cancelled[number] += 1

    def by_loop(number, executor):
        async def main():
            dices = [random.Random(f"{seed} {number} {n}") for n in range(4)]
            await asyncio.gather(*(task(number, dice, executor) for dice in dices))

        asyncio.run(main())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(2 * LIMIT) as executor:
            kinds = [by_loop if n % 4 == 3 else by_thread for n in range(threads)]
            callers = [
                threading.Thread(target=kind, args=(n, executor), daemon=True)
                for n, kind in enumerate(kinds)
            ]
            for one in callers:
                one.start()
            time.sleep(seconds)
            stop.set()
            for one in callers:
                one.join(60)
                assert not one.is_alive(), "a caller waits without end"
    finally:
        sys.setswitchinterval(interval)
    stats = bulkhead.stats()
    assert inside.most == LIMIT, f"{inside.most} inside"
    assert (stats.in_use, stats.waiting, inside.now) == (0, 0, 0), stats
    assert stats.entered >= inside.done > 0, (stats, inside.done)
    assert stats.rejected == sum(refused), (stats, sum(refused))
    return (
        f"{inside.done:,} calls, {stats.waited:,} from the line, {stats.rejected:,} refused, "
        f"{sum(cancelled):,} given up"
    )


def growth(operations: int) -> str:
    """So many calls, some of them refused, leave no object behind."""
    bulkhead = Bulkhead(1, 0)

    def refused():
        try:
            bulkhead.call(int)
        except BulkheadFullError:
            return

    def some(count):
        for number in range(count):
            if number % 1_000:
                bulkhead.call(int)
            else:
                bulkhead.call(refused)

    some(10_000)
    before = _objects()
    some(operations)
    grown = _objects() - before
    assert grown < 100, f"{grown} objects more"
    assert bulkhead.stats().in_use == 0
    return f"{operations:,} calls, {bulkhead.stats().rejected:,} refused, {grown:+d} objects"


def _objects():
    gc.collect()
    return len(gc.get_objects())
