"""Load on a pool of connections: callers in threads, each with one statement at a time."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from perflab.errors import require

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PoolLoad:
    """What callers of a pool saw. Times in seconds, an entry a statement; memory in bytes."""

    seconds: float
    response_time: Floats  # from asking the pool to the answer
    statement_time: Floats  # the statement alone, with a connection in hand
    memory: int  # that the server's processes hold for themselves, at the end

    @property
    def throughput(self) -> float:
        return len(self.response_time) / self.seconds


def load_pool(
    pool: Any,
    statement: Callable[[Any], Any],
    pid: int,
    users: int = 50,
    seconds: float = 1.0,
    warm_up: float = 0.2,
) -> PoolLoad:
    """`users` callers without think time, each `with pool.acquire() as c: statement(c)`.

    `pid` is the database server's. What a statement raises ends its caller and comes through; what
    is asked for in the first `warm_up` seconds, while connections open, does not count.
    """
    require(users >= 1, "users", users, "at least 1")
    require(seconds > 0, "seconds", seconds, "more than 0")
    rows: list[tuple[float, float]] = []
    errors: list[BaseException] = []
    together = threading.Barrier(users + 1)

    def user() -> None:
        together.wait()
        counts = time.perf_counter() + warm_up
        until = counts + seconds
        try:
            while (began := time.perf_counter()) < until:
                with pool.acquire() as connection:
                    got = time.perf_counter()
                    statement(connection)
                    answered = time.perf_counter()
                if began >= counts:
                    rows.append((answered - began, answered - got))  # atomic: one append
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=user, daemon=True) for _ in range(users)]
    for thread in threads:
        thread.start()
    together.wait()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    table = np.array(rows).reshape(-1, 2)
    return PoolLoad(seconds, table[:, 0], table[:, 1], own_memory(pid))


def own_memory(pid: int) -> int:
    """Bytes that a server's backends hold each for itself: what they share is counted nowhere.

    Where the system does not tell (macOS, to other users than root), all that is resident in each.
    """
    total = 0
    for process in psutil.Process(pid).children():
        try:
            total += process.memory_full_info().uss
        except psutil.NoSuchProcess:  # it has just ended
            continue
        except psutil.AccessDenied:
            total += process.memory_info().rss
    return total
