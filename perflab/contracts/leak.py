"""What must hold of a leak detector: it tells leaks, soon, and nothing else.

Under test is a function `detector(looks)`, given what a process held at each look of a day; it
returns the times, in seconds, of the looks at which it said that there is a leak. `by_warnings`
makes one of a class like the guide's from Node, `by_lines` of a function like the guide's from
Go, `by_floor` of a class like LeakDetector.

The series are drawn from seeds: garbage rises and is collected, on top of what is really held.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from perflab.contracts.core import Evidence, check

MB = 1_000_000
LOOK = 30.0  # seconds
HOUR = 3600.0
SEEDS = range(3)


@dataclass(frozen=True)
class Look:
    """What a process held at one moment."""

    seconds: float
    heap_used: int  # bytes
    rss: int  # resident bytes: the heap and everything beside it

    @property
    def alloc(self) -> int:
        """Go's name for what is on the heap."""
        return self.heap_used


Detector = Callable[[Sequence[Look]], list[float]]


def by_warnings(detector: Callable[..., Any]) -> Detector:
    """Of a class made with (memory_usage, warn) and asked by `check_memory_usage()`."""

    def told(looks: Sequence[Look]) -> list[float]:
        process = _Process(looks)
        watching = detector(process.usage, process.alarm)
        for _ in process.ticks():
            watching.check_memory_usage()
        return process.alarms

    return told


def by_lines(monitor: Callable[..., object]) -> Detector:
    """Of a function of (ticker, read_mem_stats, log) that logs once for each alarm."""

    def told(looks: Sequence[Look]) -> list[float]:
        process = _Process(looks)
        monitor(process.ticks(), process.usage, process.alarm)
        return process.alarms

    return told


