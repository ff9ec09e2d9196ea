"""Chapter 6: the fewest workers, four at once in order, the pool mended, the lucky benchmark."""

from collections.abc import Iterable
from typing import Any

from perflab.book.exercises.fourinorder import IN_ORDER
from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried
from perflab.book.exercises.luckybenchmark import hopeless
from perflab.book.exercises.mendedpool import PROMISED
from perflab.contracts import checks_of, workerpool
from perflab.contracts.child import ChildError
from perflab.contracts.core import Check, Evidence
from perflab.contracts.threads import StuckError

# ── 1: the fewest workers

CASES = ((250, 1, 9), (100, 0, 50), (60, 2, 31), (1_000, 1, 9), (40, 5, 0), (7, 3, 4), (100, 7, 63))
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
    even = (
        " Here it comes out even, so nothing is added; compute in whole numbers, for 100 * 0.07 is "
        "more than 7."
    )
    return (
        f"{said} are enough, and so are {true}. Little's law: rate × time of a job, rounded up."
        + even * (rate * (cpu + wait) % 1_000 == 0)
    )


# ── 2 and 3: checks, one after the other


def _one_by_one(answer: Answer, checks: Iterable[Check], praise: str, go_on: bool) -> Judgement:
    """The first check that does not hold gives the hint, also where it was waited for in vain."""
    tried, hint = list[Tried](), ""
    for one in checks:
        why = one.hint
        try:
            seen = one.run(answer)  # a stub's NotImplementedError comes through
        except ChildError as error:
            seen = Evidence(False, f"raised {error}")
            why = one.hint if StuckError.__name__ in str(error) else f"Your code raised {error}"
        tried.append((one.statement, seen.holds, seen.found))
        hint = hint or ("" if seen.holds else why)
        if hint and not go_on:
            break
    return Judgement("wrong" if hint else "right", hint or praise, tuple(tried))


def _in_order(answer: Answer) -> Judgement:
    return _one_by_one(answer, IN_ORDER, "Four at once, in order, and bounded.", go_on=False)


def _mended(answer: Answer) -> Judgement:
    checks = (*PROMISED, *checks_of(workerpool))
    return _one_by_one(answer, checks, "Every check holds.", go_on=True)


EXERCISES = [
    Exercise("Exercise 1, the fewest workers", _fewest),
    Exercise("Exercise 2, four at once, in order", _in_order),
    Exercise("Exercise 3, mend the guide's pool", _mended),
    Exercise("Exercise 4, the benchmark that was lucky", hopeless),
]
