"""Figures: whatever the data, they are drawn without a warning, and no word covers another."""

import io
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Annotation
from PIL import Image

from perflab.book import layout
from perflab.book.plots import Panel, alternative_text, draw, png
from perflab.book.style import COLOURS, colours
from perflab.book.wording import plain

X = np.linspace(0, 10, 50)
NAMES = (
    "measured",
    "guide's",
    "theory",
    "server",
    "load generator",
    "by turns, in random order",
    "$x",
)
values = st.one_of(
    st.floats(1e-3, 1e6), st.just(0.0), st.just(math.nan), st.just(math.inf), st.floats(-5, -1)
)


@st.composite
def panels(draw_from):
    names = draw_from(st.lists(st.sampled_from(NAMES), max_size=6, unique=True))
    lines = {}
    for name in names:
        y = draw_from(st.lists(values, max_size=5))
        lines[name] = (np.arange(1, len(y) + 1), y)
    return Panel(
        draw_from(st.sampled_from(("latency (ms)", "memory (MB)", "cost ($) and price ($)"))),
        lines,
        log=draw_from(st.booleans()),
        points=names[:1],
        marks={"mean": draw_from(values), "median": draw_from(values)},
        steps=draw_from(st.booleans()),
        height=draw_from(st.sampled_from((0.7, 1.0, 1.2))),
        x_label=draw_from(st.sampled_from(("", "", "latency (ms)"))),
        x_log=draw_from(st.booleans()),
    )


def drawn(*arguments, **more):
    """A figure, where any warning of matplotlib or numpy is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return draw(*arguments, **more)


def words(axis, kind):
    return [t for t in axis.texts if isinstance(t, Annotation) and t.get_gid() == kind]


def title_of(figure):
    return next(iter(figure.findobj(lambda thing: thing.get_gid() == "title")))


def boxes(texts):
    return [text.get_window_extent() for text in texts]


def overlapping(texts):
    """Pairs of texts that share more than a pixel's rim."""
    found = boxes(texts)
    return [
        (texts[i].get_text(), texts[j].get_text())
        for i in range(len(texts))
        for j in range(i)
        if found[i].padded(-0.5).overlaps(found[j].padded(-0.5))
    ]


def covered(figure):
    """All pairs of words that cover each other: names of the whole figure, notes of each panel."""
    names = [text for axis in figure.axes for text in words(axis, "name")]
    notes = [pair for axis in figure.axes for pair in overlapping(words(axis, "note"))]
    return overlapping(names) + notes


def outside(figure):
    """Words that the edge of the picture would cut off."""
    texts = [title_of(figure)]
    texts += [text for axis in figure.axes for text in words(axis, "name") + words(axis, "note")]
    page = figure.bbox.padded(1)
    return [
        text.get_text()
        for text, box in zip(texts, boxes(texts), strict=True)
        if not (page.x0 <= box.x0 <= box.x1 <= page.x1 and page.y0 <= box.y0 <= box.y1 <= page.y1)
    ]


@settings(max_examples=20)
@given(st.lists(panels(), min_size=1, max_size=3), st.booleans())
def test_any_data_is_drawn(some, x_log):
    """Empty lines, gaps, zeros on a logarithmic axis, dollars in a name: names stay apart."""
    figure = drawn("What was seen?", "time (s)", some, x_log=x_log)
    assert overlapping([text for axis in figure.axes for text in words(axis, "name")]) == []
    assert outside(figure) == []
    for axis, panel in zip(figure.axes, some, strict=True):
        log = panel.x_log if panel.x_label else x_log or panel.x_log
        assert len(words(axis, "name")) == len(panel.ends(log))
    assert len(alternative_text("What was seen?", "time (s)", some)) > 40


def test_a_figure_is_a_small_png():
    """A picture that opens, as wide as the page, in at most 64 colours."""
    noise = np.random.default_rng(1).lognormal(size=len(X))
    data = png(drawn("Title", "time (s)", [Panel("latency (ms)", {"measured": (X, noise)})]))
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "PNG"
        assert image.width == 760
        assert len(image.getcolors()) <= 64
    assert len(data) < 40_000


