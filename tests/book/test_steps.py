"""The reader's way: how far one has come, the book summed up, and predictions begun anew."""

import json
import re
import sqlite3

import pytest

from perflab.book import Chapter, Choice, Interval, Place, Ranking, YesNo, steps
from perflab.book.ledger import NONE_YET, calibration
from perflab.book.records import TABLES, Record
from perflab.book.reset import reset_predictions
from perflab.errors import PerflabError

MS = Interval("How long?", "ms", (0.5, 500))


def score(record, claim, kind, caught, sure=None, points=50.0, late=0):
    row = {"caught": int(caught), "sure": sure, "points": points, "late": late}
    record.add("scores", claim=claim, kind=kind, **row)


# ── how far one has come


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but a text of some length"])
def test_without_a_record_one_begins_at_the_beginning(my, content):
    """None, an empty file, somebody else's file: the first chapter, and nothing is written."""
    my.mkdir()
    if content is not None:
        (my / "book.db").write_bytes(content)
    text, html = steps.page(steps.steps(my))
    assert text == "Nothing has been run here yet. Begin with 1 Fundamentals: 50 minutes."
    assert '<a href="01-fundamentals.ipynb">' in html
    assert [one.name for one in my.iterdir()] == ([] if content is None else ["book.db"])


def test_steps_are_counted_from_the_record(my):
    """Each claim once, exercises that are right, the mystery once it is solved."""
    record = Record()
    for claim in ("1.1", "1.1", "1.2", "2.1"):
        record.add("verdicts", claim=claim, word="holds", facts={})
    record.add("predictions", claim="1.2", kind="Interval", answer=(1, 2))
    record.add("predictions", claim="1.mystery", kind="Choice", answer=("a", 60))
    for exercise, status in (("1.1", "wrong"), ("1.1", "right"), ("1.2", "wrong")):
        record.add("answers", exercise=exercise, status=status, hint="")
    record.add("outcomes", claim="1.mystery")
    first, second = steps.steps(my)[:2]
    assert (first.verdicts[0], first.predictions[0], first.exercises) == (2, 1, (1, 4))
    assert first.solved
    assert (second.verdicts[0], second.solved, second.begun) == (1, False, True)
    text, html = steps.page(steps.steps(my))
    assert text.startswith("Go on with 1 Fundamentals.")
    assert "2 of 9 verdicts" in text
    assert "1 of 4 exercises solved" in text
    assert "■□□□" in html


def test_who_has_seen_a_chapter_is_sent_to_the_next(my):
    """All verdicts and the mystery: what is open of its exercises does not hold anybody back."""
    record = Record()
    for at in range(1, 10):
        record.add("verdicts", claim=f"1.{at}", word="holds", facts={})
    record.add("outcomes", claim="1.mystery")
    assert steps.page(steps.steps(my))[0].startswith("Next is 2 Profiling and monitoring.")


# ── the book summed up


def test_an_empty_record_has_an_empty_ledger(my, page):
    """All claims, none judged, and where the first prediction is asked."""
    Chapter(10).ledger()
    assert calibration(Record()).groups == ()
    assert NONE_YET in page.text
    assert "Chapter 1: 0 of 9 claims judged" in page.text


def test_predictions_of_each_kind_are_summed_up(my, page):
    """By kind, and those with a confidence by how sure; late ones and older scores do not count."""
    record = Record()
    for at in range(4):
        score(record, f"1.{at}", "Interval", at > 0, 80.0)
    score(record, "2.1", "Place", True, points=90.0)
    score(record, "2.2", "Ranking", False, points=60.0)
    score(record, "2.3", "Choice", True, 55.0)
    score(record, "2.4", "Choice", True, 75.0)
    score(record, "2.5", "Choice", False, 95.0)
    score(record, "2.6", "Choice", False, 95.0, late=1)
    score(record, "2.3", "Choice", False, 50.0)
    found = {one.what: one for one in calibration(record).groups}
    assert [one.made for one in found.values()] == [4, 1, 1, 1, 1, 1]
    assert (found["ranges"].said, found["ranges"].came_true) == (80, 3)
    assert found["places on an axis"].said is None
    assert found["choices, less than 60 % sure"].came_true == 0
    Chapter(10).ledger()
    assert "said that 5.4 of 7 would come true; 4 did" in page.text
    assert "<svg" in page.shown[-1]["text/html"]


@pytest.mark.parametrize(
    ("caught", "word"),
    [(range(0), "surer than you were right"), (range(16), "no sign"), (range(9), "surer")],
)
def test_a_few_misses_are_chance_and_many_are_not(my, caught, word):
    """Twenty ranges that were to hold in sixteen cases."""
    record = Record()
    for at in range(20):
        score(record, f"1.{at}", "Interval", at in caught, 80.0)
    assert word in calibration(record).sentence


