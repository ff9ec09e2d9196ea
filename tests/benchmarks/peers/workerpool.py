"""Worker pools: what it costs to have a call of nothing done by a pool of four threads.

`submit` is a burst of tasks of which the last is waited for; `round trip` waits for each, which
costs two changes of thread whoever makes them; `map of 100` is a map of a hundred calls in chunks
of 7, which is what ThreadPool.map takes for so many. Long maps of calls that do nothing are no
race: there ours is as fast as ThreadPool.map within a fifth, and lazy.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

from perflab.patterns import WorkerPool
from tests.benchmarks.racing import Race, Run

WORKERS = 4
ENOUGH = 1_000_000  # room for every burst: the peers' queues have no bound
ITEMS, CHUNK = 100, 7


def nothing() -> None:
    """The call."""


def same(value: int) -> int:
    return value


def burst(submit: Callable[..., Any], result: str) -> Run:
    def run(n: int) -> None:
        for _ in range(n - 1):
            submit(nothing)
        getattr(submit(nothing), result)()

    return run


def round_trips(submit: Callable[..., Any], result: str) -> Run:
    def run(n: int) -> None:
        for _ in range(n):
            getattr(submit(nothing), result)()

    return run


def mapping(mapped: Callable[..., Any]) -> Run:
    def run(n: int) -> None:
        for _ in range(n):
            deque(mapped(same, range(ITEMS), chunksize=CHUNK), maxlen=0)

    return run


def closing(run: Any, close: Callable[[], object]) -> Run:
    run(100)  # its threads are up and warm before the race looks how fast it is
    run.close = close
    return run  # type: ignore[no-any-return]  # a Run, to which `close` was added


def ours(shape: Callable[..., Run], method: str = "submit", *more: str) -> Callable[[], Run]:
    def make() -> Run:
        pool = WorkerPool(WORKERS, ENOUGH)
        return closing(shape(getattr(pool, method), *more), pool.stop)

    return make


def executor(shape: Callable[..., Run]) -> Callable[[], Run]:
    def make() -> Run:
        pool = ThreadPoolExecutor(WORKERS)
        return closing(shape(pool.submit, "result"), pool.shutdown)

    return make


def thread_pool(shape: Callable[..., Run], method: str, *more: str) -> Callable[[], Run]:
    def make() -> Run:
        pool = ThreadPool(WORKERS)
        return closing(shape(getattr(pool, method), *more), pool.terminate)

    return make


RACES = [
    Race(
        "submit",
        {
            "ours": ours(burst, "submit", "result"),
            "ThreadPoolExecutor": executor(burst),
            "ThreadPool": thread_pool(burst, "apply_async", "get"),
        },
        {"ThreadPoolExecutor": 7},
        idle_bytes=lambda: WorkerPool(1, ENOUGH),
    ),
    Race(
        "round trip",
        {
            "ours": ours(round_trips, "submit", "result"),
            "ThreadPoolExecutor": executor(round_trips),
            "ThreadPool": thread_pool(round_trips, "apply_async", "get"),
        },
        {"ThreadPoolExecutor": 0.91},  # ours takes at most 1.1 times as long
    ),
    Race(
        "map of 100",
        {
            "ours": ours(mapping, "map"),
            "ThreadPool": thread_pool(mapping, "map"),
            "ThreadPool.imap": thread_pool(mapping, "imap"),
        },
        {"ThreadPool": 1.3},
    ),
]
