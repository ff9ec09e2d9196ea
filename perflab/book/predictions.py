"""What a reader can predict, and how a prediction is scored once the result is known.

Five kinds: an interval, a place on an axis, a ranking, one of several choices, yes or no; the last
two with a confidence. Each kind knows how to read an answer, how to score it and how to say the
score. Points run from 0 to 100 so that a chapter can be summed up; they rest on proper scoring
rules, under which it pays to say what one believes: the interval score (Gneiting and Raftery,
«Strictly Proper Scoring Rules», JASA 2007), the absolute error (it pays to name the median),
Brier's score (Monthly Weather Review, 1950) and, for a ranking, the pairs in the right order
(Kendall, «A New Measure of Rank Correlation», Biometrika 1938). Only the floor at 0 points is ours:
it keeps one prediction far off from deciding a chapter, and seldom touches an honest one.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from numbers import Real
from typing import Any

from perflab.book.wording import plain
from perflab.errors import require

COVERAGE = 0.8  # an interval should hold the result four times out of five


@dataclass(frozen=True)
class Scored:
    """Points from 0 to 100, whether the result was caught, and a sentence that says so.

    `sure` is the chance in percent that the reader gave it to be caught; None where none was said.
    """

    points: float
    caught: bool
    sentence: str
    sure: float | None = None


def number(value: object, name: str) -> float:
    """Any finite real number, numpy's too, as a float. ValueError that names it for all else."""
    usable = isinstance(value, Real) and not isinstance(value, bool)
    try:
        found = float(value) if usable else math.nan  # type: ignore[arg-type]  # a Real, see above
    except OverflowError:  # an int that no float holds
        found = math.inf
    require(math.isfinite(found), name, value, "a finite number")
    return found


def _asked(question: object) -> None:
    usable = isinstance(question, str) and bool(question.strip())
    require(usable, "question", question, "a sentence")


def _axis(between: object) -> tuple[float, float]:
    pair = isinstance(between, list | tuple) and len(between) == 2
    require(pair, "between", between, "a pair (lowest, highest)")
    lowest, highest = (number(end, "between") for end in between)  # type: ignore[attr-defined]  # a pair
    require(lowest < highest, "between", between, "lowest < highest")
    return lowest, highest


def _options(known: object) -> None:
    listed = known if isinstance(known, tuple) else ()
    several = all(isinstance(one, str) for one in listed) and len(set(listed)) == len(listed) >= 2
    require(several, "options", known, "a tuple of two or more different texts")


def _unit(unit: object) -> None:
    require(isinstance(unit, str), "unit", unit, "a text, empty for a bare number")


def _said(value: float, unit: str) -> str:
    return f"{plain(value)} {unit}".rstrip()


@dataclass(frozen=True)
class Interval:
    """A range that should hold the result four times out of five; `between` bounds its axis.

    The axis is logarithmic, so it begins above 0.
    """

    question: str
    unit: str
    between: tuple[float, float]

    def __post_init__(self) -> None:
        _asked(self.question)
        _unit(self.unit)
        require(_axis(self.between)[0] > 0, "between", self.between, "above 0")

    def read(self, answer: Any) -> tuple[float, float]:
        """Check an answer (low, high), both on the axis. ValueError says what is allowed."""
        pair = isinstance(answer, list | tuple) and len(answer) == 2
        require(pair, "answer", answer, "a pair (low, high)")
        low, high = number(answer[0], "low"), number(answer[1], "high")
        lowest, highest = self.between
        allowed = f"low < high within {plain(lowest)} and {_said(highest, self.unit)}"
        require(lowest <= low < high <= highest, "answer", answer, allowed)
        return low, high

    def say(self, answer: tuple[float, float]) -> str:
        return f"{plain(answer[0])} to {_said(answer[1], self.unit)}"

    def penalty(self, answer: tuple[float, float], result: float) -> float:
        """The interval score as a share of the axis; a result off the axis counts as its end."""
        lowest, highest = (math.log(bound) for bound in self.between)
        low, high = (math.log(bound) for bound in answer)
        found = math.log(min(max(result, self.between[0]), self.between[1]))
        miss = max(low - found, found - high, 0.0)
        return ((high - low) + 2 / (1 - COVERAGE) * miss) / (highest - lowest)

    def found(self, result: Any) -> float:
        """Check a result: ValueError if it is no finite number."""
        return number(result, "result")

    def score(self, answer: tuple[float, float], result: float) -> Scored:
        """Interval score on the logarithm of the axis: narrow is good, missing is dear.

        The whole axis, which says nothing, is worth 50 points.
        """
        result = self.found(result)
        points = 100 * max(0.0, 1 - self.penalty(answer, result) / 2)
        caught = answer[0] <= result <= answer[1]
        where = "inside your range" if caught else "outside your range"
        return Scored(points, caught, f"{_said(result, self.unit)}: {where}", 100 * COVERAGE)