def test_who_says_too_little_is_told(my):
    """Always right and never more than half sure."""
    record = Record()
    for at in range(20):
        score(record, f"1.{at}", "Choice", True, 50.0)
    assert "right more often than you said" in calibration(record).sentence


def test_a_record_of_an_earlier_version_gets_what_it_lacks(my):
    """Its scores are kept; what they do not tell is not counted."""
    my.mkdir()
    with sqlite3.connect(my / "book.db") as old:
        old.execute("create table scores (claim, at, kind, points, late)")
        old.execute("insert into scores values ('1.1', '', 'Place', 70, 0)")
    old.close()
    record = Record()
    assert record.last("scores")["points"] == 70
    assert calibration(record).groups == ()
    score(record, "1.2", "Place", True)
    assert calibration(record).groups[0].made == 1


# ── each kind, from question to figure


@pytest.mark.parametrize(
    ("kind", "mine", "outcome", "sure"),
    [
        (MS, (5, 20), 10, 80),
        (Place("How much?", "ms", (0, 100)), 20, 20, None),
        (YesNo("Is it?"), ("yes", 70), "yes", 70),
        (Choice("Which?", ("a", "b", "c")), ("b", 90), "b", 90),
        (Ranking("In which order?", ("a", "b", "c")), ("c", "a", "b"), ("c", "a", "b"), None),
    ],
)
def test_each_kind_is_kept_drawn_and_scored(my, page, kind, mine, outcome, sure):
    """The figure says it in words, the record keeps points, whether it was caught, how sure."""
    from perflab.book import Panel

    ch = Chapter(1)
    ch.predict("1.2", kind, mine=mine)
    ch.figure("1.2", "T", "x", [Panel("latency (ms)", {"a": ([1, 2], [1, 30])})], predicted_in=0)
    assert f"Your prediction: {kind.say(kind.read(mine))}." in page.text
    ch.measured("1.2", "it was so (1–2)", outcome=outcome)
    row = ch.record.last("scores")
    assert (row["caught"], row["sure"], row["late"]) == (1, sure, 0)
    assert row["points"] > 70


# ── predictions begun anew


def test_a_reset_forgets_predictions_and_nothing_else(my, capsys):
    """The rest stays, the record as it was stands beside, and a new prediction counts again."""
    ch = Chapter(1)
    ch.predict("1.2", MS, mine=(5, 20))
    ch.verdict("1.2", True, {"a": 1})
    ch.measured("1.2", "10 ms (9–11)", outcome=10)
    before = {table: ch.record.rows(table) for table in TABLES}
    done = reset_predictions(my)
    assert (done.predictions, done.scores) == (1, 1)
    assert done.backup.name in str(done)
    after = {table: ch.record.rows(table) for table in TABLES}
    gone = {"predictions", "scores", "outcomes"}
    assert {table for table in TABLES if before[table] and not after[table]} == gone
    assert all(before[table] == after[table] for table in TABLES if table not in gone)
    kept = Record(done.backup)
    assert {table: kept.rows(table) for table in TABLES} == before
    ch.predict("1.2", MS, mine=(5, 20))
    ch.measured("1.2", "10 ms (9–11)", outcome=10)
    assert ch.record.last("scores")["late"] == 0


def test_a_second_reset_on_one_day_has_a_name_of_its_own(my):
    """And one with nothing to forget makes no file."""
    names = set()
    for _ in range(2):
        Record().add("predictions", claim="1.1", kind="Place", answer=1.0)
        names.add(reset_predictions(my).backup.name)
    assert len(names) == 2
    assert reset_predictions(my).backup is None
    assert "no predictions" in str(reset_predictions(my / "nowhere"))
    assert len(list(my.glob("*.db"))) == 3


def test_a_record_that_cannot_be_reset_is_left_alone(my):
    """Somebody else's file: an error that names it, and not a byte changed."""
    my.mkdir()
    (my / "book.db").write_bytes(b"not a database, whatever its name may say" * 50)
    with pytest.raises(PerflabError, match=r"book\.db cannot be reset"):
        reset_predictions(my)
    assert (my / "book.db").read_bytes().startswith(b"not a database")


def test_the_page_is_filled_before_lab_opens(my):
    """The output of the page's cell, and no other cell, comes from the record."""
    my.mkdir()
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 3}
    cells = [cell | {"source": "from perflab.book import progress\n\nprogress()"}]
    cells += [cell | {"source": "mine = 1"}]
    (my / "00-contents.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}}))
    steps.fill(my)
    filled = json.loads((my / "00-contents.ipynb").read_text())["cells"]
    assert re.search("Begin with", filled[0]["outputs"][0]["data"]["text/plain"])
    assert filled[1] == cells[1]
    (my / "00-contents.ipynb").write_text("{")
    steps.fill(my)
    assert (my / "00-contents.ipynb").read_text() == "{"
