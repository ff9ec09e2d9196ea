"""Time functions in rounds: each has one turn a round, in an order drawn anew."""

import gc
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat

from perflab.errors import require
from perflab.measure.machine import clock_resolution

# Seconds that a sample of the slowest function takes at least. Beside busy neighbours short samples
# are the better ones, as they end before they come: of 60 true differences of 5 %, replayed from a
# recorded machine, samples of 0.4 ms found 58 and samples of 1.2 ms 33 in the same time.
SAMPLE = 0.2e-3
SHORTEST = 20e-6  # seconds below which no sample may be, so that calling the clock is nothing
RESOLUTIONS = 200  # steps of the clock below which no sample may be
ROUNDS_MAX = 5000  # more narrows an interval no longer to any use

Function = Callable[[], object]
Clock = Callable[[], float]


class Rounds:
    """A growing table of samples.

    State: `table`, a row of seconds per call for each round so far; `calls` a sample, set once by
    `calibrate`; `collections` that ran during each function's samples; `_begin`, when the budget
    began to run.
    """

    def __init__(
        self, functions: list[Function], budget_s: float, clock: Clock, rng: random.Random
    ) -> None:
        self.table: list[list[float]] = []
        self.calls: list[int] = []
        self.collections = [0] * len(functions)
        self._functions = functions
        self._budget = budget_s
        self._clock = clock
        self._rng = rng
        self._begin = clock()

    def calibrate(self) -> None:
        """Warm up, and fix the calls a sample.

        A long budget buys longer samples rather than more rounds.
        """
        shortest = max(SHORTEST, RESOLUTIONS * clock_resolution(self._clock))
        target = max(SAMPLE, shortest, self._budget / len(self._functions) / ROUNDS_MAX)
        calls = [self._enough(function, target) for function in self._functions]
        # The lesser of two samples, by turns: a long interruption slows one of them, not all.
        trials = [list(map(self._time, self._functions, calls)) for _ in range(2)]
        costs = [min(times) / n for *times, n in zip(*trials, calls, strict=True)]
        equal = math.ceil(target / max(costs))
        # The same for all, so that two equal functions are treated alike to the last call; unless
        # one is so much faster than the slowest that its sample would be too short.
        self.calls = [
            equal if equal * cost >= shortest else math.ceil(target / cost) for cost in costs
        ]

    def run_until(self, share: float) -> None:
        """Add rounds until this share of the budget is spent; one at least when there is none."""
        end = self._begin + share * self._budget
        while not self.table or (self._clock() < end and len(self.table) < ROUNDS_MAX):
            self._add()

    def _add(self) -> None:
        row = [0.0] * len(self._functions)
        for turn in self._rng.sample(range(len(row)), len(row)):
            gc.enable()  # whatever the one before has done to it
            gc.collect()  # nor does it pay for what the one before has left
            before = _collections()
            elapsed = self._time(self._functions[turn], self.calls[turn])
            self.collections[turn] += _collections() - before
            require(elapsed > 0, "clock", self._clock, "one that runs on")
            row[turn] = elapsed / self.calls[turn]
        self.table.append(row)

    def _enough(self, function: Function, target: float) -> int:
        """So many calls, a power of two, take the time of a sample; the first ones warm it up."""
        calls, before = 1, 0.0
        while (elapsed := self._time(function, calls)) < target:
            # Ever the same time, 0 or not, for ever more calls: it does not tell the time.
            moves = not math.isclose(elapsed, before, rel_tol=1e-9) or calls < 1 << 20
            require(moves, "clock", self._clock, "one that runs on")
            calls, before = 2 * calls, elapsed
        return calls

    def _time(self, function: Function, calls: int) -> float:
        clock = self._clock
        begin = clock()
        for _ in repeat(None, calls):
            function()
        return clock() - begin


def _collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


@contextmanager
def collector_set_aside() -> Iterator[None]:
    """Freeze what is alive, so that a collection looks only at what comes after; then undo it.

    Where the caller has frozen objects of its own they cannot be told from ours afterwards:
    nothing is frozen then, and collections are merely slower.
    """
    enabled = gc.isenabled()
    ours = gc.get_freeze_count() == 0
    if ours:
        gc.freeze()
    try:
        yield
    finally:
        if ours:
            gc.unfreeze()
        if enabled:
            gc.enable()
        else:
            gc.disable()
