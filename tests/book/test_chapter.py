"""A chapter as a reader meets it: Run All, once more, by form or in code, unable to write."""

import math
import types

import numpy as np
import pytest

from perflab.book import Chapter, Choice, Interval, Panel, Place, YesNo, chapter
from perflab.book.claims import claims
from perflab.contracts import timing
from perflab.errors import DifferentMachinesError

MS = Interval("How long does the slowest hundredth take?", "ms", (0.5, 500))
SUSPECTS = ("the processor", "the network", "a queue")
FIGURE = ("The tail is long", "time (s)", [Panel("latency (ms)", {"measured": ([0, 1], [1, 9])})])


@pytest.fixture
def ch(my, page):
    return Chapter(1)


def experiment(ch, outcome=9.0, mine=None):
    """One core experiment as a notebook has it, from the question to the score."""
    ch.predict("1.2", MS, mine=mine)
    ch.figure("1.2", *FIGURE, predicted_in=0)
    ch.verdict("1.2", False, {"slow requests": "1 of 100", "seen": True})
    ch.measured("1.2", "p99 9 ms (8–10)", holds=False, outcome=outcome)


def judged_chapter(mine):
    """A new chapter with that experiment done."""
    ch = Chapter(1)
    experiment(ch, mine=mine)
    return ch


def scores(ch):
    return [(row["points"], row["late"]) for row in ch.record.rows("scores")]


def test_without_a_prediction_everything_runs(ch, capsys):
    """Figure, verdict, effect and scoreboard are there; nothing is scored."""
    experiment(ch)
    ch.scoreboard()
    assert "made no prediction" in capsys.readouterr().out
    assert scores(ch) == []
    assert "No prediction of yours was scored" in page_text(ch)


def page_text(ch):
    return chapter.show.display.__self__.text


def test_a_prediction_made_before_counts(ch):
    """It is drawn, scored, and stands on the scoreboard."""
    experiment(ch, mine=(5, 20))
    ((points, late),) = scores(ch)
    assert points > 50
    assert late == 0
    ch.scoreboard()
    assert "1 scored" in page_text(ch)
    assert "inside your range" in page_text(ch)


def test_a_second_run_all_keeps_the_prediction_and_its_honour(ch, my, page):
    """Same kernel, then a fresh one: the prediction was made before, so no run turns it late."""
    experiment(ch, mine=(5, 20))
    experiment(ch, mine=(5, 20))
    experiment(Chapter(1))  # the keyword is gone again, the record remembers
    assert [late for _, late in scores(ch)] == [0, 0, 0]
    assert len(ch.record.rows("predictions")) == 1


@pytest.mark.parametrize("seen", ["figure", "verdict", "outcome"])
def test_a_prediction_made_after_the_result_is_hindsight(ch, seen):
    """It is scored, but apart: one look at figure, verdict or outcome is enough."""
    if seen == "figure":
        ch.figure("1.2", *FIGURE)
    elif seen == "verdict":
        ch.verdict("1.2", False, {"seen": True})
    else:
        ch.measured("1.2", "p99 9 ms (8–10)", outcome=9.0)  # the question was skipped
    experiment(ch, mine=(8, 10))
    ((points, late),) = scores(ch)
    assert points > 90
    assert late == 1
    ch.scoreboard()
    assert "does not count" in page_text(ch)
    assert "No prediction of yours was scored" in page_text(ch)


def test_a_prediction_changed_after_the_result_leaves_the_first_score(ch):
    """The scoreboard keeps what the honest one earned."""
    experiment(ch, mine=(5, 20))
    experiment(ch, mine=(8.9, 9.1))
    (first, _), (second, late) = scores(ch)
    assert second > first
    assert late == 1
    lines = chapter.scoreboard.lines(ch.record, 1)
    assert {line.points for line in lines} == {None, first}


def test_an_answer_to_an_older_question_is_no_answer(ch):
    """A chapter may change its axis or its options; the reader's old answer does no harm."""
    ch.predict("1.2", MS, mine=(5, 20))
    ch.predict("1.2", Interval("The same, in seconds", "s", (0.001, 1)))
    assert ch.prediction("1.2") is None
    ch.predict("1.4", Choice("Which?", ("one", "two")), mine=("one", 70))
    ch.predict("1.4", YesNo("Does it?"))
    assert ch.prediction("1.4") is None
    ch.predict("1.2", MS)
    assert ch.prediction("1.2") == (5.0, 20.0)


def test_a_wrong_prediction_is_refused_and_not_kept(ch):
    """The error names what is wrong; the last good one stays."""
    ch.predict("1.2", MS, mine=(5, 20))
    with pytest.raises(ValueError, match="answer="):
        ch.predict("1.2", MS, mine=(20, 5))
    assert ch.prediction("1.2") == (5.0, 20.0)


