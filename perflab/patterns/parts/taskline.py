"""Who waits for a task of a `WorkerPool`: threads in `result`, and callbacks."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from perflab.errors import require


def require_timeout(timeout: float | None) -> None:
    """Refuse what is neither None nor a number of seconds; 0 and less do not wait."""
    number = isinstance(timeout, int | float) and type(timeout) is not bool
    allowed = "None or a number of seconds"
    require(timeout is None or (number and timeout == timeout), "timeout", timeout, allowed)


class Line:
    """Those who wait for one task. `lock` guards both lists, and the change of state beside it.

    A lock for each task: with one for all, `wait` on tasks of two pools, which locks them in the
    order of their addresses, could wait for a thread that waits for it.
    """

    __slots__ = ("acquire", "callbacks", "lock", "release", "waiters")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.acquire, self.release = self.lock.acquire, self.lock.release
        self.waiters: list[Any] = []
        self.callbacks: list[Callable[[Future[Any]], object]] = []

    def __enter__(self) -> "Line":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Waiter:
    """One thread in `result`; the names are those that `concurrent.futures.wait` uses."""

    def __init__(self) -> None:
        self._ended = threading.Lock()
        self._ended.acquire()

    def add_result(self, future: Future[Any]) -> None:
        self._ended.release()

    add_exception = add_cancelled = add_result

    def wait(self, timeout: float | None) -> bool:
        longest = threading.TIMEOUT_MAX
        return self._ended.acquire(timeout=-1 if timeout is None else min(timeout, longest))
