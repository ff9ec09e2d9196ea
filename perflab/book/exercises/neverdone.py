"""Chapter 1, exercise 4: eight functions that say they sum squares, and some never do the work."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from perflab.book.exercises.judging import Answer, Judgement, accused_twice, dealt

Candidate = Callable[[list[int]], Any]


def _by_name() -> dict[str, Candidate]:
    """Eight functions that all say they sum squares; some never do the work. Made anew."""
    first: list[int] = []

    def loop(data: list[int]) -> int:
        total = 0
        for value in data:
            total += value * value
        return total

    def lazy(data: list[int]) -> Any:
        return (value * value for value in data)

    def remembered(data: list[int]) -> int:
        if not first:
            first.append(loop(data))
        return first[0]

    @functools.cache
    def by_length(length: int) -> int:
        return length * (length - 1) * (2 * length - 1) // 6

    return {
        "plain loop": loop,
        "built-in sum": lambda data: sum([value * value for value in data]),
        "generator": lazy,
        "mapped": lambda data: map(operator.mul, data, data),
        "remembers its first answer": remembered,
        "knows range(n) by heart": lambda data: by_length(len(data)),
        "numpy": lambda data: int(np.square(np.asarray(data, dtype=object)).sum()),
        "samples one in ten": lambda data: 10 * sum(value * value for value in data[::10]),
    }


def candidates(seed: int | None = None) -> dict[str, Candidate]:
    """The eight functions, made anew, under letters that the seed deals out."""
    functions = _by_name()
    return {letter: functions[name] for letter, name in dealt(sorted(functions), seed).items()}


LIARS = {
    "generator",
    "mapped",
    "remembers its first answer",
    "knows range(n) by heart",
    "samples one in ten",
}
WHY = {
    "generator": "it returns a generator: nothing is squared until somebody asks for the values",
    "mapped": "it returns a map object: nothing is squared until somebody asks for the values",
    "remembers its first answer": "it answers the second call with the first call's result: "
    "try it twice, with different data",
    "knows range(n) by heart": "it is right for range(n) and for nothing else: use other data",
    "samples one in ten": "it looks at a tenth of the data, which is enough on constant data only",
}


def judge_liars(answer: Answer) -> Judgement:
    wrong = accused_twice(
        lambda seed: answer(candidates(seed)), _by_name(), LIARS, "function", _why
    )
    return wrong or Judgement("right", "All five found, and nobody innocent accused.")


def _why(name: str, letter: str) -> str:
    if name in LIARS:
        return f"«{name}» got away: {WHY[name]}."
    return f"«{name}» did all of its work. Speed proves nothing: compare the results."
