"""How an exercise is judged: what every chapter's exercises have in common.

A judge calls the answer with inputs of its own, counts, and returns a `Judgement`. It never
raises for what the answer does: a stub is «not attempted», an exception is wrong with a hint.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from perflab.book.exercises.borrowing import borrowed
from perflab.contracts import checks_of, judge

Answer = Callable[..., Any]
Tried = tuple[str, bool, str]


@dataclass(frozen=True)
class Judgement:
    """`status` is "right", "wrong", "not attempted" or "refused"; `tried` holds what was tested:
    (statement, passed, what was found). `measure` is what a right answer took, less is better; what
    it counts, and what the model answer took, stands in data/costs.csv."""

    status: str
    hint: str = ""
    tried: tuple[Tried, ...] = field(default=())
    measure: float | None = None


@dataclass(frozen=True)
class Exercise:
    """One exercise: its title and the function that judges an answer."""

    title: str
    tests: Callable[[Answer], Judgement]

    def judge(self, answer: Any) -> Judgement:
        """Judge an answer; whatever it does, this returns."""
        if not callable(answer):
            return Judgement("wrong", f"Give the function itself, not {answer!r}.")
        if taken := borrowed(answer):
            return Judgement("refused", f"Write it yourself: {taken}.")
        try:
            return self.tests(answer)
        except NotImplementedError:
            return Judgement(
                "not attempted",
                "Write it in place of the line that says «your turn», then run again.",
            )
        except (Exception, SystemExit) as error:
            return Judgement("wrong", f"Your function raised {type(error).__name__}: {error}")


def by_contract(
    contract: ModuleType, made: Callable[[Answer], Any] = lambda answer: answer
) -> Callable[[Answer], Judgement]:
    """Judge an answer by a contract: every check must hold; the first that fails gives the hint.

    `made` makes of the answer what the contract tries.
    """

    def tests(answer: Answer) -> Judgement:
        checks, thing = checks_of(contract), made(answer)
        checks[0].run(thing)  # a stub's NotImplementedError comes through here
        found = judge(contract, thing)
        tried = tuple((one, seen.holds, seen.found) for one, seen in found.items())
        failed = next((one for one in checks if not found[one.statement].holds), None)
        if failed is None:
            return Judgement("right", "Every check holds.", tried)
        return Judgement("wrong", failed.hint, tried)

    return tests


def dealt(names: Iterable[str], seed: int | None) -> dict[str, str]:
    """Which letter, A and so on, stands for which name: drawn anew for each seed."""
    order = list(names)
    drawn = np.random.default_rng(seed).permutation(len(order))
    return {chr(ord("A") + at): order[number] for at, number in enumerate(drawn)}


def accused_twice(
    accused: Callable[[int], Any],
    names: Iterable[str],
    guilty: Collection[str],
    what: str,
    hint: Callable[[str, str], str],
) -> Judgement | None:
    """The same as `accusation`, asked of two seeds under which the guilty have other letters: a
    set that was learnt by heart is wrong once. `accused(seed)` is what the answer says."""
    order, rng = sorted(names), np.random.default_rng()
    seeds: dict[frozenset[str], int] = {}
    while len(seeds) < 2:
        seed = int(rng.integers(1 << 30))
        of = dealt(order, seed).items()
        seeds.setdefault(frozenset(letter for letter, name in of if name in guilty), seed)
    wrong = (
        accusation(accused(seed), dealt(order, seed), guilty, what, hint) for seed in seeds.values()
    )
    return next((one for one in wrong if one is not None), None)


def accusation(
    said: Any,
    name_of: Mapping[str, str],
    guilty: Collection[str],
    what: str,
    hint: Callable[[str, str], str],
) -> Judgement | None:
    """What is wrong with a set of letters that is to name exactly the guilty; None if nothing is.

    `hint(name, letter)` is asked about one that was judged wrongly, an innocent one first.
    """
    if said is None:
        return Judgement("not attempted", "Return the set of letters.")
    if not isinstance(said, Iterable) or isinstance(said, str):
        return Judgement("wrong", f"Return a set of letters, not {said!r}.")
    unknown = sorted(map(repr, set(said) - set(name_of)))
    if unknown:
        return Judgement("wrong", f"There is no {what} {unknown[0]}.")
    named = {name_of[letter] for letter in said}
    tried = tuple(
        (name, (name in named) == (name in guilty), "accused" if name in named else "believed")
        for name in sorted(name_of.values())
    )
    wrong = min(named ^ set(guilty), key=lambda name: (name in guilty, name), default=None)
    if wrong is None:
        return None
    letter = next(letter for letter, name in name_of.items() if name == wrong)
    return Judgement("wrong", hint(wrong, letter), tried)
