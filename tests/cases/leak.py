"""Leak detectors: ours, the guide's two, and wrong ones."""

import math
from collections import deque

from perflab.contracts import leak as contract
from perflab.contracts.leak import by_floor, by_lines, by_warnings
from perflab.guide.leak import MemoryLeakDetector, monitor_memory
from perflab.measure import LeakDetector
from perflab.measure.leak import IN_A_ROW

CONTRACT = contract
NONSENSE = {
    "LeakDetector(window)": (
        LeakDetector,
        [None, "x", 0, -1, True, math.nan, math.inf, 10**400, []],
    ),
    "LeakDetector(least)": (
        lambda bad: LeakDetector(least=bad),
        [None, "x", -1, 1.5, True, math.nan],
    ),
    "LeakDetector.add(seconds)": (
        lambda bad: LeakDetector().add(bad, 1),
        [None, "x", math.nan, math.inf, True, []],
    ),
    "LeakDetector.add(size)": (
        lambda bad: LeakDetector().add(0, bad),
        [None, "x", -1, 1.5, True, math.nan],
    ),
}


class TheLatest(LeakDetector):
    """Takes the last look of a block for its floor, garbage included."""

    def add(self, seconds, size):
        leaking = super().add(seconds, size)
        self._floor = size
        return leaking


class NeverForgets(LeakDetector):
    """Its window begins with the process."""

    def __init__(self):
        super().__init__()
        self._floors = deque()


class EndMinusBeginning(LeakDetector):
    """A window that ends higher than it began has grown; how it came there is all the same."""

    def _begin(self, block, size):
        super()._begin(block, size)
        full = len(self._floors) == self._floors.maxlen
        grown = full and self._floors[-1] - self._floors[0] >= 5_000_000
        self._agreed = IN_A_ROW if grown else 0


SLOW = "a leak of 8 MB an hour is told within three hours, not ten"
LATE = "a leak that begins after four quiet hours is told within three"
BESIDE = "a leak beside the heap is told"
WARM_UP = "a warm-up is no leak"
GARBAGE = "garbage that waits for its collection is no leak"
TABLE = "a table that is loaded once is no leak"
LARGE = "a program that needs 150 MB all the time has no leak"
ENDS = "when the growth has stopped, so does the alarm"
OF_A_LIMIT = {SLOW, LATE, BESIDE, WARM_UP, GARBAGE, TABLE, ENDS}

FAILS = [
    (by_floor(LeakDetector), set()),
    (by_warnings(MemoryLeakDetector), OF_A_LIMIT),
    (by_lines(monitor_memory), OF_A_LIMIT | {LARGE}),
    (by_floor(TheLatest), {SLOW, LATE, BESIDE}),
    (by_floor(NeverForgets), {LATE}),
    (by_floor(EndMinusBeginning), {WARM_UP, TABLE, GARBAGE}),
]
