"""Chapter 2, exercise 2: a histogram of one's own, with at most 400 buckets."""

import math
from collections.abc import Mapping, Sized
from typing import Any

import numpy as np

from perflab.book.exercises.judging import Answer, Judgement, Tried
from perflab.measure.memory import allocations
from perflab.measure.percentiles import percentile

SHORTEST, LONGEST = 0.001, 2.0  # seconds
MOST_BUCKETS = 400
MOST_BYTES = 128_000  # twice what two dictionaries take; the latencies as doubles are 320,000
PERCENTILES = (1.0, 50.0, 90.0, 99.0, 99.9)
FOUR = (0.5, 0.032, 0.002, 0.004)  # as they come: neither the rank nor the order can be guessed


def _latencies(seed: int, size: int = 20_000) -> np.ndarray:
    """Latencies with a slow tail, over the whole range."""
    rng = np.random.default_rng(seed)
    usual = rng.lognormal(np.log(0.008), 0.9, size)
    slow = rng.uniform(0.3, LONGEST, size)
    every: np.ndarray = np.where(rng.random(size) < 0.03, slow, usual)
    clipped: np.ndarray = np.clip(every, SHORTEST, LONGEST)
    return clipped


def judge_histogram(answer: Answer) -> Judgement:
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
    hint = _counted(first, len(parts[0]), held, tried) or _ranked(answer, tried)
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


def _ranked(answer: Answer, tried: list[Tried]) -> str:
    """Whether a histogram of four latencies takes the right one of them; else what is wrong."""
    one = answer()
    for seconds in FOUR:
        one.record(seconds)
    for at, true in enumerate(sorted(FOUR)):
        p = 25 * (at + 1)
        said = one.percentile(p)
        if said is None:
            return f"Of four latencies its p{p} is None. It is the one with number {at + 1}."
        near = [seconds for seconds in FOUR if math.isclose(said, seconds, rel_tol=0.05)]
        right = near in ([], [true])  # what is near none of them is a matter of the buckets
        tried.append((f"p{p} of four", right, f"{1e3 * said:.3g} ms, true is {1e3 * true:g} ms"))
        if not right and near == [FOUR[at]]:
            return (
                "A percentile counts from the shortest latency up. Your buckets stand in the order "
                "in which their first latency came: sort them."
            )
        if not right:
            return (
                f"Of four latencies the p{p} is the one with number {p} × 4 ÷ 100 = {at + 1}, "
                f"{1e3 * true:g} ms. Yours is {1e3 * near[0]:g} ms, one at another rank."
            )
    return ""


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
