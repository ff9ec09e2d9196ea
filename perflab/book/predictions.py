"""What a reader can predict, and how a prediction is scored once the result is known.

Four kinds: an interval, a place on an axis, one of several choices, yes or no; the last two with
a confidence. Each kind knows how to read an answer, how to score it and how to say the score.
Points run from 0 to 100 so that a chapter can be summed up; what they rest on are proper scoring
rules, under which it pays to say what one believes: the interval score (Gneiting and Raftery,
«Strictly Proper Scoring Rules», JASA 2007) and Brier's (Monthly Weather Review, 1950).
"""

import math
from dataclasses import dataclass
from typing import Any

from perflab.book.wording import plain
from perflab.errors import require

COVERAGE = 0.8  # an interval should hold the result four times out of five


@dataclass(frozen=True)
class Scored:
    """Points from 0 to 100, whether the result was caught, and a sentence that says so."""

    points: float
    caught: bool
    sentence: str


def _number(value: object, name: str) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    require(usable and math.isfinite(value), name, value, "a finite number")  # type: ignore[arg-type]  # checked first
    return float(value)  # type: ignore[arg-type]  # checked above


@dataclass(frozen=True)
class Interval:
    """A range that should hold the result four times out of five; `between` bounds its axis."""

    question: str
    unit: str
    between: tuple[float, float]

    def read(self, answer: Any) -> tuple[float, float]:
        """Check an answer (low, high), both on the axis. ValueError says what is allowed."""
        pair = isinstance(answer, list | tuple) and len(answer) == 2
        require(pair, "answer", answer, "a pair (low, high)")
        low, high = _number(answer[0], "low"), _number(answer[1], "high")
        lowest, highest = self.between
        allowed = f"low < high within {plain(lowest)} and {plain(highest)} {self.unit}"
        require(lowest <= low < high <= highest, "answer", answer, allowed)
        return low, high

    def say(self, answer: tuple[float, float]) -> str:
        return f"{plain(answer[0])} to {plain(answer[1])} {self.unit}".rstrip()

    def score(self, answer: tuple[float, float], result: float) -> Scored:
        """Interval score on the logarithm of the axis: narrow is good, missing is dear."""
        lowest, highest = (math.log(bound) for bound in self.between)
        low, high = (math.log(bound) for bound in answer)
        found = math.log(min(max(result, self.between[0]), self.between[1]))
        miss = max(low - found, found - high, 0.0)
        penalty = (high - low) + 2 / (1 - COVERAGE) * miss
        points = 100 * max(0.0, 1 - penalty / (highest - lowest))
        caught = answer[0] <= result <= answer[1]
        return Scored(points, caught, f"{plain(result)} {self.unit}: {_caught(caught)}")


@dataclass(frozen=True)
class Place:
    """One number on an axis; scored by how far off it is, as a share of the axis."""

    question: str
    unit: str
    between: tuple[float, float]

    def read(self, answer: Any) -> float:
        """Check an answer, a number on the axis. ValueError says what is allowed."""
        value = _number(answer, "answer")
        lowest, highest = self.between
        allowed = f"between {plain(lowest)} and {plain(highest)} {self.unit}".rstrip()
        require(lowest <= value <= highest, "answer", answer, allowed)
        return value

    def say(self, answer: float) -> str:
        return f"{plain(answer)} {self.unit}".rstrip()

    def score(self, answer: float, result: float) -> Scored:
        """Distance as a share of the axis: on the spot 100, half an axis away 0."""
        off = abs(answer - result) / (self.between[1] - self.between[0])
        return Scored(
            100 * max(0.0, 1 - 2 * off), off <= 0.1, f"{plain(result)} {self.unit}".rstrip()
        )


@dataclass(frozen=True)
class Choice:
    """One of several, with a confidence in percent."""

    question: str
    options: tuple[str, ...]

    def read(self, answer: Any) -> tuple[str, float]:
        """Check an answer (option, confidence in %). ValueError says what is allowed."""
        pair = isinstance(answer, list | tuple) and len(answer) == 2
        require(pair, "answer", answer, "a pair (option, confidence in %)")
        option, confidence = answer[0], _number(answer[1], "confidence")
        require(option in self.options, "option", option, "one of " + ", ".join(self.options))
        least = 100 / len(self.options)
        allowed = f"between {least:.0f} (a pure guess) and 100"
        require(int(least) <= confidence <= 100, "confidence", answer[1], allowed)
        return option, confidence

    def say(self, answer: tuple[str, float]) -> str:
        return f"«{answer[0]}», {answer[1]:.0f} % sure"

    def score(self, answer: tuple[str, float], result: str) -> Scored:
        """Brier's score over all options, the rest of the confidence shared by the others."""
        option, sure = answer[0], answer[1] / 100
        rest = (1 - sure) / max(1, len(self.options) - 1)
        given = {one: sure if one == option else rest for one in self.options}
        brier = sum((share - (one == result)) ** 2 for one, share in given.items())
        return Scored(100 * (1 - brier / 2), option == result, f"«{result}»")


def YesNo(question: str) -> Choice:  # noqa: N802 - reads as a kind beside the others
    """Yes or no, with a confidence in percent."""
    return Choice(question, ("yes", "no"))


Kind = Interval | Place | Choice


def _caught(caught: bool) -> str:
    return "inside your range" if caught else "outside your range"
