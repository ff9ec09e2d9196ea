"""The claims of the book: data/claims.csv, one row each."""

import csv
from dataclasses import dataclass
from functools import cache

from perflab.book.readers import ROOT
from perflab.errors import require


@dataclass(frozen=True)
class Claim:
    """A claim restated so that it can fail.

    `kind` is core, more or demo; `lines` the guide's lines («20–50», or empty); `evidence` the
    tiers that judge it: A (the same on every machine), B (wall clock), AB, or empty for a demo.
    """

    id: str
    kind: str
    text: str
    lines: str
    evidence: str

    @property
    def chapter(self) -> int:
        return int(self.id.split(".")[0])


@cache
def claims() -> dict[str, Claim]:
    """Every claim by id, in the order of the book."""
    with open(ROOT / "data" / "claims.csv", newline="", encoding="utf-8") as file:
        return {row["id"]: Claim(**row) for row in csv.DictReader(file)}


def claim(id: str) -> Claim:
    """The claim of that id, for example «1.5»; ValueError where there is none."""
    known = claims()
    there = isinstance(id, str) and id in known
    require(there, "claim", id, "an id of data/claims.csv, for example '1.1'")
    return known[id]
