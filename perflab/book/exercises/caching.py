"""Chapter 4: the guide's cache mended, single-flight, nothing stale, the benchmark that hits."""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried, by_contract
from perflab.contracts import singleflight
from perflab.contracts.parts import mended
from perflab.contracts.parts.orders import play, schedules
from perflab.errors import is_number
from perflab.experiments.eviction import lru, zipf
from perflab.measure.percentiles import percentile

# ── 3: nothing stale

STEPS = 6  # more than anybody needs; a program that goes on is not let run
FLEETS = ((1, 1), (2, 1), (1, 2))  # readers and writers


class CheatError(Exception):
    """Two operations in one step, or too many steps."""


class Shop:
    """A database and a cache for one key; each operation is a step of its own.

    State: the two values; `_ticket`, counted up by each deletion; `_busy`, whether an operation
    was done in this step.
    """

    def __init__(self) -> None:
        self.database, self.cache = 0, -1
        self.asked = 0  # loads
        self._ticket, self._busy = 0, False

    def step(self) -> None:
        """A new step begins."""
        self._busy = False

    def _one(self) -> None:
        if self._busy:
            raise CheatError
        self._busy = True

    def look(self) -> tuple[int | None, int]:
        self._one()
        return (None if self.cache < 0 else self.cache), self._ticket

    def load(self) -> int:
        self._one()
        self.asked += 1
        return self.database

    def store(self, value: int) -> None:
        self._one()
        self.cache = value

    def store_if(self, value: int, ticket: int) -> None:
        self._one()
        if ticket == self._ticket:
            self.cache = value

    def write(self, value: int) -> None:
        self._one()
        self.database = value

    def delete(self) -> None:
        self._one()
        self.cache, self._ticket = -1, self._ticket + 1


Program = Generator[Any, Any, Any]


def _stepping(shop: Shop, program: Program) -> Program:
    """The program, which tells the shop when a step begins."""
    for _ in range(STEPS + 1):
        shop.step()
        try:
            next(program)
        except StopIteration:
            return
        yield
    raise CheatError


def _alone(make: Callable[[Shop], Program], shop: Shop) -> int:
    """Run one program alone; how many steps it took."""
    return sum(1 for _ in _stepping(shop, make(shop)))


def _tried_orders(reader: Any, writer: Any, readers: int, writers: int) -> tuple[int, int]:
    """Of all orders: how many leave something else in the cache than in the database."""
    steps = {f"r{n}": _alone(reader, Shop()) + 1 for n in range(readers)}
    write = partial(writer, value=1)
    steps |= {f"w{n}": _alone(write, Shop()) + 1 for n in range(writers)}
    stale = tried = 0
    for order in schedules(**steps):
        shop = Shop()
        made = {name: reader(shop) for name in steps if name[0] == "r"}
        made |= {name: writer(shop, int(name[1:]) + 1) for name in steps if name[0] == "w"}
        programs = {name: _stepping(shop, one) for name, one in made.items()}
        play(order, programs)
        for one in programs.values():  # to the end
            list(one)
        tried += 1
        stale += shop.cache not in (-1, shop.database)
    return stale, tried


def _useful(reader: Any, writer: Any) -> tuple[Tried, ...]:
    """Whether the two do what they are for, each alone."""
    shop = Shop()
    _alone(reader, shop)
    kept = shop.cache == 0
    _alone(reader, shop)
    loads = shop.asked
    _alone(partial(writer, value=7), shop)
    written, gone = shop.database == 7, shop.cache in (-1, 7)
    return (
        ("a reader alone leaves the value in the cache", kept, "kept" if kept else "not kept"),
        ("a second reader does not load again", loads == 1, f"{loads} loads for 2 readers"),
        ("the writer writes the database", written, f"database: {shop.database}"),
        ("and leaves no old value in the cache", gone, f"cache: {shop.cache}"),
    )


USELESS = (
    "A cache that keeps nothing is never stale, and no use: store what was loaded, if nobody has "
    "deleted the key since.",
    "Look first: who finds a value need not load it.",
    "The writer has to write the database.",
    "After the update the cache still holds the old value: delete it.",
)


