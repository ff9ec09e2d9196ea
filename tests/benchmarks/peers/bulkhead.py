"""Bulkheads: what a free slot costs a call of a function that does nothing.

Peers have as many slots as threads call, so that nobody waits. A semaphore counts nothing and is
not fair. A block of ours is two calls of Python, entering and leaving; `call` is one.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from perflab.patterns import Bulkhead
from tests.benchmarks.racing import Race

SLOTS = 8


def nothing() -> None:
    """What is called in the slot."""


def calls(guarded: Callable[[], object]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n):
            guarded()

    return run


def called_by(bulkhead: Bulkhead) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n):
            bulkhead.call(nothing)

    return run


def blocks(slots: AbstractContextManager[Any]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n):
            with slots:
                nothing()

    return run


def nopanic() -> Callable[[int], None]:
    from nopanic import bulkhead

    return calls(bulkhead(SLOTS)(nothing))


def pyresilience() -> Callable[[int], None]:
    from pyresilience import BulkheadConfig, resilient

    return calls(resilient(bulkhead=BulkheadConfig(max_concurrent=SLOTS))(nothing))


RACES = [
    Race(
        "a call in a slot",
        {
            "ours": lambda: called_by(Bulkhead(SLOTS)),
            "BoundedSemaphore": lambda: blocks(threading.BoundedSemaphore(SLOTS)),
            "nopanic": nopanic,
            "pyresilience": pyresilience,
        },
        {"BoundedSemaphore": 7},
        idle_bytes=lambda: Bulkhead(SLOTS),
    ),
    Race(
        "a block in a slot",
        {
            "ours": lambda: blocks(Bulkhead(SLOTS)),
            "BoundedSemaphore": lambda: blocks(threading.BoundedSemaphore(SLOTS)),
        },
        {},
    ),
]
