"""Compare functions by taking turns, so that the machine's moods cannot pass for a difference.

Why it may be believed: the variants run in rounds, in an order drawn anew for each round. If two
of them cost the same, whichever goes first meets whatever the machine does first, so the sign of
the logarithm of their ratio is a fair coin in every round, under drift, bursts and autocorrelation
alike. That is all the signed-rank interval assumes (perflab.measure.signed_rank): it is exact here
without taking rounds for independent, as a bootstrap would.
"""

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from perflab.errors import is_number, is_whole, require
from perflab.measure.machine import Machine
from perflab.measure.memory import Allocations, allocations
from perflab.measure.rounds import Clock, Function, Rounds, collector_set_aside
from perflab.measure.signed_rank import hodges_lehmann

if TYPE_CHECKING:
    import pandas as pd

ERROR = 0.01  # the most that one comparison errs, over all its looks and all its variants
LOOKS = (0.25, 0.5, 1.0)  # shares of the budget after which the intervals are looked at
SAME = 0.03  # a ratio within 1 ± this is no difference

Verdict = Literal["baseline", "faster", "slower", "same", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Effect:
    """A variant's time per call ÷ the baseline's."""

    ratio: float  # Hodges–Lehmann estimate over the rounds
    low: float  # lower end of its interval; 0 where too few rounds allow none
    high: float  # upper end of its interval; infinity where too few rounds allow none

    @property
    def verdict(self) -> Verdict:
        """What the interval says.

        1. Within 1 ± 3 %: «same», also where it does not contain 1.
        2. On one side of 1: «faster» or «slower».
        3. Neither: «inconclusive».
        """
        if self.low >= 1 - SAME and self.high <= 1 + SAME:
            return "same"
        if self.high < 1:
            return "faster"
        return "slower" if self.low > 1 else "inconclusive"


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant of a comparison: what it was called, what it cost, what it did to memory."""

    name: str
    seconds: float  # per call, median over the rounds
    ratio: float  # as in Effect; 1 for the baseline
    low: float
    high: float
    verdict: Verdict  # as in Effect; «baseline» for the first variant
    calls: int  # per sample
    collections: int  # runs of the garbage collector during its samples, all generations
    peak_bytes: int  # most allocated at one moment of one more call, which is not timed
    held_blocks: int  # blocks that this call's result holds


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found; the first variant is the baseline of all others."""

    variants: tuple[Variant, ...]  # in the order given
    seconds: NDArray[np.float64]  # per call; a row a round, a column a variant
    looks: int  # how often the intervals were looked at
    machine: Machine

    @property
    def names(self) -> tuple[str, ...]:
        """The variants' names, the baseline's first."""
        return tuple(variant.name for variant in self.variants)

    @property
    def rounds(self) -> int:
        """How often each variant had its turn."""
        return len(self.seconds)

    @property
    def other(self) -> Variant:
        """The variant that was compared with the baseline, where it is the only one."""
        require(len(self.variants) == 2, "names", self.names, "two for .other; else use [name]")
        return self.variants[1]

    def __getitem__(self, name: str) -> Variant:
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(f"{name!r} is none of {', '.join(self.names)}")

    def to_frame(self) -> "pd.DataFrame":
        """A row a variant, by name; the columns are Variant's other fields."""
        import pandas as pd  # a measuring child that needs no table does not pay for pandas

        columns = [field.name for field in fields(Variant)]
        rows = [[getattr(variant, column) for column in columns] for variant in self.variants]
        return pd.DataFrame(rows, columns=columns).set_index("name")

    def __str__(self) -> str:
        width = max(map(len, self.names))
        lines = [_line(variant, width) for variant in self.variants]
        looks = "1 look" if self.looks == 1 else f"{self.looks} looks"
        lines.append(f"{self.rounds} rounds, {looks}, {self.machine.label}")
        return "\n".join(lines)


def _line(variant: Variant, width: int) -> str:
    units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]
    size, unit = next((u for u in units if variant.seconds >= u[0]), units[-1])
    interval = f"{variant.ratio:.3f} ({variant.low:.3f}–{variant.high:.3f})"
    effect = "1" if variant.verdict == "baseline" else interval
    memory = f"{variant.peak_bytes:>11,} B peak  {variant.held_blocks:>8,} blocks held"
    return (
        f"{variant.name:<{width}}  {variant.seconds / size:5.4g} {unit:<2}  {effect:<21}"
        f"  {variant.verdict:<12}  {memory}  {variant.collections:>4,} collections"
    )