def test_the_same_figure_is_the_same_picture():
    """Nothing of the moment is in it."""
    first, second = (
        png(draw("Title", "x", [Panel("y (ms)", {"ours": ([1, 2], [1, 2])})])) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("count", [1, 4, 8, 12])
def test_lines_that_end_together_are_named_apart(count):
    """The panel grows until all names have room, in each panel, also a low one."""
    lines = {f"variant number {number}": (X, X * 0 + 5) for number in range(count)}
    figure = drawn("T", "x", [Panel("a (ms)", lines, height=0.7), Panel("b", lines, height=0.7)])
    assert covered(figure) == []
    assert outside(figure) == []


def test_names_stand_in_the_order_of_the_lines_ends():
    """The highest line has the highest name."""
    lines = {name: (X, X * 0 + at) for name, at in (("b", 5.0), ("c", 5.01), ("a", 4.99))}
    (axis,) = drawn("T", "x", [Panel("y (ms)", lines)]).axes
    heights = {t.get_text(): t.get_window_extent().y0 for t in words(axis, "name")}
    assert sorted(heights, key=heights.__getitem__) == ["a", "b", "c"]


@pytest.mark.parametrize("length", [5, 20, 60])
def test_a_long_title_is_wrapped_and_covers_nothing(length):
    """All of it is there, within the picture, above the panel."""
    title = " ".join(f"word{number}" for number in range(length))
    figure = drawn(title, "x", [Panel("y (ms)", {"ours": (X, X)})])
    shown = title_of(figure)
    assert shown.get_text().split() == title.split()
    assert outside(figure) == []
    assert shown.get_window_extent().y0 >= figure.axes[0].get_window_extent().y1
    assert figure.axes[0].get_window_extent().height > 100


def test_marks_events_and_prediction_keep_apart():
    """Close marks, events that begin together and a prediction among them."""
    top = Panel(
        "latency (ms)", {"measured": (X, 1 + X)}, marks={"p50": 5.0, "mean": 5.1, "p90": 5.2}
    )
    below = Panel(
        "answered within (%)",
        {"measured": (1 + X, 100 * (1 + X) / (1 + X[-1]))},
        x_marks={"p50": 5.0, "mean": 5.1, "p99": 10.9, "the slowest of all": 11.0},
        x_label="latency (ms)",
        x_log=True,
    )
    events = {"a neighbour computes": (4.0, 6.0), "another one": (4.1, 9.0), "later": (9.9, 10.0)}
    for number in (0, 1):
        figure = drawn(
            "T", "time (s)", [top, below], events=events, prediction=(5, 6), predicted_in=number
        )
        assert covered(figure) == []
        assert outside(figure) == []
        for axis in figure.axes:
            panel = axis.get_window_extent().padded(1)
            for box in boxes(words(axis, "note")):
                assert panel.x0 <= box.x0 <= box.x1 <= panel.x1
                assert panel.y0 <= box.y0 <= box.y1 <= panel.y1


@pytest.mark.parametrize("on", ["x", "y"])
def test_a_place_is_a_line_on_the_axis_that_it_belongs_to(on):
    """On y, or on x also where the axis is shared; what was said stands beside it, in sight."""
    panels = [PANEL, Panel("memory (MB)", LINE)]
    figure = drawn("T", "x", panels, prediction=7.5, predicted_on=on, said="7.5 ms")
    (line,) = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    ends = line.get_xdata() if on == "x" else line.get_ydata()
    assert list(ends) == [7.5, 7.5]
    low, high = figure.axes[0].get_xlim() if on == "x" else figure.axes[0].get_ylim()
    assert low <= 7.5 <= high
    assert "your prediction: 7.5 ms" in [text.get_text() for text in figure.axes[0].texts]


def test_a_prediction_without_an_axis_stands_below_the_panels():
    """In words, below the last axis label, and nothing of it is cut off."""
    words = "«the network: sixty-four connections get in each other's way», 70 % sure " * 3
    figure = drawn("T", "x", [PANEL], said=words.strip())
    (note,) = figure.texts
    assert " ".join(note.get_text().split()) == f"your prediction: {words.strip()}"
    box, panel = note.get_window_extent(), figure.axes[0].get_tightbbox()
    assert box.y0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= panel.y0 + 1


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("band", [(1.0, 20.0), (5_000.0, 20_000.0)])
def test_a_prediction_far_off_is_in_sight(log, band):
    """The axis reaches it, so that the reader sees how far off it was."""
    panel = Panel("payments/s", {"measured": (X, 700 + X)}, log=log)
    figure = drawn("T", "x", [panel], prediction=band)
    low, high = figure.axes[0].get_ylim()
    assert low <= band[0]
    assert band[1] <= high
    (note,) = words(figure.axes[0], "note")
    assert note.get_text() == f"your prediction: {plain(band[0])}–{plain(band[1])}"
    assert outside(figure) == []


def test_a_panel_without_data_says_so():
    """A server that could not be read gives nan: no axis of invented numbers."""
    unread = Panel("memory (MB)", {"server": (X, X * np.nan), "load generator": ([], [])})
    figure = drawn("T", "time (s)", [Panel("latency (ms)", {"measured": (X, X)}), unread])
    assert [text.get_text() for text in figure.axes[1].texts] == ["no data"]
    assert list(figure.axes[1].get_yticks()) == []
    assert "server without data" in alternative_text("T", "time (s)", [unread])


def test_rows_without_ticks_have_no_numbers():
    """What stands at the height 3 only to be above the row at 2 is not read as 3 of anything."""
    rows = {"ours": ([1, 2], [2, 2]), "guide's": ([1, 2], [1, 1])}
    figure = drawn("T", "time (s)", [Panel("a dot is a beat", rows, ticks=False)])
    assert list(figure.axes[0].get_yticks()) == []


def test_what_was_tried_is_labelled_though_a_line_ends_sooner():
    """On a logarithmic axis: 1, 2, 4 and 8 workers, of which one way has only the first three."""
    tried = {"ours": ([1, 2, 4, 8], [1, 2, 3, 4]), "guide's": ([1, 2, 4], [1, 1, 1])}
    figure = drawn("T", "workers", [Panel("jobs/s", tried, x_log=True)])
    assert list(figure.axes[0].get_xticks()) == [1, 2, 4, 8]


@pytest.mark.parametrize(("low", "high"), [(6.1, 9.7), (99, 101), (0.5, 1.4), (2, 90), (1e-3, 1e4)])
def test_a_logarithmic_axis_has_plain_numbers(low, high):
    """At least two, wherever it begins; never a power of ten with an exponent."""
    figure = drawn("T", "x", [Panel("latency (ms)", {"ours": ([1, 2], [low, high])}, log=True)])
    axis = figure.axes[0]
    figure.canvas.draw()
    bottom, top = axis.get_ylim()
    ticks = zip(axis.get_yticks(), axis.get_yticklabels(), strict=True)
    shown = [label.get_text() for at, label in ticks if bottom <= at <= top]
    assert len(shown) >= 2
    assert len(set(shown)) == len(shown)
    assert all(float(text.replace(",", "")) > 0 for text in shown)


def test_panels_share_one_x_axis_and_shade_events_on_it_only():
    """A panel with an axis of its own is not shaded: its x is another quantity."""
    own = Panel("share (%)", {"ours": ([1, 100], [1, 100])}, x_label="latency (ms)")
    time = [Panel(name, {"ours": (X + 5 * i, X)}) for i, name in enumerate(("a (ms)", "b (MB)"))]
    figure = drawn("T", "time (s)", [*time, own], events={"now": (2, 3), "never": (50, 60)})
    limits = [axis.get_xlim() for axis in figure.axes]
    assert limits[0] == limits[1] != limits[2]
    assert [len(axis.patches) for axis in figure.axes] == [1, 1, 0]
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "time (s)", "latency (ms)"]


