"""Chapter 1: taking turns, the slow stage, the highest rate, the work that never happened."""

from typing import Any

import numpy as np

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried, by_contract
from perflab.book.exercises.neverdone import candidates, judge_liars
from perflab.contracts import timing
from perflab.measure.counting import Counted
from perflab.measure.percentiles import percentile
from perflab.measure.queueing import response_times

__all__ = ["EXERCISES", "candidates", "sold", "some_traffic"]  # what the chapter shows is here

# ── 2: the slow stage


Order = tuple[Counted, Counted]  # (order id, product)


def sold(orders: list[Order], banned: list[Counted]) -> list[tuple[Counted, int]]:
    """How often each product was sold, by name. An order that is listed again, even with another
    product, counts once, as it was first listed; banned products do not count at all."""
    seen: list[Counted] = []
    once: list[Order] = []
    for order, product in orders:  # stage 1: drop repeats
        if order not in seen:
            seen.append(order)
            once.append((order, product))
    allowed = [product for _, product in once if product not in banned]  # stage 2: filter
    counts: list[tuple[Counted, int]] = []
    for product in allowed:  # stage 3: count
        if product not in [name for name, _ in counts]:
            counts.append((product, sum(1 for other in allowed if other == product)))
    return sorted(counts)


def some_orders(seed: int, size: int = 500) -> tuple[list[Order], list[Counted]]:
    """Orders with repeats, and banned products; new objects every time, equal for equal seeds."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, int(size * 0.8), size)
    products = rng.integers(0, 150, size)
    orders = [
        (Counted(f"order {id}"), Counted(f"product {number:03}"))
        for id, number in zip(ids, products, strict=True)
    ]
    return orders, [Counted(f"product {number:03}") for number in range(0, 150, 7)]


def looks(function: Answer, seed: int) -> tuple[Any, int]:
    """What a function returns for the orders of a seed, and the looks at keys that it took."""
    orders, banned = some_orders(seed)
    before = Counted.looks
    result = function(orders, banned)
    return result, Counted.looks - before


def _difference(wanted: Any, got: Any) -> str:
    """The first place where two lists differ, in words."""
    if got == wanted:
        return "identical"
    if not isinstance(got, list):
        return f"a {type(got).__name__}, not a list"
    if len(got) != len(wanted):
        return f"{len(got)} products instead of {len(wanted)}"
    at = next(at for at, pair in enumerate(wanted) if got[at] != pair)
    return f"{got[at]!r} instead of {wanted[at]!r}"


def _identical(got: Any, seed: int) -> str:
    """What of sold() a wrong result leaves out, where that can be told."""
    orders, banned = some_orders(seed)
    last = [*dict(orders).items()]  # a dict keeps the last product of an order
    every = [(Counted(f"{at}"), product) for at, (_, product) in enumerate(orders)]
    rule = "Compare it with sold() on small input first."
    if got == sold(last, banned):
        rule = "Of an order that is listed again the first product counts, and you count the last."
    elif got == sold(every, banned):
        rule = "An order that is listed again counts once."
    elif got == sold(orders, []):
        rule = "Banned products do not count."
    return f"The output must stay identical. {rule}"


def _faster(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    ratios, taken = [], 0
    for seed in (11, 12, 13):
        wanted, slow = looks(sold, seed)
        got, fast = looks(answer, seed)
        if got is None:
            return Judgement("not attempted", "Return the list of (product, count).")
        same = bool(got == wanted)
        ratios.append(slow / max(fast, 1))
        taken += fast
        tried.append((f"same output, orders {seed}", same, _difference(wanted, got)))
        tried.append(("looks at keys", slow >= 5 * fast, f"{slow:,} → {fast:,}"))
        if not same:
            return Judgement("wrong", _identical(got, seed), tuple(tried))
        if fast < len(some_orders(seed)[0]):
            hint = "Too fast to be true: it did not look at every order. Where did the work go?"
            return Judgement("wrong", hint, tuple(tried))
    gain = min(ratios)
    if gain < 1.05:
        return Judgement("wrong", "Right, and not faster at all: same looks.", tuple(tried))
    if gain < 5:
        hint = (
            f"{gain:.1f}× fewer looks. You mended a stage; the others now take most of the rest. "
            "Count the looks of each stage, and begin with the largest."
        )
        return Judgement("wrong", hint, tuple(tried))
    return Judgement("right", f"{gain:.0f}× fewer looks at keys.", tuple(tried), taken)


# ── 3: the highest rate

TARGET = 0.050


def some_traffic(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaps between arrivals at a rate of 1 a second, and service times with a slow path."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1.0, 20_000)
    slow = np.random.default_rng(seed + 1).random(len(gaps)) < 0.05
    service = np.where(slow, 0.020, 0.004)
    return gaps, service


def _p95(gaps: np.ndarray, service: np.ndarray, rate: float) -> float:
    return percentile(response_times(gaps / rate, service), 95)


def _highest_rate(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for seed in (21, 22):
        gaps, service = some_traffic(seed)
        rate = answer(gaps.copy(), service.copy(), TARGET)
        if rate is None:
            return Judgement("not attempted", "Return a rate in requests a second.")
        rate = float(rate)
        if not rate > 0:
            return Judgement("wrong", f"A rate is above 0; you returned {rate!r}.")
        capacity = 1 / float(service.mean())
        here, above = _p95(gaps, service, rate), _p95(gaps, service, rate * 1.02)
        meets, highest = here <= TARGET, above > TARGET
        tried.append((f"p95 at {rate:.1f}/s, traffic {seed}", meets, f"{here * 1e3:.1f} ms"))
        tried.append(("2 % more would miss the target", highest, f"{above * 1e3:.1f} ms"))
        if rate >= 0.99 * capacity:
            hint = (
                f"1 ÷ mean service time is {capacity:.0f}/s: what the server can do at most, and "
                f"you say {rate:.0f}/s. There the queue never empties. Let each request wait for "
                "the one before it."
            )
            return Judgement("wrong", hint, tuple(tried))
        if not meets:
            hint = (
                "The target is missed. Is it the 95th percentile of response time, wait included?"
            )
            return Judgement("wrong", hint, tuple(tried))
        if not highest:
            hint = "The target is met with room to spare: a higher rate meets it too."
            return Judgement("wrong", hint, tuple(tried))
    return Judgement("right", "The highest rate that meets the target, within 2 %.", tuple(tried))


EXERCISES = [
    Exercise("Exercise 1, take turns", by_contract(timing)),
    Exercise("Exercise 2, the slow stage", _faster),
    Exercise("Exercise 3, the highest rate", _highest_rate),
    Exercise("Exercise 4, the work that never happened", judge_liars),
]