class _Process:
    """What a detector watches: its memory at the present look, and the alarms about it."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self._looks = looks
        self._now = looks[0]
        self.alarms: list[float] = []

    def ticks(self) -> Iterator[None]:
        for look in self._looks[1:]:
            self._now = look
            yield None

    def usage(self) -> Look:
        return self._now

    def alarm(self, *_: object) -> None:
        self.alarms.append(self._now.seconds)


def by_floor(detector: Callable[[], Any]) -> Detector:
    """Of a class whose `add(seconds, size)` is true while there is a leak."""

    def told(looks: Sequence[Look]) -> list[float]:
        watching = detector()
        return [look.seconds for look in looks if watching.add(look.seconds, look.rss)]

    return told


def day(
    seed: int,
    hours: float,
    held: Callable[[float], float],
    *,
    garbage: float = 20.0,
    beside: Callable[[float], float] = lambda hour: 0.0,
) -> list[Look]:
    """Looks at a process that holds `held(hour)` MB, and `beside(hour)` MB that are not heap.

    Garbage piles up on the heap and is collected whenever it comes to some `garbage` MB, every
    two to four minutes.
    """
    rng = random.Random(seed)
    rate = garbage / rng.uniform(4, 8)  # MB between two looks
    looks, waiting = [], 0.0
    for n in range(round(hours * HOUR / LOOK)):
        seconds = n * LOOK
        heap = held(seconds / HOUR) + waiting + rng.gauss(0, 0.2)
        other = 25 + beside(seconds / HOUR) + rng.gauss(0, 0.1)
        looks.append(Look(seconds, round(heap * MB), round((heap + other) * MB)))
        waiting += rate * rng.uniform(0.5, 1.5)
        if waiting >= garbage:
            waiting = rate * rng.random()  # what has piled up since the collection
    return looks


def _told(
    detector: Detector, within: float, series: Callable[[int, bool], list[Look]], begins: float = 0
) -> Evidence:
    """A leak from hour `begins` on is told no sooner, and within so many hours of it.

    `series` is drawn from a seed with and without its leak: who sees one in both has not seen it.
    """
    first = [
        math.inf if detector(series(seed, False)) else _first(detector, series(seed, True), begins)
        for seed in SEEDS
    ]
    right = sum(0 < hours <= within for hours in first)
    worst = max(first)
    when = f"the latest after {worst:.1f} h" if worst < math.inf else "not told in all"
    return Evidence(right == len(SEEDS), f"{right} of {len(SEEDS)} in time, {when}")


def _first(detector: Detector, looks: list[Look], begins: float) -> float:
    """Hours from the beginning of the leak to the first alarm; infinite where there is none."""
    return min(detector(looks), default=math.inf) / HOUR - begins


def _silent(detector: Detector, series: Callable[[int], list[Look]]) -> Evidence:
    alarms = [len(detector(series(seed))) for seed in SEEDS]
    return Evidence(not any(alarms), f"{sum(alarms):,} false alarms in {len(SEEDS)} series")


# ── Leaks


def _steady(rate: float, hours: float, begins: float = 0) -> Callable[[int, bool], list[Look]]:
    """`rate` MB an hour from hour `begins` on, or none."""

    def series(seed: int, leaks: bool) -> list[Look]:
        return day(seed, hours, lambda hour: 30 + leaks * rate * max(0.0, hour - begins))

    return series


@check(
    "a leak of 60 MB an hour is told within three hours",
    "Compare what is held with what was held before, again and again.",
)
def fast(detector: Detector) -> Evidence:
    return _told(detector, 3, _steady(60, hours=6))


@check(
    "a leak of 8 MB an hour is told within three hours, not ten",
    "A limit waits until the leak has grown to it. Growth shows much sooner: look whether the "
    "floor of what is held rises and rises.",
)
def slow(detector: Detector) -> Evidence:
    return _told(detector, 3, _steady(8, hours=14))


@check(
    "a leak that begins after four quiet hours is told within three",
    "Old looks say nothing about now. Look at a window that moves with the time.",
)
def late(detector: Detector) -> Evidence:
    """15 MB an hour."""
    return _told(detector, 3, _steady(15, hours=10, begins=4), begins=4)


@check(
    "a leak beside the heap is told",
    "Buffers and C libraries do not show on the heap. Look at the process's resident memory.",
)
def off_heap(detector: Detector) -> Evidence:
    def series(seed: int, leaks: bool) -> list[Look]:
        return day(seed, 6, lambda hour: 30, beside=lambda hour: 30 * hour * leaks)

    return _told(detector, 3, series)


# ── No leaks


@check(
    "a warm-up is no leak",
    "A cache fills, fast and then ever slower. What rises for good rises in the newer half of a "
    "window as it did in the older.",
)
def warm_up(detector: Detector) -> Evidence:
    """Another 200 MB, two thirds of them after 20 minutes."""
    return _silent(detector, lambda seed: day(seed, 6, lambda h: 30 + 200 * (1 - math.exp(-3 * h))))


@check(
    "garbage that waits for its collection is no leak",
    "What is held now may be gone at the next collection. Take the least of several looks.",
)
def saw_tooth(detector: Detector) -> Evidence:
    return _silent(detector, lambda seed: day(seed, 6, lambda hour: 30, garbage=150))


@check(
    "a table that is loaded once is no leak",
    "One step up is no growth: ask that each half of the window rises.",
)
def level_shift(detector: Detector) -> Evidence:
    """150 MB more, at another moment of the window for each seed."""

    return _silent(
        detector, lambda seed: day(seed, 6, lambda hour: 30 + 150 * (hour > 3 + seed * 0.63))
    )


@check(
    "a program that needs 150 MB all the time has no leak",
    "How much is held says nothing about whether it grows.",
)
def large(detector: Detector) -> Evidence:
    return _silent(detector, lambda seed: day(seed, 12, lambda hour: 150))


@check(
    "memory that is given back is no leak",
    "Growth is the end of a window minus its beginning, with its sign.",
)
def shrinks(detector: Detector) -> Evidence:
    return _silent(detector, lambda seed: day(seed, 6, lambda hour: 95 - 10 * hour, garbage=4))


@check(
    "when the growth has stopped, so does the alarm",
    "Compare with what was held a while ago, not with what was held at the start.",
)
def ends(detector: Detector) -> Evidence:
    """It leaks for four hours; after two more nothing may be said."""
    late = 0
    for seed in SEEDS:
        times = detector(day(seed, 8, lambda hour: 30 + 60 * min(hour, 4)))
        late += sum(seconds > 6 * HOUR for seconds in times)
    return Evidence(late == 0, f"{late:,} alarms later than two hours after its end")