def test_the_same_name_has_the_same_colour_everywhere():
    """The book's own names never take part in the turn of the others."""
    assert colours(["x", "ours", "y"])["ours"] == colours(["ours"])["ours"] == COLOURS["ours"]
    assert len(set(colours([f"variant {n}" for n in range(4)]).values())) == 4
    assert len(colours([f"variant {n}" for n in range(40)])) == 40


sizes = st.lists(st.floats(1, 20), min_size=1, max_size=8)


@given(sizes, st.data())
def test_spread_texts_keep_order_and_distance(heights, data):
    """And where they fit, they stay between the limits."""
    wanted = sorted(data.draw(st.floats(0, 100)) for _ in heights)
    centres = layout.spread(wanted, heights, 0, 200)
    for i in range(1, len(centres)):
        assert centres[i] - centres[i - 1] >= (heights[i] + heights[i - 1]) / 2 - 1e-9
    assert centres[0] - heights[0] / 2 >= -1e-9
    assert centres[-1] + heights[-1] / 2 <= 200 + 1e-9


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_plain_number_is_near_what_it_stands_for(value):
    """Three digits, no exponent; a dash for what is no number."""
    text = plain(value)
    assert "e" not in text
    if math.isfinite(value):
        assert float(text.replace(",", "")) == pytest.approx(value, rel=0.0051)
    else:
        assert text == "–"