@dataclass(frozen=True)
class Place:
    """One number on an axis; scored by how far off it is, as a share of the axis."""

    question: str
    unit: str
    between: tuple[float, float]

    def __post_init__(self) -> None:
        _asked(self.question)
        _unit(self.unit)
        _axis(self.between)

    def read(self, answer: Any) -> float:
        """Check an answer, a number on the axis. ValueError says what is allowed."""
        value = number(answer, "answer")
        lowest, highest = self.between
        allowed = f"between {plain(lowest)} and {_said(highest, self.unit)}"
        require(lowest <= value <= highest, "answer", answer, allowed)
        return value

    def say(self, answer: float) -> str:
        return _said(answer, self.unit)

    def found(self, result: Any) -> float:
        """Check a result: ValueError if it is no finite number."""
        return number(result, "result")

    def score(self, answer: float, result: float) -> Scored:
        """Distance as a share of the axis: on the spot 100, half an axis away 0."""
        result = self.found(result)
        off = abs(answer - result) / (self.between[1] - self.between[0])
        return Scored(100 * max(0.0, 1 - 2 * off), off <= 0.1, _said(result, self.unit))


@dataclass(frozen=True)
class Choice:
    """One of several, with a confidence in percent."""

    question: str
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        _asked(self.question)
        _options(self.options)

    def read(self, answer: Any) -> tuple[str, float]:
        """Check an answer (option, confidence in %). ValueError says what is allowed."""
        pair = isinstance(answer, list | tuple) and len(answer) == 2
        require(pair, "answer", answer, "a pair (option, confidence in %)")
        option, confidence = answer[0], number(answer[1], "confidence")
        known = isinstance(option, str) and option in self.options
        require(known, "option", option, "one of " + ", ".join(self.options))
        least = 100 / len(self.options)
        allowed = f"between {least:.0f} (a pure guess) and 100"
        require(int(least) <= confidence <= 100, "confidence", answer[1], allowed)
        return str(option), confidence

    def say(self, answer: tuple[str, float]) -> str:
        return f"«{answer[0]}», {answer[1]:.0f} % sure"

    def found(self, result: Any) -> str:
        """Check a result: ValueError if it is none of the options."""
        known = isinstance(result, str) and result in self.options
        require(known, "result", result, "one of " + ", ".join(self.options))
        return str(result)

    def score(self, answer: tuple[str, float], result: str) -> Scored:
        """Brier's score over all options, the rest of the confidence shared by the others."""
        result = self.found(result)
        option, sure = answer[0], answer[1] / 100
        rest = (1 - sure) / (len(self.options) - 1)
        given = {one: sure if one == option else rest for one in self.options}
        brier = sum((share - (one == result)) ** 2 for one, share in given.items())
        return Scored(100 * (1 - brier / 2), option == result, f"«{result}»", answer[1])


@dataclass(frozen=True)
class Ranking:
    """Several things in order, the first one first, as the question says what first means."""

    question: str
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        _asked(self.question)
        _options(self.options)

    def read(self, answer: Any) -> tuple[str, ...]:
        """Check an answer: each option once, in order. ValueError says what is allowed."""
        return self._ordered("answer", answer)

    def say(self, answer: tuple[str, ...]) -> str:
        return ", ".join(answer)

    def found(self, result: Any) -> tuple[str, ...]:
        """Check a result: ValueError if it does not have each option once."""
        return self._ordered("result", result)

    def score(self, answer: tuple[str, ...], result: tuple[str, ...]) -> Scored:
        """The share of pairs that stand in the right order; blindly it would be half of them."""
        place = {option: at for at, option in enumerate(self.found(result))}
        pairs = list(combinations(answer, 2))
        right = sum(place[earlier] < place[later] for earlier, later in pairs)
        sentence = f"{self.say(tuple(result))}: {right} of {len(pairs)} pairs in the right order"
        return Scored(100 * right / len(pairs), right == len(pairs), sentence)

    def _ordered(self, name: str, value: Any) -> tuple[str, ...]:
        usable = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        usable = usable and sorted(value) == sorted(self.options)
        require(usable, name, value, "in order, each once: " + ", ".join(self.options))
        return tuple(value)


def YesNo(question: str) -> Choice:  # noqa: N802 - reads as a kind beside the others
    """Yes or no, with a confidence in percent."""
    return Choice(question, ("yes", "no"))


Kind = Interval | Place | Choice | Ranking
