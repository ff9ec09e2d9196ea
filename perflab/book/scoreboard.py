"""What the record says of a chapter, as rows: verdicts, effects, predictions and answers."""

import csv
from dataclasses import dataclass

from perflab.book.claims import claims
from perflab.book.exercises import titles
from perflab.book.readers import ROOT
from perflab.book.records import Record

REFERENCE = ROOT / "data" / "reference.csv"


@dataclass(frozen=True)
class Line:
    """One claim on the scoreboard; empty strings where nothing is known yet."""

    claim: str
    text: str
    word: str  # the verdict, from Tier A evidence where there is any
    here: str  # what the clock showed on this machine
    reference: str  # and on the reference machine
    points: float | None  # of the last prediction made before the result was known


def reference() -> dict[str, dict[str, str]]:
    """What the reference machine measured, by claim: word, effect, machine."""
    if not REFERENCE.exists():
        return {}
    with open(REFERENCE, newline="", encoding="utf-8") as file:
        return {row["claim"]: row for row in csv.DictReader(file)}


def lines(record: Record, chapter: int) -> list[Line]:
    """A line per claim of the chapter that can be judged, in the order of the book."""
    elsewhere = reference()
    found = []
    for one in claims().values():
        if one.chapter != chapter or one.kind == "demo":
            continue
        verdict = record.last("verdicts", claim=one.id, machine=record.machine.id)
        effect = record.last("effects", claim=one.id, machine=record.machine.id)
        scored = record.last("scores", claim=one.id, late=0)
        found.append(
            Line(
                one.id,
                one.text,
                verdict["word"] if verdict else "",
                effect["effect"] if effect else "",
                elsewhere.get(one.id, {}).get("effect", ""),
                scored["points"] if scored else None,
            )
        )
    return found


def answers(record: Record, chapter: int) -> list[tuple[str, str]]:
    """Each exercise of the chapter with the status of its best answer so far."""
    order = ("right", "wrong", "refused", "not attempted")
    found = []
    for number, title in enumerate(titles(chapter), 1):
        rows = record.rows("answers", exercise=f"{chapter}.{number}")
        status = {row["status"] for row in rows}
        found.append((title, next((one for one in order if one in status), "not attempted")))
    return found
