"""python -m perflab report: one page of a reader's run, made from the record."""

import re

import pytest

from perflab.__main__ import main
from perflab.book import Chapter, Interval, YesNo
from perflab.book.records import Record
from perflab.book.report import write_report
from perflab.errors import PerflabError


def taken_part(a, b, clock):
    return "<b>not a number</b>"


@pytest.fixture
def run(my, script):
    """A record with predictions, verdicts and an answer."""
    chapter = Chapter(1)
    chapter.predict("1.1", YesNo("Does it?"), mine=("no", 80))
    chapter.predict("1.2", Interval("How long?", "ms", (0.1, 100)), mine=(2, 20))
    chapter.verdict("1.1", False, {"count": 1})
    chapter.measured("1.2", "p99 8.8 ms (7.3–10.1)", outcome=8.8)
    chapter.check(1, taken_part)
    return my


def test_the_page_says_machine_verdicts_predictions_and_answers(run, capsys):
    """Everything a teacher asks for, with the answer's code, escaped."""
    assert main(["report"]) == 0
    page = (run / "report.html").read_text("utf-8")
    assert str(run / "report.html") in capsys.readouterr().out
    for part in (Record().machine.label, "does not hold", "p99 8.8 ms", "2 to 20", "80 % sure",
                 "1 of 40 exercises tried, 0 right", "def taken_part"):  # fmt: skip
        assert part in page, part
    assert "&lt;b&gt;not a number" in page
    assert "<b>not a number" not in page


def test_the_page_fetches_nothing(run, tmp_path):
    """No script, no link, no picture from elsewhere: it is read without internet."""
    page = write_report(tmp_path / "mine.html").read_text("utf-8")
    assert not re.search(r"<(script|link|img|iframe)|https?:|@import|url\(", page)


def test_a_record_of_an_earlier_version_is_reported_too(run, tmp_path):
    """An answer whose code and cost were not kept yet."""
    Record().add("answers", exercise="1.2", status="right", hint="44×")
    page = write_report(tmp_path / "mine.html").read_text("utf-8")
    assert "was not kept" in page


def test_without_a_record_it_says_what_to_do(my):
    """There is nothing to hand in before a chapter was run, and no empty record is made."""
    with pytest.raises(PerflabError, match="run a chapter first"):
        write_report()
    assert not (my / "book.db").exists()


def test_a_page_that_cannot_be_written_is_named(run, tmp_path):
    """The error names the file."""
    with pytest.raises(PerflabError, match="cannot be written"):
        write_report(tmp_path)
