"""The whole book summed up: how well a reader's predictions were calibrated.

A reader is calibrated when things said to be 70 % sure come true in 70 of 100 cases. A few cases
prove little: the number that comes true varies by chance, with the variance Σ p (1 − p) for the
chances p that were said (Poisson's binomial distribution), and is judged against that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perflab.book.records import Record, Row

KINDS = {"Interval": "ranges", "Place": "places on an axis", "Ranking": "rankings"}
SURE = ((0, 60, "choices, less than 60 % sure"), (60, 85, "choices, 60 to 84 % sure"))
VERY = "choices, 85 % sure or more"
CHANCE = 2.0  # standard deviations; chance exceeds them about once in twenty
NONE_YET = "No prediction of yours has been scored yet: the first one is asked in section 1.1."


@dataclass(frozen=True)
class Group:
    """Predictions of one sort. `said` is the mean chance in percent that the reader gave them,
    None where none was said; `came_true` of how many it is known, `points` their mean."""

    what: str
    made: int
    said: float | None
    came_true: int
    points: float


@dataclass(frozen=True)
class Calibration:
    """The book's predictions by sort, and what they say together."""

    groups: tuple[Group, ...]
    sentence: str


def counted(record: Record) -> list[Row]:
    """The score that counts of each question: the last one of a prediction made in time."""
    last = {(row["claim"], row["kind"]): row for row in record.rows("scores", late=0)}
    return [row for row in last.values() if row["caught"] is not None]  # an older book kept less


def calibration(record: Record) -> Calibration:
    """What all predictions of the record, made before their results, say of the reader."""
    rows = counted(record)
    sorts: dict[str, list[Row]] = {name: [] for name in (*KINDS.values(), *_names())}
    for row in rows:
        sorts[KINDS.get(row["kind"]) or _how_sure(row["sure"])].append(row)
    groups = tuple(_group(what, some) for what, some in sorts.items() if some)
    return Calibration(groups, _sentence([row for row in rows if row["sure"] is not None], rows))


def _names() -> tuple[str, ...]:
    return (*(name for _, _, name in SURE), VERY)


def _how_sure(sure: float) -> str:
    return next((name for low, high, name in SURE if low <= sure < high), VERY)


def _group(what: str, rows: Sequence[Row]) -> Group:
    said = [row["sure"] for row in rows if row["sure"] is not None]
    return Group(
        what,
        len(rows),
        sum(said) / len(said) if said else None,
        sum(row["caught"] for row in rows),
        sum(row["points"] for row in rows) / len(rows),
    )


def _sentence(sure: Sequence[Row], rows: Sequence[Row]) -> str:
    """How many came true beside how many were said to, and whether chance does as much."""
    if not rows:
        return NONE_YET
    points = sum(row["points"] for row in rows) / len(rows)
    mean = f"{len(rows)} scored, {points:.0f} points on average."
    if not sure:
        return f"{mean} None of them came with a chance, so there is nothing to calibrate."
    chances = [row["sure"] / 100 for row in sure]
    expected, true = sum(chances), sum(row["caught"] for row in sure)
    by_chance = math.sqrt(sum(chance * (1 - chance) for chance in chances))
    said = f"You said that {expected:.1f} of {len(sure)} would come true; {true} did."
    if abs(true - expected) <= CHANCE * by_chance:
        return f"{mean} {said} Chance alone may do as much: no sign that your confidence is off."
    word = "surer than you were right" if true < expected else "right more often than you said"
    return f"{mean} {said} Chance alone seldom does that: you were {word}."
