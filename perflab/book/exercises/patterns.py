"""Chapter 9: a retry with a budget, the bulkhead and the breaker mended, a test that retries."""

import asyncio
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried, by_contract
from perflab.contracts import breaker, bulkhead
from perflab.errors import CircuitOpenError
from perflab.measure.percentiles import percentile
from perflab.measure.virtual import run_virtual

# ── 1: a retry that multiplies by at most 1.1


class _Dependency:
    """Counts its calls; fails where `fails` is true of a call's number."""

    def __init__(self, fails: Callable[[int], bool], error: type[Exception] = OSError) -> None:
        self.fails, self.error, self.calls = fails, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.fails(self.calls):
            raise self.error
        return "good"


def _never(number: int) -> bool:
    return False


def _always(number: int) -> bool:
    return True


def _good(retry: Any, dependency: _Dependency, requests: int) -> int:
    """How many of so many requests succeed."""
    good = 0
    for _ in range(requests):
        with suppress(dependency.error):
            good += retry.call(dependency) == "good"
    return good


def _retry(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for statement, holds, found, hint in _retry_cases(answer):
        tried.append((statement, holds, found))
        if not holds:
            return Judgement("wrong", hint, tuple(tried))
    hint = "It helps where it can, and an outage hardly feels it."
    return Judgement("right", hint, tuple(tried), _calls_each(answer(), 5_000))


def _retry_cases(answer: Answer) -> Iterable[tuple[str, bool, str, str]]:
    """(statement, holds, found, hint) of each case, in order."""
    said = answer().call(_Dependency(_never))
    yield "returns what fn returns", said == "good", repr(said), "Return what fn() returned."
    once = _Dependency(lambda number: number == 1)
    good = _good(answer(), once, 1)
    hint = "A single failure is to be retried, also the very first: begin with a few tokens."
    yield "one failure is retried", good == 1, f"{once.calls} calls", hint
    mistake = _Dependency(_always, ValueError)
    _good(answer(), mistake, 1)
    hint = "A ValueError is the caller's own mistake: it comes again. Retry OSError alone."
    yield "a ValueError is not retried", mistake.calls == 1, f"{mistake.calls} calls", hint
    yield from _outage("an outage of 5,000 requests", answer(), 5_000)
    old = answer()
    _good(old, _Dependency(_always), 2_000)
    drawn = np.random.default_rng(64).random(10_000) < 0.02  # at random: some come close together
    share = _good(old, _Dependency(lambda number: bool(drawn[number])), 5_000) / 5_000
    hint = (
        "After the outage nothing is retried any more. Let each request earn a tenth of a retry."
        if share < 0.99
        else "Two failures may come close together: let the budget hold more than one retry."
    )
    yield "2 % failures after an outage", share >= 0.999, f"{share:.2%} succeed", hint
    rested = answer()
    _good(rested, _Dependency(_never), 20_000)
    yield from _outage("an outage after 20,000 good requests", rested, 2_000)


def _calls_each(retry: Any, requests: int) -> float:
    """Calls for each request while every call fails."""
    down = _Dependency(_always)
    _good(retry, down, requests)
    return down.calls / requests


def _outage(name: str, retry: Any, requests: int) -> Iterable[tuple[str, bool, str, str]]:
    each = _calls_each(retry, requests)
    after = "good" in name
    hint = f"In an outage it makes {each:.2f} calls for each request. "
    hint += (
        "What a long good time has earned is spent at once: let the budget hold a few retries only."
        if after
        else "Give it a budget: each request pays in a tenth of a retry, each retry takes one out."
    )
    yield name, each <= 1.1 + 100 / requests, f"{each:.2f} calls each", hint


# ── 2: mend the guide's bulkhead


def _bulkhead(answer: Answer) -> Judgement:
    async def work() -> str:
        return "done"

    async def once() -> None:  # a stub's NotImplementedError comes through here
        await answer(1, 1.0).execute(asyncio.Event(), work)

    run_virtual(once())
    return by_contract(bulkhead)(answer)


# ── 3: mend the guide's breaker


def _breaker(answer: Answer) -> Judgement:
    if not isinstance(answer, type):  # a function: whatever it does comes through here
        answer(3, 30.0)
    answer(3, 30.0, clock=lambda: 0.0).execute(lambda: None)  # and what a stub raises here

    class Translated:
        """Where nothing was called, a RuntimeError is the contract's CircuitOpenError."""

        def __init__(self, *args: Any, **options: Any) -> None:
            self._answer = answer(*args, **options)

        def execute(self, fn: Callable[[], Any]) -> Any:
            called = []

            def seen() -> Any:
                called.append(1)
                return fn()

            try:
                return self._answer.execute(seen)
            except RuntimeError as error:
                if called:
                    raise
                raise CircuitOpenError(str(error)) from error

    return by_contract(breaker)(Translated)


# ── 4: the load test that tries again


@dataclass(frozen=True)
class Attempt:
    """One attempt of a request; times in seconds."""

    request: int
    start: float
    end: float
    ok: bool


def retried_log(seed: int, requests: int = 2_000, fails: float = 1 / 9) -> list[Attempt]:
    """The log of a test that makes up to four attempts, in order of the ends. One in nine fails
    (or another share), after 0.15 s, and then it pauses for 50 ms."""
    rng = np.random.default_rng(seed)
    log = []
    for number in range(requests):
        start = number * 0.01
        for _ in range(4):
            ok = bool(rng.random() > fails)
            end = start + (rng.uniform(0.01, 0.04) if ok else 0.15)
            log.append(Attempt(number, round(start, 5), round(end, 5), ok))
            if ok:
                break
            start = end + 0.05
    return sorted(log, key=lambda one: one.end)


def _truth(log: list[Attempt]) -> tuple[float, float, float]:
    first: dict[int, Attempt] = {}
    answered: dict[int, float] = {}
    for one in sorted(log, key=lambda one: one.start):
        first.setdefault(one.request, one)
        if one.ok:
            answered[one.request] = one.end - first[one.request].start
    failed = sum(not one.ok for one in first.values())
    return percentile(list(answered.values()), 99), failed / len(first), len(log) / len(first)


def _honest(answer: Answer) -> Judgement:
    names = ("p99 from the first attempt on", "share of first attempts that failed", "calls each")
    hints = (
        "A user waits from the beginning of the first attempt to the end of the one that "
        "succeeded, with every failure and pause between; take the p99 of that, a request once, "
        "and of no request that never succeeded.",
        "Of the requests, how many failed at their *first* attempt? Not of all attempts.",
        "All attempts, divided by the number of requests.",
    )
    tried: list[Tried] = []
    for seed, fails in ((61, 1 / 9), (62, 1 / 9), (63, 0.4)):  # of 0.4, many fail in the end
        log = retried_log(seed, fails=fails)
        said = answer(list(log))
        if said is None:
            return Judgement("not attempted", "Return three numbers.")
        if not isinstance(said, tuple | list) or len(said) != 3:
            return Judgement("wrong", f"Return three numbers, not {said!r}.")
        for name, mine, true, hint in zip(names, said, _truth(log), hints, strict=True):
            right = math.isclose(float(mine), true, rel_tol=0.01)
            tried.append((f"{name}, log {seed}", right, f"{float(mine):.4f}, is {true:.4f}"))
            if not right:
                return Judgement("wrong", hint, tuple(tried))
    hint = "The report's p99 was that of its luckiest attempts, and one request in nine had failed."
    return Judgement("right", hint, tuple(tried))


EXERCISES = [
    Exercise("Exercise 1, a retry that multiplies by at most 1.1", _retry),
    Exercise("Exercise 2, mend the guide's bulkhead", _bulkhead),
    Exercise("Exercise 3, mend the guide's breaker", _breaker),
    Exercise("Exercise 4, the load test that tries again", _honest),
]
