"""The table of claims is complete, in order, and each row says what it must."""

import csv
import re
from collections import Counter

import pytest

from perflab.book.claims import Claim, claim, claims
from perflab.book.readers import ROOT

# How many claims each chapter has, and how many of them are core.
CLAIMS = {1: 10, 2: 13, 3: 11, 4: 10, 5: 11, 6: 12, 7: 11, 8: 10, 9: 11, 10: 9}
CORE = {1: 5, 2: 4, 3: 5, 4: 5, 5: 4, 6: 5, 7: 5, 8: 4, 9: 5, 10: 5}
LAST_LINE = 1401  # of the guide
LONGEST = 110


def rows() -> list[Claim]:
    """Every row as it stands in the file: a dict by id would hide a repeated one."""
    with open(ROOT / "data" / "claims.csv", newline="", encoding="utf-8") as file:
        return [Claim(**row) for row in csv.DictReader(file)]


def test_every_claim_stands_once_and_in_order() -> None:
    """Chapter by chapter the numbers run from 1 to that chapter's count, none left out."""
    assert [row.id for row in rows()] == [
        f"{chapter}.{number}" for chapter, n in CLAIMS.items() for number in range(1, n + 1)
    ]


def test_each_chapter_has_its_core_claims() -> None:
    """A chapter has four or five claims that get a full experiment, chapter 1 these five."""
    assert Counter(row.chapter for row in rows() if row.kind == "core") == CORE
    first = [row.id for row in rows() if row.kind == "core" and row.chapter == 1]
    assert first == ["1.1", "1.2", "1.4", "1.5", "1.6"]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_a_claim_is_judged_and_a_demo_is_not(row: Claim) -> None:
    """Core and more claims name the evidence that judges them; a demo only shows something."""
    assert row.kind in {"core", "more", "demo"}
    assert row.evidence in ({""} if row.kind == "demo" else {"A", "B", "AB"})


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_a_claim_is_one_short_sentence(row: Claim) -> None:
    """It fits a figure's title, is one line without stray blanks, and ends with a full stop."""
    assert 0 < len(row.text) <= LONGEST
    assert row.text == " ".join(row.text.split())
    assert row.text.endswith(".")
    assert ". " not in row.text


def test_no_two_claims_say_the_same() -> None:
    """Texts are told apart even when only capitals differ."""
    texts = Counter(row.text.casefold() for row in rows())
    assert [text for text, times in texts.items() if times > 1] == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_the_lines_of_the_guide_exist_and_ascend(row: Claim) -> None:
    """«46, 1386–1387»: lines or ranges with an en dash, in order, never overlapping."""
    if not row.lines:
        return  # the guide says nothing on it
    assert re.fullmatch(r"\d+(–\d+)?(, \d+(–\d+)?)*", row.lines)
    before = 0
    for part in row.lines.split(", "):
        first, *rest = map(int, part.split("–"))
        last = rest[0] if rest else first
        assert before < first <= last <= LAST_LINE
        assert not rest or first < last
        before = last


def test_a_claim_is_found_by_its_id() -> None:
    """The book's view has every row, by id and in the file's order."""
    assert list(claims().values()) == rows()
    assert claim("10.9").chapter == 10


@pytest.mark.parametrize("unknown", ["", "1", "1.0", "1.11", "11.1", " 1.1"])
def test_an_unknown_id_is_refused_by_name(unknown: str) -> None:
    """The message names the argument and shows what was given."""
    with pytest.raises(ValueError, match=re.escape(f"claim={unknown!r}")):
        claim(unknown)
