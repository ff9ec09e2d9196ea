"""What moves: a live figure ends as a line of text, a form keeps what was chosen, a knob runs."""

import math
import sys
from dataclasses import replace

import ipywidgets
import pytest

from perflab.book import widgets
from perflab.book.predictions import Choice, Interval, Place, Ranking
from perflab.book.widgets import Live, ask, knob
from perflab.systems import Progress

MS = Interval("How long?", "ms", (0.5, 500))
SHARE = Place("How much?", "%", (0.0, 100.0))
WHO = Choice("Who?", ("one", "two", "three"))
BEGUN = Progress(
    elapsed=0.5, fraction=0.25, requests=100, errors=0, rate=200.0, p50=0.001, p99=0.01,
    server_rss=math.nan, tester_rss=math.nan,
)  # fmt: skip
OVER = replace(BEGUN, elapsed=2.0, fraction=1.0, requests=400, errors=3)


@pytest.fixture
def no_widgets(monkeypatch):
    """ipywidgets is not installed."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)


def parts(form):
    """All widgets of a form."""
    yield form
    for child in getattr(form, "children", ()):
        yield from parts(child)


def one(form, kind):
    return next(part for part in parts(form) if isinstance(part, kind))


def asked(kind, page, known=None):
    """A question on the page: its form, and the list that its answers go to."""
    kept = []
    ask(kind, known, kept.append)
    return page.shown[-1], kept


# ── the live figure


def test_a_live_figure_replaces_itself_and_ends_as_a_line(page):
    """One output, whatever the number of reports; the last holds no drawing."""
    live = Live("payments")
    for elapsed in (0.5, 1.0, 1.5):
        live(replace(BEGUN, elapsed=elapsed, fraction=elapsed / 2))
        assert "<svg" in page.shown[0]["text/html"]
    live(OVER)
    (shown,) = page.shown
    assert shown["text/plain"] == "payments: 400 requests in 2.0 s, 3 errors"
    assert shown["text/html"] == f"<code>{shown['text/plain']}</code>"


@pytest.mark.parametrize(
    "progress",
    [
        replace(BEGUN, elapsed=-0.5, fraction=0.0, requests=0, rate=math.nan, p50=math.nan),
        replace(BEGUN, elapsed=0.0, fraction=0.0),
        replace(BEGUN, p50=math.nan, p99=math.nan, rate=0.0),
        replace(BEGUN, p50=0.0, p99=0.0),
    ],
)
def test_a_run_with_nothing_to_draw_is_drawn(page, progress):
    """Warm-up, a second without an answer, answers in no time: a frame, and no nan in it."""
    live = Live("payments")
    live(progress)
    live(progress)
    assert "nan" not in page.shown[0]["text/html"]
    assert "-0" not in page.shown[0]["text/plain"]


def test_a_second_run_begins_a_figure_of_its_own(page):
    """A Live that is used again does not draw the first run's points."""
    live = Live("payments")
    live(OVER)
    live(BEGUN)
    assert page.shown[0]["text/html"].count("320.0,") == 0
    assert page.shown[0]["text/html"].count("160.0,") == 2


def test_a_name_is_text_and_no_markup(page):
    """What a reader calls a run cannot break the page."""
    live = Live('<b>"&')
    live(BEGUN)
    assert "<b>" not in page.shown[0]["text/html"]
    live(OVER)
    assert "<b>" not in page.shown[0]["text/html"]
    assert page.shown[0]["text/plain"].startswith('<b>"&: ')


def test_a_script_has_no_live_figure(script, capsys):
    """Nothing is printed ten times a second."""
    Live("payments")(BEGUN)
    assert capsys.readouterr().out == ""


# ── forms


@pytest.mark.parametrize(
    ("kind", "known"), [(MS, (5.0, 50.0)), (SHARE, 30.0), (WHO, ("two", 70.0))]
)
def test_a_form_begins_with_what_is_known_and_keeps_what_is_chosen(page, capsys, kind, known):
    """Pressing the button keeps the answer and says so."""
    form, kept = asked(kind, page, known)
    assert f"your prediction so far: {kind.say(known)}" in capsys.readouterr().out
    one(form, ipywidgets.Button).click()
    if kind is MS:
        assert kept[0] == pytest.approx(known, rel=0.06)  # the slider's nearest steps
    else:
        assert kept == [known]
    assert one(form, ipywidgets.Label).value == f"Kept: {kind.say(kept[0])}"