def test_the_mystery_is_voted_on_and_solved(ch, capsys):
    """The vote is scored like any choice."""
    ch.mystery("Who?", SUSPECTS, mine=("a queue", 80))
    ch.solved("a queue")
    assert "It was a queue." in capsys.readouterr().out
    assert scores(ch)[0][1] == 0
    with pytest.raises(ValueError, match="culprit='the butler'"):
        ch.solved("the butler")


def test_a_reader_who_skips_the_question_may_still_see_the_answer(ch, capsys):
    """Cells that ask are optional."""
    ch.solved("a queue")
    ch.measured("1.2", "p99 9 ms (8–10)", outcome=9.0)
    assert "It was a queue." in capsys.readouterr().out


def test_a_verdict_prints_its_word_and_its_facts(ch):
    """As text for CI, which compares it; truth values as yes and no, numpy's too."""
    ch.verdict("1.2", np.False_, {"pages": "63 %", "slow": np.True_, "fast": False})
    text = page_text(ch)
    assert "1.2  does not hold: The mean tells what a user feels." in text
    assert [line.split() for line in text.splitlines()[1:]] == [
        ["pages", "63", "%"],
        ["slow", "yes"],
        ["fast", "no"],
    ]
    assert ch.record.last("verdicts")["facts"] == {"pages": "63 %", "slow": "yes", "fast": "no"}


def test_a_claim_with_the_clock_alone_may_be_inconclusive(my, page):
    """A claim with counted evidence never is."""
    by_clock = next(c for c in claims().values() if c.evidence == "B")
    Chapter(by_clock.chapter).verdict(by_clock.id, None, {"interval": "0.9–1.1"})
    assert "inconclusive on this machine" in page.text
    with pytest.raises(ValueError, match="Tier A evidence"):
        Chapter(1).verdict("1.2", None, {"seen": True})


def test_the_first_run_is_the_baseline_of_the_next(ch, capsys):
    """The second one stands beside it, with ratios where there is something to divide by."""
    ch.against_baseline("1.9", "pay", p50_ms=5.0, rate=np.int64(800), errors=0)
    ch.against_baseline("1.9", "pay", p50_ms=10.0, rate=np.float32(800), errors=1, more=1)
    said = capsys.readouterr().out
    assert "kept as the baseline" in said
    table = [line.split() for line in said.splitlines() if line.startswith("  ")]
    assert table[1:] == [
        ["p50_ms", "5", "10", "2×"],
        ["rate", "800", "800", "1×"],
        ["errors", "0", "1", "–"],
        ["more", "–", "1", "–"],
    ]


def test_another_machines_run_is_not_compared_and_stops_nothing(ch, monkeypatch, capsys):
    """The record came along from another computer: Run All goes on, with a baseline of its own."""

    def refuse(*arguments):
        raise DifferentMachinesError("pay: the last run was on another machine.")

    with monkeypatch.context() as patched:
        patched.setattr(ch.record, "baseline", refuse)
        ch.against_baseline("1.9", "pay", rate=800)
    ch.against_baseline("1.9", "pay", rate=800)
    said = capsys.readouterr().out
    assert "another machine" in said
    assert "1×" in said


def test_a_contract_shows_a_column_for_each_implementation(ch):
    """A row per check, with the count."""
    ch.contract(timing, wrong=lambda a, b, clock: 3.0, broken=lambda a, b, clock: 1 / 0)
    rows = page_text(ch).splitlines()
    assert rows[0].split() == ["what", "must", "hold", "wrong", "broken"]
    assert all(row.count("✗") == 2 for row in rows[1:])
    assert "raised ZeroDivisionError" in rows[1]


def test_an_exercise_is_judged_and_remembered(ch):
    """The best answer so far stands on the scoreboard."""

    def stub(a, b, clock):
        raise NotImplementedError

    ch.check(1, stub)
    ch.check(1, lambda a, b, clock: 1.0)
    assert "not attempted" in page_text(ch)
    assert chapter.scoreboard.answers(ch.record, 1)[0] == ("Exercise 1, take turns", "wrong")


def test_a_chapter_without_exercises_has_a_scoreboard(my, page):
    """Nothing judged yet, nothing predicted, nothing answered: still a table of its claims."""
    Chapter(2).scoreboard()
    assert page.text.count("not judged yet") > 5


