"""What a right answer takes, beside what the model answer took on the reference machine.

data/costs.csv has a row for each exercise that counts something: what is counted, and the model
answer's count. The model answers themselves are nowhere in the package.
"""

import csv
from dataclasses import dataclass
from functools import cache

from perflab.book.readers import ROOT
from perflab.book.wording import plain


@dataclass(frozen=True)
class Cost:
    """What an answer took: less is better."""

    counted: str  # what is counted: «looks at keys»
    here: float
    model: float

    @property
    def ratio(self) -> float:
        """How many times what the model answer takes."""
        return self.here / self.model

    def __str__(self) -> str:
        times = f"{self.ratio:.2f}× the model answer's {plain(self.model)}"
        return f"{plain(self.here)} {self.counted}, {times}"


@cache
def models() -> dict[str, tuple[str, float]]:
    """By exercise, such as «1.2»: what is counted, and the model answer's count."""
    with open(ROOT / "data" / "costs.csv", newline="", encoding="utf-8") as file:
        return {
            row["exercise"]: (row["counted"], float(row["model"])) for row in csv.DictReader(file)
        }


def with_cost(hint: str, cost: Cost | None) -> str:
    """The hint, and after it what the answer took, if something is counted."""
    return f"{hint} {cost}." if cost else hint


def cost_of(exercise: str, status: str, measure: float | None) -> Cost | None:
    """The cost of an answer, if it is right and something is counted in this exercise."""
    if status != "right" or measure is None or exercise not in models():
        return None
    counted, model = models()[exercise]
    return Cost(counted, measure, model)
