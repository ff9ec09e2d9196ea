"""A race: ours beside its peers in one process, by turns, on one thread and on several.

The turns, the interval and the collector are those of `perflab.measure.compare`; a sample is one
call of `run(n)`, on several threads one call in each of them between two barriers. `n` is each
contestant's own, so that every sample lasts about as long; what is compared is time per operation.
"""

import importlib.metadata
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from perflab.errors import require
from perflab.measure import Machine, allocations
from perflab.measure.compare import Effect, effects_of
from perflab.measure.rounds import Rounds, collector_set_aside

OURS = "ours"
FEWEST = 15  # rounds: with eight peers fewer allow no interval at compare's error
ALONE, CROWD = 0.01, 0.025  # seconds a sample; threads have to change places some times in one

Run = Callable[[int], object]


@dataclass(frozen=True)
class Race:
    """One question of speed, put to ours and to its peers.

    `work[name]()` builds a fresh thing and returns `run(n)`, which does n operations in a plain
    loop, of the same shape for all; several threads call the same `run` at once. It imports its
    peer itself: where that is not installed the peer is skipped. Where `run` has an attribute
    `close`, it is called at the end (`run.close = pool.stop`).
    """

    name: str
    work: Mapping[str, Callable[[], Run]]  # "ours" and the peers
    goals: Mapping[str, float | tuple[float, ...]]  # peer ÷ ours to reach; a tuple: as in `threads`
    threads: tuple[int, ...] = (1, 4)
    idle_bytes: Callable[[], object] | None = None  # makes one idle object of ours
    sample: float | None = None  # seconds that a sample lasts at least, where ALONE is too short

    def __post_init__(self) -> None:
        require(OURS in self.work, "work", list(self.work), f"with {OURS!r} in it")
        strangers = set(self.goals) - set(self.work)
        require(not strangers, "goals", sorted(strangers), "only of names in work")
        for goal in self.goals.values():
            fits = not isinstance(goal, tuple) or len(goal) == len(self.threads)
            require(fits, "goals", goal, "a number, or one for each of threads")

    def goal(self, peer: str, threads: int) -> float | None:
        """The ratio to reach against this peer on so many threads; None where none is set."""
        goal = self.goals.get(peer)
        return goal[self.threads.index(threads)] if isinstance(goal, tuple) else goal


@dataclass(frozen=True)
class Result:
    """One peer in one race on so many threads."""

    part: str  # the module that the race stands in
    race: str
    threads: int
    peer: str
    version: str  # of the peer's distribution; empty where none is called so
    ours_ns: float  # per operation, median: time on the wall ÷ operations of all threads
    peer_ns: float
    ratio: float  # peer ÷ ours: Hodges–Lehmann estimate over the rounds
    low: float  # ends of its interval, as compare gives it
    high: float
    goal: float | None
    idle_bytes: int | None  # of one idle object of ours
    rounds: int
    machine: str

    @property
    def verdict(self) -> str:
        """1. The whole interval reaches the goal: met. 2. None of it: MISSED. 3. Else unclear."""
        if self.goal is None:
            return ""
        if self.low >= self.goal:
            return "met"
        return "MISSED" if self.high < self.goal else "unclear"


class Crew:
    """Threads that do the same at the same time; `together(run, n)` returns when all are done.

    State: `_task`, the run and its n for the next turn, None to go home; written by the caller
    alone, while all threads stand before the first of the two barriers.
    """

    def __init__(self, size: int) -> None:
        self._task: tuple[Run, int] | None = None
        self._begin, self._end = threading.Barrier(size + 1), threading.Barrier(size + 1)
        self._errors: list[BaseException] = []
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()

    def together(self, run: Run, n: int) -> None:
        """`run(n)` in each thread; raises what one of them raised."""
        self._task = run, n
        self._begin.wait()
        self._end.wait()
        if self._errors:
            raise self._errors.pop()

    def go_home(self) -> None:
        self._task = None
        self._begin.wait()

    def _work(self) -> None:
        while True:
            self._begin.wait()
            if self._task is None:
                return
            run, n = self._task
            try:
                run(n)
            except BaseException as error:  # the caller's business
                self._errors.append(error)
            self._end.wait()


def compete(
    part: str, race: Race, seconds: float, tell: Callable[[str], None] = print
) -> Iterator[Result]:
    """Run a race for some `seconds` a thread count; a result for each peer that is there."""
    if race.idle_bytes is not None:
        race.idle_bytes()  # what only its first call allocates is not one object's
    idle = _weight(race.idle_bytes) if race.idle_bytes else None
    for threads in race.threads:
        runs = _build(race, tell)
        if len(runs) < 2:
            return
        sample = max(race.sample or 0.0, ALONE if threads == 1 else CROWD)
        costs, effects = _by_turns(runs, threads, seconds, sample)
        for column, (name, effect) in enumerate(zip(list(runs)[1:], effects, strict=True), 1):
            yield Result(
                part, race.name, threads, name, _version(name),
                1e9 * statistics.median(costs[:, 0]), 1e9 * statistics.median(costs[:, column]),
                effect.ratio, effect.low, effect.high, race.goal(name, threads), idle,
                len(costs), Machine.here().label,
            )  # fmt: skip


def _weight(make: Callable[[], object]) -> int:
    """Bytes of one idle object: of ten, for what is freed meanwhile by others counts against it."""
    return allocations(lambda: [make() for _ in range(10)]).held_bytes // 10


def _build(race: Race, tell: Callable[[str], None]) -> dict[str, Run]:
    """Every contestant that is installed, ours first."""
    runs = {OURS: race.work[OURS]()}
    for name, make in race.work.items():
        if name == OURS:
            continue
        try:
            runs[name] = make()
        except ImportError as error:
            tell(f"{race.name}: {name} is skipped, not installed here ({error})")
    return runs


def _by_turns(
    runs: dict[str, Run], threads: int, seconds: float, sample: float
) -> tuple[np.ndarray, list[Effect]]:
    """Seconds per operation, a row a round, a column a contestant; and each peer's effect."""
    crew = Crew(threads) if threads > 1 else None
    calls = [(lambda n, run=run: crew.together(run, n)) if crew else run for run in runs.values()]
    with collector_set_aside():
        sizes = [_enough(call, sample) for call in calls]
        samples = [lambda call=call, n=n: call(n) for call, n in zip(calls, sizes, strict=True)]
        rounds = Rounds(samples, seconds, time.perf_counter, random.Random())
        rounds.calibrate()
        share = 1.0
        while len(rounds.table) < FEWEST:
            rounds.run_until(share)
            share += 0.25
    if crew:
        crew.go_home()
    for run in runs.values():
        getattr(run, "close", lambda: None)()
    costs = np.array(rounds.table) / (np.array(sizes) * threads)
    return costs, effects_of(costs)


def _enough(call: Callable[[int], object], sample: float) -> int:
    """So many operations last as long as a sample; finding that out warms the contestant up."""
    n = 1
    while True:
        begin = time.perf_counter()
        call(n)
        took = time.perf_counter() - begin
        if took >= sample / 2:
            return max(1, round(n * sample / took))
        n *= 2


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