LINE = {"ours": ([1, 2], [3, 4])}
PANEL = Panel("y (ms)", LINE)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Panel("", LINE), "label=''"),
        (lambda: Panel("y", [1, 2]), "lines=[1, 2]"),
        (lambda: Panel("y", {"a": ([1, 2], [1])}), "lines['a']"),
        (lambda: Panel("y", {"a": [1, 2]}), "lines['a']"),
        (lambda: Panel("y", {"a": (["x"], ["y"])}), "lines['a']"),
        (lambda: Panel("y", LINE, points=["theirs"]), "points=['theirs']"),
        (lambda: Panel("y", LINE, height=0), "height=0"),
        (lambda: draw("", "x", [PANEL]), "title=''"),
        (lambda: draw("T", "x", []), "panels=[]"),
        (lambda: draw("T", "x", [LINE]), "panels="),
        (lambda: draw("T", "x", [PANEL], events={"e": (2, 1)}), "events['e']"),
        (lambda: draw("T", "x", [PANEL], events={"e": 2}), "events['e']"),
        (lambda: draw("T", "x", [Panel("y", LINE, x_label="z")], events={"e": (1, 2)}), "events="),
        (lambda: draw("T", "x", [PANEL], prediction=(1, math.nan)), "prediction="),
        (lambda: draw("T", "x", [Panel("y", LINE, log=True)], prediction=(-1, 2)), "prediction="),
        (lambda: draw("T", "x", [PANEL], prediction=(1, 2), predicted_in=-1), "predicted_in=-1"),
        (lambda: draw("T", "x", [PANEL], predicted_in=True), "predicted_in=True"),
    ],
)
def test_what_cannot_be_drawn_is_named(make, named):
    """Before anything is drawn, and by the name it has in the call."""
    with pytest.raises(ValueError, match="must be") as error:
        make()
    assert named in str(error.value)


def states():
    rows = {"guide's": [(0, 3, "closed"), (3, 5, "open")], "ours": [(0, 2, "half-open")]}
    return Panel("breaker", {}, bands=rows)


def test_bands_show_states_over_the_time_of_the_panels_beside_them():
    """A row for each name, a bar for each stretch, each state named, the time axis shared."""
    figure = draw("States", "time (s)", [Panel("latency (ms)", {"ours": (X, X)}), states()])
    axis = figure.axes[1]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["guide's", "ours"]
    assert len(axis.patches) == 3
    assert {"closed", "open", "half-open"} <= {text.get_text() for text in axis.texts}
    assert axis.get_xlim() == figure.axes[0].get_xlim()


def test_bands_can_be_read_out():
    """The words beside the picture say which state began when."""
    assert "guide's closed from 0, open from 3" in alternative_text("T", "s", [states()])


@pytest.mark.parametrize("row", [[(0, 1, "ajar")], [(1, 0, "open")]])
def test_a_state_that_is_none_is_refused(row):
    """An unknown state, or a stretch that ends before it begins."""
    with pytest.raises(ValueError, match="bands"):
        Panel("breaker", {}, bands={"ours": row})
