"""Jobs for pools of every kind, and a clock around each.

In a module of its own, which imports the standard library alone: worker processes find their
functions by its name, and a sub-interpreter could not import numpy.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any

BLOCK = bytes(4_000_000)


def waits() -> None:
    """5 ms for an answer that somebody else computes."""
    time.sleep(0.005)


def computes() -> int:
    """Some milliseconds of Python."""
    total = 0
    for number in range(100_000):
        total += number * number
    return total


def hashes() -> bytes:
    """Some milliseconds in C that do without the interpreter's lock."""
    return hashlib.sha256(BLOCK).digest()


def waits_and_computes() -> None:
    """9 ms for an answer, and 1 ms of the processor."""
    time.sleep(0.009)
    uses_cpu(0.001)


def timed(job: Callable[[], object]) -> float:
    """How many seconds a call takes, where it runs."""
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin


def uses_cpu(seconds: float) -> None:
    """Compute in Python for so long, by this thread's own clock of the processor."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def small(item: Any) -> Any:
    """1 ms of work."""
    uses_cpu(0.001)
    return item


def large(item: Any) -> Any:
    """50 ms of work."""
    uses_cpu(0.050)
    return item


def same(item: Any) -> Any:
    """No work."""
    return item


class Step:
    """A stage's step, which waits so many seconds. State, under its lock: how many calls of it are
    under way, and how many were at most."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.most = seconds, 0, 0
        self._lock = threading.Lock()

    def __call__(self, item: Any) -> Any:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self._lock:
            self.now -= 1
        return item


def where(item: Any) -> tuple[Any, int]:
    """The item and the process that had it, after 20 ms."""
    time.sleep(0.02)
    return item, os.getpid()


def random_bytes(_: Any) -> bytes:
    """Others at each call."""
    return os.urandom(8)
