"""Worker pools under fire: nothing lost, nothing twice, the queue never over its size."""

import contextlib
import gc
import random
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError

from perflab.contracts.threads import Running
from perflab.errors import StoppedError
from perflab.patterns import WorkerPool
from perflab.patterns.parts.task import LockedTask

PATIENCE = 60.0  # seconds for what takes milliseconds


class WithoutGil(WorkerPool):
    """Ours as it is where the interpreter has no lock of its own."""

    _task = LockedTask


class Life:
    """One pool from its making to its stop, with submitters that also cancel, nest and map.

    State, guarded by `lock`: `ran`, how often each call was run; `taken`, `cancelled`, the calls
    that submit took and cancel was told it had.
    """

    def __init__(self, rng: random.Random) -> None:
        kind = rng.choice((WorkerPool, WithoutGil))
        self.workers, self.size = rng.randint(1, 8), rng.randint(1, 20)
        self.pool = kind(self.workers, self.size)
        self.lock = threading.Lock()
        self.ran: Counter[object] = Counter()
        self.taken: set[object] = set()
        self.cancelled: set[object] = set()

    def call(self, name: object, rng: random.Random) -> object:
        with self.lock:
            self.ran[name] += 1
        if rng.random() < 0.05:
            raise SystemExit(name) if rng.random() < 0.5 else ValueError(name)
        if rng.random() < 0.05 and isinstance(name, int):
            assert self.submit((name, "child"), rng).result() == (name, "child")
        return name

    def submit(self, name: object, rng: random.Random):
        task = self.pool.submit(self.call, name, random.Random(rng.random()))
        with self.lock:
            self.taken.add(name)
        return task

    def submitter(self, names: range, rng: random.Random, end: float) -> None:
        for name in names:
            if time.monotonic() > end:
                return
            try:
                task = self.submit(name, rng)
            except StoppedError:
                return
            if rng.random() < 0.1 and task.cancel():
                with self.lock:
                    self.cancelled.add(name)
            elif rng.random() < 0.1:
                task.exception(PATIENCE) if not task.cancelled() else None
            assert self.pool.stats().running <= self.workers

    def stop(self, rng: random.Random) -> int:
        """Stop it in the middle of everything; the number of calls handed back."""
        drain = rng.random() < 0.5
        back = self.pool.stop(drain=drain)
        assert not (drain and back)
        return len(back)


def one_life(seed: int, threads: int, seconds: float) -> int:
    rng = random.Random(seed)
    life = Life(rng)
    end = time.monotonic() + seconds
    submitters = [
        Running(
            lambda n=n: life.submitter(
                range(n * 10**6, (n + 1) * 10**6), random.Random(seed + n), end + seconds
            )
        )
        for n in range(threads)
    ]
    time.sleep(rng.random() * seconds)  # stop amidst, not at an agreed moment
    back = Running(lambda: life.stop(rng)).result(PATIENCE)
    for submitter in submitters:
        with contextlib.suppress(CancelledError):  # what it waited for was handed back
            submitter.result(PATIENCE)
    stats = life.pool.stats()
    assert max(life.ran.values(), default=1) == 1, "a call was run twice"
    assert not life.cancelled & set(life.ran), "a call was run and cancelled"
    gone = len(life.taken) - len(life.taken & set(life.ran)) - len(life.cancelled)
    assert gone <= back, f"{gone} calls neither run nor cancelled, {back} handed back"
    assert back <= gone + len(life.cancelled), "a call was run and handed back"
    assert stats.finished == len(life.ran), f"{stats} but {len(life.ran)} run"
    assert stats.queued == stats.running == 0, stats
    return len(life.taken)


def stress(seconds: float, threads: int, seed: int) -> str:
    """Pools of all sizes, one after the other, each stopped while everybody submits."""
    end, lives, calls = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        calls += one_life(seed + 1000 * lives, threads, min(0.5, seconds / 4))
        lives += 1
    return f"{lives} pools stopped in the middle of {calls:,} calls, each run, cancelled or back"


def growth(operations: int) -> str:
    """So many calls through one pool, and it holds no more than before."""
    with WorkerPool(4, 100) as pool:

        def through(count: int) -> int:
            for _ in pool.map(abs, range(count), chunksize=1):
                pass
            gc.collect()
            return len(gc.get_objects())

        before = through(10_000)
        after = through(operations)
    assert after - before < 100, f"{after - before} objects more"
    return f"{operations:,} calls, {after - before} objects more"