@pytest.mark.parametrize("kind", [MS, SHARE, WHO])
def test_a_form_begins_somewhere_without_an_answer(page, capsys, kind):
    """What it begins with would be an answer, but is none until the button is pressed."""
    form, kept = asked(kind, page)
    assert "so far: none" in capsys.readouterr().out
    assert kept == []
    one(form, ipywidgets.Button).click()
    assert kind.read(kept[0]) == kept[0]


def test_a_choice_is_moved_and_kept(page):
    """The answer is what the form shows when the button is pressed."""
    form, kept = asked(WHO, page)
    one(form, ipywidgets.RadioButtons).value = "three"
    one(form, ipywidgets.IntSlider).value = 90
    one(form, ipywidgets.Button).click()
    assert kept == [("three", 90.0)]


def test_an_order_is_chosen_place_by_place(page):
    """A form begins with the order that is known; a thing named twice is refused until mended."""
    kind = Ranking("In which order?", ("one", "two", "three"))
    form, kept = asked(kind, page, ("two", "one", "three"))
    places = [part for part in parts(form) if isinstance(part, ipywidgets.Dropdown)]
    assert [place.value for place in places] == ["two", "one", "three"]
    places[0].value = "three"
    one(form, ipywidgets.Button).click()
    assert kept == []
    assert "each once" in one(form, ipywidgets.Label).value
    places[2].value = "two"
    one(form, ipywidgets.Button).click()
    assert kept == [("three", "one", "two")]


def test_an_empty_range_is_refused_on_the_form(page):
    """Both ends at one step: the reader is told, and nothing is kept."""
    form, kept = asked(MS, page)
    one(form, ipywidgets.SelectionRangeSlider).index = (7, 7)
    one(form, ipywidgets.Button).click()
    assert kept == []
    assert "low < high" in one(form, ipywidgets.Label).value


def test_without_ipywidgets_the_question_stands_in_words(page, no_widgets, capsys):
    """And says how to answer it in code."""
    ask(MS, None, print)
    assert page.shown == []
    assert "mine=…" in capsys.readouterr().out


def test_a_script_is_asked_in_words(script, capsys):
    """No form where there is no page."""
    ask(WHO, ("two", 70.0), print)
    said = capsys.readouterr().out
    assert "Who?" in said
    assert "«two», 70 % sure" in said


# ── the knob


def turns(calls):
    def run(slots=16, users=64):
        calls.append((slots, users))

    return run


def test_a_knob_runs_once_and_offers_sliders(page):
    """The defaults run with the cell; turning waits for the button."""
    calls = []
    knob(turns(calls), slots=(1, 64), users=(1, 128))
    assert calls == [(16, 64)]
    sliders = [part for part in parts(page.shown[0]) if isinstance(part, ipywidgets.IntSlider)]
    assert {(s.description, s.min, s.max, s.value) for s in sliders} == {
        ("slots", 1, 64, 16),
        ("users", 1, 128, 64),
    }
    sliders[0].value = 32
    assert len(calls) == 1


@pytest.mark.parametrize("without", ["no_widgets", "script"])
def test_a_knob_that_cannot_be_shown_runs_once(request, without):
    """Without ipywidgets or without a page the experiment is there all the same."""
    request.getfixturevalue(without)
    calls = []
    knob(turns(calls), slots=(1, 64))
    assert calls == [(16, 64)]


@pytest.mark.parametrize(
    ("ranges", "named"),
    [
        ({"colour": (1, 2)}, "ranges='colour'"),
        ({"slots": (17, 64)}, "slots=(17, 64)"),
        ({"slots": 64}, "slots=64"),
        ({"slots": (0.5, 64)}, "slots=(0.5, 64)"),
    ],
)
def test_a_knob_that_cannot_be_turned_is_named(page, ranges, named):
    """Before anything runs."""
    calls = []
    with pytest.raises(ValueError, match="must be") as error:
        knob(turns(calls), **ranges)
    assert named in str(error.value)
    assert calls == []


def test_a_narrow_axis_has_a_form_too(page):
    """Steps whose labels read alike are still steps."""
    form, kept = asked(Interval("How long?", "ms", (100.0, 100.5)), page)
    one(form, ipywidgets.Button).click()
    assert kept[0][0] < kept[0][1]
    assert len(one(form, ipywidgets.SelectionRangeSlider).options) == widgets.STEPS
