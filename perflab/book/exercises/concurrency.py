"""Chapter 6: the fewest workers, four at once in order, the pool mended, the lucky benchmark."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried, by_contract
from perflab.book.exercises.luckybenchmark import hopeless
from perflab.contracts import workerpool
from perflab.contracts.core import Evidence, check
from perflab.contracts.threads import PATIENCE, Running, eventually

# ── 1: the fewest workers

CASES = ((250, 1, 9), (100, 0, 50), (60, 2, 31), (1_000, 1, 9), (40, 5, 0), (7, 3, 4))
IMPOSSIBLE = ((1_001, 1, 9), (300, 4, 0))


def _fewest(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for rate, cpu, wait in (*CASES, *IMPOSSIBLE):
        said = answer(rate, cpu, wait)
        true = None if rate * cpu > 1_000 else -(-rate * (cpu + wait) // 1_000)
        case = f"{rate}/s, {cpu} ms of CPU, {wait} ms of waiting"
        right = said == true and type(said) is type(true)
        tried.append((case, right, f"{said}, is {true}"))
        if not right:
            return Judgement("wrong", _why_not(said, true, rate, cpu, wait), tuple(tried))
    return Judgement("right", "As many as are in flight, and none more.", tuple(tried))


def _why_not(said: Any, true: int | None, rate: int, cpu: int, wait: int) -> str:
    if true is None:
        return (
            f"{rate} jobs a second of {cpu} ms of CPU each are {rate * cpu} ms of CPU in a second. "
            "Under one lock there are 1,000: no number of threads is enough."
        )
    if said is None:
        return f"It is possible: the lock is held for {rate * cpu} of 1,000 ms in a second."
    if not isinstance(said, int) or isinstance(said, bool):
        return f"Return a whole number or None, not {said!r}."
    if said < true:
        return (
            f"{said} threads do at most {1_000 * said / (cpu + wait):.0f} a second: each job holds "
            f"one for {cpu + wait} ms, its computing and its waiting, and part of a thread is none."
        )
    return f"{said} are enough, and so are {true}. Little's law: rate × time of a job, rounded up."


# ── 2: four at once, in order

AHEAD, WIDE = 16, 4
Make = Callable[..., Iterator[Any]]


def _threads_left(before: int) -> int:
    eventually(lambda: threading.active_count() <= before, 1.0)
    return threading.active_count() - before


@check(
    "yields what a loop would",
    "Yield function(item) once for each item, also where there is none.",
    may_hang=True,
)
def _like_a_loop(make: Make) -> Evidence:
    found, none = list(make(lambda n: n + 1, iter(range(50)))), list(make(str, []))
    return Evidence(sorted(found) == list(range(1, 51)) and none == [], f"{len(found)} of 50")


@check(
    "four calls at once, never five",
    "Begin the calls for the next items before you wait for the result of the first: four workers, "
    "and no more.",
    may_hang=True,
)
def _four(make: Make) -> Evidence:
    gate, lock, counts = threading.Event(), threading.Lock(), SimpleNamespace(now=0, most=0)

    def call(item: int) -> int:
        with lock:
            counts.now += 1
            counts.most = max(counts.most, counts.now)
        gate.wait(PATIENCE)
        with lock:
            counts.now -= 1
        return item

    reader = Running(lambda: list(make(call, range(40))))
    eventually(lambda: counts.now >= WIDE, PATIENCE / 2)
    eventually(lambda: counts.now > WIDE, 0.1)
    gate.set()
    reader.result()
    return Evidence(counts.most == WIDE, f"{counts.most} at once")


@check(
    "order is kept where a later item is ready first",
    "A result that is ready too early has to wait for its turn: wait for the calls in the order in "
    "which you began them.",
    may_hang=True,
)
def _order(make: Make) -> Evidence:
    later = threading.Event()

    def call(item: int) -> int:
        if item == 0:
            later.wait(0.5)
        elif item == 3:
            later.set()
        return item

    found = list(make(call, range(20)))
    return Evidence(found == list(range(20)), f"came as {found}"[:60])


@check(
    "of endless items at most 16 more are taken than yielded",
    "Each item that is taken takes memory until it is yielded. Take the next only when one was "
    "yielded: do not read all items, and do not submit all of them.",
    may_hang=True,
)
def _bounded(make: Make) -> Evidence:
    taken, most, given = 0, 0, 0

    def items() -> Iterator[int]:
        nonlocal taken, most
        while taken < 10_000:
            taken += 1
            most = max(most, taken - given)
            yield taken

    for _ in make(abs, items()):
        given += 1
        if given == 200:
            break
    return Evidence(most <= AHEAD and given == 200, f"{most:,} ahead, {given} yielded")


@check(
    "an error is raised in its item's place",
    "What comes before the failing item is yielded first, and the error is not swallowed: ask for "
    "results in order, and let what they raise come through.",
    may_hang=True,
)
def _error(make: Make) -> Evidence:
    found: list[float] = []
    error = "no error"
    try:
        found.extend(make(lambda n: 6 / (n - 3), range(10)))
    except Exception as raised:
        error = type(raised).__name__
    good = found == [-2, -3, -6] and error == "ZeroDivisionError"
    return Evidence(good, f"{len(found)} values, then {error}")


@check(
    "closed before its end it leaves no thread behind",
    "A generator that is closed gets a GeneratorExit at its yield. End the workers in a `finally` "
    "or with a `with`.",
    may_hang=True,
)
def _closed(make: Make) -> Evidence:
    before = threading.active_count()
    generator: Any = make(abs, iter(range(1_000)))
    for _ in range(3):
        next(generator)
    generator.close()
    left = _threads_left(before)
    return Evidence(left == 0, f"{left} threads left")


IN_ORDER = (_like_a_loop, _four, _order, _bounded, _error, _closed)


def _in_order(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for one in IN_ORDER:
        seen = one.run(answer)  # a stub's NotImplementedError comes through
        tried.append((one.statement, seen.holds, seen.found))
        if not seen.holds:
            return Judgement("wrong", one.hint, tuple(tried))
    return Judgement("right", "Four at once, in order, and bounded.", tuple(tried))


EXERCISES = [
    Exercise("Exercise 1, the fewest workers", _fewest),
    Exercise("Exercise 2, four at once, in order", _in_order),
    Exercise("Exercise 3, mend the guide's pool", by_contract(workerpool)),
    Exercise("Exercise 4, the benchmark that was lucky", hopeless),
]
