"""String interners: a thousand strings of a hundred values, all known.

The goals are shares of what `sys.intern` takes, which is one call of C without bound or count: a
goal of 0.5 is «at most twice as long». A locked interner is a dict behind a lock, as most write it.
"""

import sys
import threading
from collections.abc import Callable

from perflab.patterns.interner import StringInterner
from tests.benchmarks.racing import Race

STRINGS = [f"value {number % 100}" for number in range(1_000)]
BATCH = len(STRINGS)


class Locked:
    """Its state, guarded by `_lock`: `_strings` by themselves, and `hits`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._strings: dict[str, str] = {}
        self.hits = 0

    def intern(self, text: str) -> str:
        with self._lock:
            known = self._strings.get(text)
            if known is None:
                known = self._strings[text] = text
            else:
                self.hits += 1
            return known


def one_by_one(intern: Callable[[str], str]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n // BATCH):
            for text in STRINGS:
                intern(text)
        for text in STRINGS[: n % BATCH]:
            intern(text)

    return run


def in_batches(intern_many: Callable[[list[str]], object]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n // BATCH):
            intern_many(STRINGS)
        intern_many(STRINGS[: n % BATCH])

    return run


def uncounted() -> StringInterner:
    return StringInterner(count_hits=False)


RACES = [
    Race(
        "a known string",
        {
            "ours": lambda: one_by_one(uncounted().intern),
            "sys.intern": lambda: one_by_one(sys.intern),
            "dict and lock": lambda: one_by_one(Locked().intern),
        },
        {"sys.intern": 1 / 1.25, "dict and lock": (5, 25)},
        idle_bytes=uncounted,
        sample=0.1,  # threads that wait for one lock line up only after some thread switches
    ),
    Race(
        "a known string, counted",
        {
            "ours": lambda: one_by_one(StringInterner().intern),
            "ours, bounded": lambda: one_by_one(StringInterner(1_000).intern),
            "sys.intern": lambda: one_by_one(sys.intern),
            "dict and lock": lambda: one_by_one(Locked().intern),
        },
        {"sys.intern": 1 / 2, "dict and lock": (5, 25)},
        idle_bytes=StringInterner,
        sample=0.1,  # as above
    ),
    Race(
        "a thousand at once",
        {
            "ours": lambda: in_batches(uncounted().intern_many),
            "sys.intern": lambda: in_batches(lambda texts: list(map(sys.intern, texts))),
        },
        {"sys.intern": 1.1},
    ),
    Race(
        "a thousand at once, counted",
        {
            "ours": lambda: in_batches(StringInterner().intern_many),
            "sys.intern": lambda: in_batches(lambda texts: list(map(sys.intern, texts))),
        },
        {},
    ),
]
