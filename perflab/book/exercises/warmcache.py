"""Chapter 3, exercise 4: a database with a cache, as a model, and eight benchmarks of it."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from perflab.book.exercises.judging import Answer, Judgement, accusation, dealt

PAGES, CACHED, READS = 5_000, 500, 12_000
HIT, MISS = 0.1, 5.0  # milliseconds
PROMISE = 0.8  # a report below this share of the truth is too low


class Cached:
    """A database with a cache of pages, least recently used out first. State: the cached pages."""

    def __init__(self) -> None:
        self._pages: OrderedDict[int, None] = OrderedDict()

    def read(self, key: int) -> float:
        """Read a page; the milliseconds that it took."""
        hit = key in self._pages
        self._pages[key] = None
        self._pages.move_to_end(key)
        if len(self._pages) > CACHED:
            self._pages.popitem(last=False)
        return HIT if hit else MISS


def start() -> Cached:
    """A database whose cache is empty."""
    return Cached()


def production(seed: int) -> list[int]:
    """The pages that production reads in a day, in order: Zipf's law, with exponent 0.8."""
    rng = np.random.default_rng(seed)
    weights = np.arange(1, PAGES + 1) ** -0.8
    ranks = rng.choice(PAGES, READS, p=weights / weights.sum())
    return [int(page) for page in rng.permutation(PAGES)[ranks]]


Benchmark = Callable[[Cached, Sequence[int]], float]


def _mean(database: Cached, keys: Iterable[int]) -> float:
    return float(np.mean([database.read(key) for key in keys]))


def _warmed_by_itself(database: Cached, keys: Sequence[int]) -> float:
    """The best of three, and the first fills the cache."""
    return min(_mean(database, keys[:300]) for _ in range(3))


def _half_a_day_later(database: Cached, keys: Sequence[int]) -> float:
    _mean(database, keys[: len(keys) // 2])
    return _mean(database, keys[len(keys) // 2 :])


BENCHMARKS: dict[str, Benchmark] = {
    "replays the day": _mean,
    "one key, a thousand times": lambda database, keys: _mean(database, [keys[0]] * 1_000),
    "the same hundred keys in a circle": lambda database, keys: _mean(database, [*keys[:100]] * 30),
    "the day, sorted by key": lambda database, keys: _mean(database, sorted(keys)),
    "the best of three": _warmed_by_itself,
    "the second half, after the first": _half_a_day_later,
    "every page once": lambda database, keys: _mean(database, dict.fromkeys(keys)),
    "every third read": lambda database, keys: _mean(database, keys[::3]),
}
TOO_LOW = {
    "one key, a thousand times",
    "the same hundred keys in a circle",
    "the day, sorted by key",
    "the best of three",
}


def benchmarks(seed: int) -> dict[str, Benchmark]:
    """The eight benchmarks under letters that the seed deals out; each returns ms a read."""
    return {letter: BENCHMARKS[name] for letter, name in dealt(BENCHMARKS, seed).items()}


# The days tried, and who is absent: with six the usual report is no measure of the truth.
DAYS = {71: (), 72: ("every page once", "every third read"), 73: ("replays the day",)}
USED_HINT = (
    "You named the right ones, by luck: a benchmark got a database that others had read from, and "
    "found their pages in its cache. Give each one a new database from start()."
)


def _noted(used: list[bool], bench: Benchmark, database: Cached, keys: Sequence[int]) -> float:
    """A benchmark, with a note whether its database was read from before."""
    used.append(bool(getattr(database, "_pages", None)))
    return bench(database, keys)


def judge_too_low(answer: Answer) -> Judgement:
    for seed, absent in DAYS.items():
        keys, used = production(seed), list[bool]()
        names = {at: name for at, name in dealt(BENCHMARKS, seed).items() if name not in absent}
        called = {letter: partial(_noted, used, BENCHMARKS[name]) for letter, name in names.items()}
        said = answer(called, list(keys), start)
        hint = partial(_too_low_hint, keys)
        wrong = accusation(said, names, TOO_LOW, "benchmark", hint)
        if wrong is None and any(used):
            wrong = Judgement("wrong", USED_HINT)
        if wrong is not None:
            return wrong
    return Judgement("right", "All four found: each asks again for what it has just read.")


def _too_low_hint(keys: list[int], name: str, letter: str) -> str:
    true, report = _mean(start(), keys), BENCHMARKS[name](start(), keys)
    verdict = "got away" if name in TOO_LOW else "is not too low"
    shown = f"it says {report:.2f} ms a read, production sees {true:.2f}"
    return f"«{name}» {verdict}: {shown}. Replay the day on a database of your own first."