def _never_stale(answer: Answer) -> Judgement:
    programs = answer()
    if programs is None:
        return Judgement("not attempted", "Return the reader and the writer.")
    reader, writer = programs
    tried: tuple[Tried, ...] = ()
    try:
        tried = _useful(reader, writer)
        for (_, passed, _), hint in zip(tried, USELESS, strict=True):
            if not passed:
                return Judgement("wrong", hint, tried)
        for readers, writers in FLEETS:
            stale, orders = _tried_orders(reader, writer, readers, writers)
            what = f"orders of {readers} × reader, {writers} × writer"
            tried += ((what, stale == 0, f"{stale:,} of {orders:,} leave a stale value"),)
    except CheatError:
        hint = (
            "One operation between two yields, and at most six steps: a server does one thing at a "
            "time, and anybody may come in between."
        )
        return Judgement("wrong", hint, tried)
    if all(passed for _, passed, _ in tried):
        steps = _alone(reader, Shop()) + _alone(partial(writer, value=1), Shop())
        hint = "No order of all that were tried leaves a stale value."
        return Judgement("right", hint, tried, steps + 2)  # each ends with a step of its own
    hint = (
        "A load from before an update comes home after it. Take the ticket before you load, and "
        "store only under it; let the writer delete after it has written, so that every ticket "
        "from before is void."
    )
    return Judgement("wrong", hint, tried)


# ── 4: the benchmark that only hits

Requests = NDArray[np.int64]


def some_requests(seed: int) -> Requests:
    """20,000 requests for 5,000 keys, the popular ones more often."""
    return zipf(5_000, 20_000, skew=1.0, seed=seed)


def flattering(requests: Requests, kept: int, hit: float, miss: float) -> dict[str, float]:
    """Mean and p99 of a cache, in seconds, as a colleague measures them."""
    cache = {int(key) for key in requests[:kept]}  # «warm up»
    asked = [int(key) for key in requests if int(key) in cache]
    seconds = [hit if key in cache else miss for key in asked]
    return {"mean": float(np.mean(seconds)), "p99": percentile(seconds, 99)}


def _truth(requests: Requests, kept: int, hit: float, miss: float) -> tuple[float, float]:
    times = np.where(lru(requests, kept), hit, hit + miss)
    return float(times.mean()), percentile(times, 99)


def _honest(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for seed, kept in ((41, 50), (42, 500), (43, 5_000)):
        requests = some_requests(seed)
        if kept == 5_000:  # so few misses that the p99 is a hit
            requests = np.concatenate([requests % 150] * 2)
        said = answer(requests.copy(), kept, 0.05e-3, 8e-3)
        if said is None:
            return Judgement("not attempted", 'Return {"mean": …, "p99": …} in seconds.')
        fits = isinstance(said, dict) and all(is_number(said.get(one)) for one in ("mean", "p99"))
        if not fits:
            return Judgement("wrong", 'Return {"mean": …, "p99": …}, both in seconds.')
        mean, p99 = _truth(requests, kept, 0.05e-3, 8e-3)
        for name, true in (("mean", mean), ("p99", p99)):
            near = abs(said[name] - true) <= 0.002 * true
            found = f"{1e3 * said[name]:.4f}, true {1e3 * true:.4f} ms"
            tried.append((f"{name}, {kept:,} kept", near, found))
            if not near:
                return Judgement(
                    "wrong", _what_hides(name, said[name], true, requests, kept), tuple(tried)
                )
    return Judgement("right", "As slow as it will be.", tuple(tried))


def _what_hides(name: str, said: float, true: float, requests: Requests, kept: int) -> str:
    if name == "p99":
        return (
            "The mean is right. The p99 is one of the latencies: by nearest rank, of all requests."
        )
    for mean, hint in _mistakes(requests, kept):
        if abs(said - mean) <= 0.002 * mean:
            return hint
    if said < true:
        return "Too fast: a cache is empty at first, and the first request for a key is a miss."
    return USED


USED = "Too slow: on a hit the key has been used, and moves to the end that is kept (LRU)."


def _mistakes(requests: Requests, kept: int) -> Iterator[tuple[float, str]]:
    """The mean that each mistake comes to, and what is to be said of it."""

    def mean(trace: Requests, size: int, miss: float = 8.05e-3) -> float:
        hits = lru(trace, size)[len(trace) - len(requests) :]
        return float(np.where(hits, 0.05e-3, miss).mean())

    yield 0.05e-3, "Only hits: ask for all requests, those that the cache does not have too."
    yield mean(requests, kept, 8e-3), "A miss costs the look-up that failed as well, and the load."
    warm = "Warmed up: the cache is empty at first, and the first request for a key is a miss."
    keys = np.array(list(dict.fromkeys(requests.tolist()))[:kept])
    for first in (requests[:kept], keys, requests):
        yield mean(np.concatenate([first, requests]), kept), warm
    everything = f"This cache holds everything it ever saw; it may hold {kept:,} keys."
    yield mean(requests, len(requests)), everything


EXERCISES = [
    Exercise("Exercise 1, mend the guide's cache", by_contract(mended, mended.service_of)),
    Exercise("Exercise 2, single-flight", by_contract(singleflight, singleflight.service_of)),
    Exercise("Exercise 3, nothing stale, in any order", _never_stale),
    Exercise("Exercise 4, the benchmark that only hits", _honest),
]
