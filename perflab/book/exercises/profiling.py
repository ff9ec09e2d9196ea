"""Chapter 2: what a look stands for, a histogram, the middleware mended, the leak report."""

from collections import Counter
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried, accusation
from perflab.contracts import Evidence, leak, middleware
from perflab.contracts.core import Check
from perflab.experiments.script import Look, Piece, looks, true_shares
from perflab.measure.memory import allocations
from perflab.measure.percentiles import percentile

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


# ── 2: a histogram

SHORTEST, LONGEST = 0.001, 2.0  # seconds
MOST_BUCKETS, MOST_BYTES = 400, 64_000
PERCENTILES = (1.0, 50.0, 90.0, 99.0, 99.9)


def _latencies(seed: int, size: int = 20_000) -> np.ndarray:
    """Latencies with a slow tail, over the whole range."""
    rng = np.random.default_rng(seed)
    usual = rng.lognormal(np.log(0.008), 0.9, size)
    slow = rng.uniform(0.3, LONGEST, size)
    every: np.ndarray = np.where(rng.random(size) < 0.03, slow, usual)
    clipped: np.ndarray = np.clip(every, SHORTEST, LONGEST)
    return clipped


def _histogram(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    parts = [_latencies(seed) for seed in (71, 72)]
    made: list[Any] = []

    def fill() -> list[Any]:
        for part in parts:
            one = answer()
            for seconds in part.tolist():
                one.record(seconds)
            made.append(one)
        return made

    held = allocations(fill).held_bytes
    first, second = made
    hint = _counted(first, len(parts[0]), held, tried)
    hint = hint or _close(first, parts[0], "one", tried)
    if not hint:
        first.merge(second)
        hint = _counted(first, sum(map(len, parts)), held, tried)
        hint = hint or _close(first, np.concatenate(parts), "merged", tried)
        hint = hint or _close(second, parts[1], "the other one after it", tried)
    if hint:
        return Judgement("wrong", hint, tuple(tried))
    return Judgement("right", "Within 1 %, and it merges.", tuple(tried), held)


def _counted(one: Any, requests: int, held: int, tried: list[Tried]) -> str:
    """What is wrong with its counts; nothing if all is well."""
    counts = getattr(one, "counts", None)
    if not isinstance(counts, Sized):
        return "It needs `counts`: a list or a dictionary, a count for each bucket."
    entries = list(counts.values()) if isinstance(counts, Mapping) else list(counts)  # type: ignore[call-overload]  # a list
    few, all_there = len(entries) <= MOST_BUCKETS, int(sum(entries)) == requests
    tried.append((f"at most {MOST_BUCKETS} buckets", few, f"{len(entries)}"))
    if not few:
        return "Too many buckets. Let each be wider than the one before, by the same factor."
    tried.append(("latencies counted", all_there, f"{sum(entries):,} of {requests:,}"))
    if not all_there:
        return "The counts do not add up to the latencies recorded, those of both after a merge."
    small = held <= MOST_BYTES
    tried.append(("bytes held by two of them", small, f"{held:,}"))
    return "" if small else "It keeps the latencies themselves. Keep counts only."


def _close(one: Any, true: np.ndarray, name: str, tried: list[Tried]) -> str:
    worst, at = max(
        (abs(float(one.percentile(p)) / percentile(true, p) - 1), p) for p in PERCENTILES
    )
    tried.append((f"worst of five percentiles, {name}", worst <= 0.01, f"{worst:.2%} off"))
    if worst <= 0.01:
        return ""
    if worst <= 0.021:
        return (
            f"The p{at:g} is {worst:.1%} off. An edge of a bucket is twice as far from its other "
            "end as a value between the two."
        )
    return f"The p{at:g} is {worst:.1%} off. Is a bucket's width the same part of every latency?"


# ── 3: the middleware mended

NOT_ASKED = ("waited", "forged", "unnoticed")  # of the contract's checks
ASKED: list[Check] = [
    thing
    for name, thing in vars(middleware).items()
    if isinstance(thing, Check) and name not in NOT_ASKED
]


def _mended(answer: Answer) -> Judgement:
    def with_wait(app: Any, log: Any, clock: Any) -> Any:
        return answer(app, lambda line: log(_line(line)), clock)

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
    Exercise("Exercise 2, a histogram", _histogram),
    Exercise("Exercise 3, mend the middleware", _mended),
    Exercise("Exercise 4, the leak report", _leaking),
]