def test_a_folder_that_cannot_be_written_costs_the_memory_only(tmp_path, my, page, monkeypatch):
    """PERFLAB_MY names a file: one warning, and the whole experiment runs, prediction and all."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PERFLAB_MY", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written") as warned:
        ch = judged_chapter(mine=(5, 20))
    assert len(warned) == 1
    assert len(scores(ch)) == 1


def test_a_script_prints_words(my, script, capsys):
    """Without a page there is plain text, and no dict, no HTML and no picture's bytes."""
    ch = Chapter(1)
    experiment(ch, mine=(5, 20))
    ch.scoreboard()
    said = capsys.readouterr().out
    assert "1.2  does not hold" in said
    assert "The tail is long. Horizontal axis: time (s)." in said
    assert "text/plain" not in said
    assert "<" not in said


def test_a_picture_carries_its_words_and_what_it_plots(ch, page):
    """For those who do not see it, and for the test that counts latency and memory."""
    ch.figure("1.2", *FIGURE)
    picture, in_words = page.shown[-2:]
    words = picture["text/plain"]
    assert words in in_words["text/html"]
    assert page.metadata[-2] == {
        "image/png": {"alt": words},
        "perflab": {"claim": "1.2", "panels": ["latency (ms)"]},
    }


def test_the_scale_comes_from_the_environment_or_is_quick(my, page, monkeypatch):
    """An empty variable is none."""
    assert Chapter(1).pick(quick=1, full=2) == 1
    monkeypatch.setenv("PERFLAB_SCALE", "")
    assert Chapter(1).scale == "quick"
    monkeypatch.setenv("PERFLAB_SCALE", "full")
    assert Chapter(1).pick(quick=1, full=2) == 2
    assert Chapter(1, scale="quick").scale == "quick"


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (lambda ch: Chapter(0), "number=0"),
        (lambda ch: Chapter("1"), "number='1'"),
        (lambda ch: Chapter(True), "number=True"),
        (lambda ch: Chapter(1, scale="huge"), "scale='huge'"),
        (lambda ch: ch.predict("2.1", MS), "claim='2.1'"),
        (lambda ch: ch.predict("1.99", MS), "claim='1.99'"),
        (lambda ch: ch.predict("1.2", "how long?"), "kind="),
        (lambda ch: ch.prediction("9.1"), "claim='9.1'"),
        (lambda ch: ch.mystery("Who?", "me"), "suspects='me'"),
        (lambda ch: ch.mystery("Who?", ("me",)), "options="),
        (lambda ch: ch.solved(3), "culprit=3"),
        (lambda ch: ch.live(""), "name=''"),
        (lambda ch: ch.figure("1.2", "", "s", FIGURE[2]), "title=''"),
        (lambda ch: ch.figure("1.2", "t", "s", []), "panels=[]"),
        (lambda ch: ch.figure("1.2", "t", "s", FIGURE[2], predicted_in=1), "predicted_in=1"),
        (lambda ch: ch.contract(timing), "implementations={}"),
        (lambda ch: ch.contract(3, a=len), "contract=3"),
        (lambda ch: ch.contract(types, a=len), "contract="),
        (lambda ch: ch.verdict("1.2", 0.5, {"a": 1}), "holds=0.5"),
        (lambda ch: ch.verdict("1.2", 1, {"a": 1}), "holds=1"),
        (lambda ch: ch.verdict("1.2", np.array([True, False]), {"a": 1}), "holds="),
        (lambda ch: ch.verdict("1.2", True, {}), "facts={}"),
        (lambda ch: ch.verdict("1.2", True, ["a"]), "facts=['a']"),
        (lambda ch: ch.measured("1.2", "", True), "effect=''"),
        (lambda ch: ch.measured("1.2", "so", holds=2), "holds=2"),
        (lambda ch: ch.measured("1.4", "so", outcome="perhaps"), "result='perhaps'"),
        (lambda ch: ch.measured("1.1", "so", outcome=math.nan), "result=nan"),
        (lambda ch: ch.against_baseline("1.9", "pay"), "summary={}"),
        (lambda ch: ch.against_baseline("1.9", "pay", rate=math.nan), "rate=nan"),
        (lambda ch: ch.against_baseline("1.9", "", rate=1), "name=''"),
        (lambda ch: ch.check(5, len), "exercise=5"),
        (lambda ch: ch.check(True, len), "exercise=True"),
    ],
)
def test_nonsense_is_named_and_leaves_no_row(ch, act, named):
    """Every call says which argument it refuses, before it remembers anything."""
    ch.predict("1.4", YesNo("Does it?"))
    ch.predict("1.1", Place("How much?", "×", (0.5, 4)))
    before = {table: ch.record.rows(table) for table in ("verdicts", "effects", "runs", "answers")}
    with pytest.raises(ValueError, match="must be") as error:
        act(ch)
    assert named in str(error.value)
    assert before == {table: ch.record.rows(table) for table in before}