def compare(
    variants: Mapping[str, Function],
    budget_s: float = 2.0,
    *,
    clock: Clock = time.perf_counter,
    seed: int | None = None,
) -> Comparison:
    """Time `variants` by turns for at most some `budget_s` seconds; the first is the baseline.

    Each is warmed up, then timed in samples of at least 0.2 ms: the same number of calls for all,
    but more for one so fast that its samples would fall below 20 µs. Garbage is collected before
    each sample, and what was alive before is frozen, so that the collector, left on, costs each
    variant only what that variant leaves behind (and nothing if its sample ends before the
    collector would run). The loop's own 10–20 ns a call are not subtracted: they pull the ratio of
    tiny functions towards 1. Memory is measured after the timing, in a call of its own
    (perflab.measure.memory.allocations).

    Three planned looks, after a quarter, a half and the whole of the budget, share an error of
    1 %; the first that gives each variant a verdict ends the comparison. When a look comes does
    not depend on who won which round, so that an early look cannot favour a difference. The
    budget is kept, but for the round that has begun: fewer than 10 rounds (11 with two or three
    variants beside the baseline) allow no interval at this level and leave it «inconclusive».

    `seed` fixes the order of the turns. ValueError for fewer than two variants, one that cannot
    be called, a budget that is no number > 0, a clock that stands still. Whatever a variant
    raises comes through, with the collector as it was.
    """
    _check(variants, budget_s, clock, seed)
    with collector_set_aside():
        rounds = Rounds(list(variants.values()), budget_s, clock, random.Random(seed))
        rounds.calibrate()
        looks, effects = _look(rounds)
        # Still set aside: allocations() collects several times, each over the whole heap else.
        memory = [allocations(function) for function in variants.values()]
    seconds = np.array(rounds.table)
    found = tuple(
        _variant(name, column, seconds, effects, rounds, memory[column])
        for column, name in enumerate(variants)
    )
    return Comparison(found, seconds, looks, Machine.here())


def _look(rounds: Rounds) -> tuple[int, list[Effect]]:
    """Add rounds and look at the effects until all are clear; the number of looks it took."""
    effects: list[Effect] = []
    for looks, share in enumerate(LOOKS, start=1):
        rounds.run_until(share)
        effects = effects_of(np.array(rounds.table))
        if all(effect.verdict != "inconclusive" for effect in effects):
            return looks, effects
    return len(LOOKS), effects


def effects_of(seconds: NDArray[np.float64]) -> list[Effect]:
    """The effect of each column (seconds, a row a round) but the first, which is the baseline."""
    ratios = np.log(seconds[:, 1:]) - np.log(seconds[:, :1])
    level = ERROR / len(LOOKS) / ratios.shape[1]
    shifts = [hodges_lehmann(column, level) for column in ratios.T]
    return [
        Effect(math.exp(shift.estimate), math.exp(shift.low), math.exp(shift.high))
        for shift in shifts
    ]


def _variant(
    name: str,
    column: int,
    seconds: NDArray[np.float64],
    effects: list[Effect],
    rounds: Rounds,
    memory: Allocations,
) -> Variant:
    effect = effects[column - 1] if column else Effect(1.0, 1.0, 1.0)
    return Variant(
        name,
        float(np.median(seconds[:, column])),
        effect.ratio,
        effect.low,
        effect.high,
        effect.verdict if column else "baseline",
        rounds.calls[column],
        rounds.collections[column],
        memory.peak_bytes,
        memory.held_blocks,
    )


def _check(variants: Mapping[str, Function], budget_s: float, clock: Clock, seed: object) -> None:
    require(isinstance(variants, Mapping), "variants", variants, "a mapping of name to function")
    require(
        len(variants) >= 2, "variants", list(variants), "at least two: the first is the baseline"
    )
    for name, function in variants.items():
        require(isinstance(name, str) and name != "", "variants", name, "named by strings")
        require(callable(function), f"variants[{name!r}]", function, "a function without arguments")
    require(
        is_number(budget_s) and 0 < budget_s < 1e9,
        "budget_s",
        budget_s,
        "seconds > 0, below a billion",
    )
    require(callable(clock), "clock", clock, "a function that returns seconds")
    whole = seed is None or is_whole(seed)
    require(whole, "seed", seed, "a whole number or None")
