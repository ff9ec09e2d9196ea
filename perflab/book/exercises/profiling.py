"""Chapter 2: what a look stands for, a histogram, the middleware mended, the leak report."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried, accusation
from perflab.book.exercises.ownhistogram import judge_histogram
from perflab.contracts import Evidence, leak, middleware
from perflab.contracts.core import Check, check
from perflab.contracts.parts.webclient import END, START, Client, play, script
from perflab.experiments.script import Look, Piece, looks, true_shares

# ── 1: what each look stands for

BEGAN = 1_000.0  # seconds, so that nobody takes it for 0


def some_looks(seed: int) -> tuple[float, list[Look], dict[str, float]]:
    """When a sampler began to look, its looks, and the true shares: of a program of short pieces
    and, one in eight, long ones that hold the lock."""
    rng = np.random.default_rng(seed)
    script: list[Piece] = []
    for _ in range(400):
        if rng.random() < 0.125:
            script.append(Piece("sort", rng.uniform(0.02, 0.2), holds=True))
        else:
            script.append(Piece(str(rng.choice(["parse", "render"])), rng.uniform(0.005, 0.04)))
    seen = [(BEGAN + moment, function) for moment, function in looks(script, 0.005)]
    return BEGAN, seen, true_shares(script)


def _time_shares(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for seed in (61, 62, 63):
        began, seen, truth = some_looks(seed)
        said = answer(began, list(seen))
        if said is None:
            return Judgement("not attempted", "Return a dictionary of shares.")
        if not isinstance(said, Mapping):
            return Judgement("wrong", f"Return a dictionary, not a {type(said).__name__}.")
        if set(said) != set(truth):
            return Judgement("wrong", f"The functions are {', '.join(sorted(truth))}.")
        sort = float(said["sort"])
        off = max(abs(float(said[name]) - share) for name, share in truth.items())
        tried.append((f"sort, looks {seed}", off <= 0.03, f"{sort:.2f}, true {truth['sort']:.2f}"))
        if off > 0.03:
            return Judgement("wrong", _share_hint(said, seen, truth), tuple(tried))
    return Judgement("right", "Each look stands for the time since the one before.", tuple(tried))


def _share_hint(said: Mapping[str, float], seen: list[Look], truth: dict[str, float]) -> str:
    alike, after = Counter[str](), Counter[str]()
    for (moment, function), (following, _) in pairwise(seen):
        alike[function] += 1
        after[function] += following - moment  # type: ignore[assignment]  # a Counter adds floats
    if abs(sum(float(share) for share in said.values()) - 1) > 0.01:
        return "The shares do not add up to 1: what part of the time is missing?"
    if _same(said, alike):
        return "That counts every look alike. A look that came late stands for more time."
    if _same(said, after):
        return (
            "A late look sees who held the lock until then: the time before it belongs to it, "
            "not the time after it."
        )
    where = "much" if float(said["sort"]) > truth["sort"] else "little"
    return f"Too {where} for the sort. Which stretch of time does a look stand for?"


def _same(said: Mapping[str, float], weights: Mapping[str, float]) -> bool:
    total = sum(weights.values())
    return all(abs(float(said[name]) - weights[name] / total) < 0.01 for name in said)


# ── 3: the middleware mended

NOT_ASKED = ("waited", "forged", "unnoticed")  # of the contract's checks


@check(
    "the handler hears that its client has left",
    "OSError from send tells the handler to stop. Note it and raise it again, or the handler goes "
    "on for nobody.",
)
def heard(make: Any) -> Evidence:
    told: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await script(1.0, START, END)(scope, receive, send)
        except OSError:
            told.append(True)
            raise

    play(make, (app, Client(leaves=0.5, refuses=True)))
    return Evidence(bool(told), f"{len(told)} of 1 told")


ASKED: list[Check] = [
    *(
        thing
        for name, thing in vars(middleware).items()
        if isinstance(thing, Check) and name not in NOT_ASKED
    ),
    heard,
]


def _mended(answer: Answer) -> Judgement:
    def with_wait(app: Any, log: Any, clock: Any) -> Any:
        """On a clock that began long ago: at 0, an end that was noted looks like none."""
        return answer(app, lambda line: log(_line(line)), lambda: BEGAN + clock())

    make = middleware.by_lines(with_wait)
    ASKED[0].run(make)  # a stub's NotImplementedError comes through here
    found = [(one, _tried(one, make)) for one in ASKED]
    tried = tuple((one.statement, seen.holds, seen.found) for one, seen in found)
    failed = next((one for one, seen in found if not seen.holds), None)
    if failed is None:
        return Judgement("right", "Every request has its line, and its ending.", tried)
    return Judgement("wrong", failed.hint, tried)


def _line(line: Any) -> SimpleNamespace:
    return SimpleNamespace(**vars(line))


def _tried(one: Check, make: Any) -> Evidence:
    try:
        return one.run(make)
    except Exception as error:
        return Evidence(False, f"raised {type(error).__name__}: {error}"[:120])


# ── 4: the leak report

HOURS = 6.0


@dataclass(frozen=True)
class Watched:
    """What one process held, at a look every 30 s: seconds, and bytes on the heap and in all."""

    seconds: np.ndarray
    heap: np.ndarray
    resident: np.ndarray


def _days(rng: np.random.Generator) -> dict[str, list[leak.Look]]:
    """Eight processes by what they do; numbers differ from seed to seed."""
    rate, height = rng.uniform(1.0, 1.4), rng.uniform(140, 200)
    begins, seeds = rng.uniform(2.5, 3.5), iter(rng.integers(1 << 30, size=8).tolist())
    held = {
        "leaks fast": lambda hour: 30 + 45 * rate * hour,
        "leaks slowly": lambda hour: 30 + 9 * rate * hour,
        "leaks from an hour on": lambda hour: 30 + 25 * rate * max(0.0, hour - begins),
        "fills a cache": lambda hour: 30 + height * (1 - np.exp(-2.5 * hour)),
        "loads a table": lambda hour: 30 + height * (hour > begins),
        "needs much": lambda hour: height,
    }
    days = {name: leak.day(next(seeds), HOURS, one) for name, one in held.items()}
    days["leaks beside the heap"] = leak.day(
        next(seeds), HOURS, lambda hour: 30, beside=lambda hour: 14 * rate * hour
    )
    days["has much garbage"] = leak.day(next(seeds), HOURS, lambda hour: 30, garbage=150)
    return days


LEAKS = {"leaks fast", "leaks slowly", "leaks from an hour on", "leaks beside the heap"}
WHY = {
    "leaks fast": "it grows all the time, by more than 40 MB an hour",
    "leaks slowly": "it is far from 100 MB, and grows without a pause",
    "leaks from an hour on": "it is quiet for hours and then grows to the end: look at the end",
    "leaks beside the heap": "its heap is flat; its resident memory is not",
    "fills a cache": "it grows, and then no more: look at the last hours alone",
    "loads a table": "it goes up once, and is flat before and after",
    "needs much": "it is large from the start, and does not grow",
    "has much garbage": "it goes up and down: take the least in each stretch of time",
}


def _dealt(seed: int) -> tuple[dict[str, str], dict[str, Watched]]:
    """Which letter stands for which, and the processes by letter."""
    rng = np.random.default_rng(seed)
    days = _days(rng)
    names = dict(zip("ABCDEFGH", rng.permutation(sorted(days)).tolist(), strict=True))
    return names, {letter: _watched(days[name]) for letter, name in names.items()}


def _watched(day: list[leak.Look]) -> Watched:
    columns = (
        [one.seconds for one in day],
        [one.heap_used for one in day],
        [one.rss for one in day],
    )
    seconds, heap, resident = map(np.array, columns)
    return Watched(seconds, heap, resident)


def leak_report(seed: int = 1) -> dict[str, Watched]:
    """Eight processes under letters that the seed deals out."""
    return _dealt(seed)[1]


def _leaking(answer: Answer) -> Judgement:
    for seed in (81, 82, 83):
        name_of, processes = _dealt(seed)
        wrong = accusation(answer(dict(processes)), name_of, LEAKS, "process", _why)
        if wrong is not None:
            return wrong
    return Judgement("right", "All four found, and no cache accused.")


def _why(name: str, letter: str) -> str:
    return f"«{name}» {'got away' if name in LEAKS else 'has no leak'}: {WHY[name]}."


EXERCISES = [
    Exercise("Exercise 1, what each look stands for", _time_shares),
    Exercise("Exercise 2, a histogram", judge_histogram),
    Exercise("Exercise 3, mend the middleware", _mended),
    Exercise("Exercise 4, the leak report", _leaking),
]
