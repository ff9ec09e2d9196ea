"""The book's one visual language, for final figures.

Panels stand above one another on one x axis, latency above and memory below. A line is named at
its end, not in a legend; the reader's prediction is a band or a line; events are shaded and
named; theory is grey. The same name has the same colour in every figure of the book.
"""

import io
import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from perflab.book import layout
from perflab.book.axes import draw_panel, predicted, scale, shade, share_x
from perflab.book.panel import Panel, Range, is_range
from perflab.book.style import HEIGHT, OURS, STYLE, WIDTH, colours
from perflab.book.wording import plain
from perflab.errors import is_number, is_whole, require

__all__ = ["Panel", "draw", "png", "alternative_text"]


def draw(
    title: str,
    x_label: str,
    panels: Sequence[Panel],
    *,
    events: Mapping[str, Range] | None = None,
    prediction: Range | float | None = None,
    predicted_in: int = 0,
    predicted_on: str | None = None,
    said: str | None = None,
    x_log: bool = False,
) -> Figure:
    """A figure of panels above one another on one x axis; the prediction lies in one of them.

    A prediction is a range or a place, on the panel's y axis, or on its x axis if it has one of its
    own; `predicted_on` says otherwise. `said` is the same in words, and stands below the panels
    where no axis has a place for it. ValueError for no panels, for events where no panel shares
    the x axis, for a prediction that is neither a number nor a range, for an event that is no
    range, and for a panel number that is not there.
    """
    events = {} if events is None else events
    _check(title, x_label, panels, events, prediction, predicted_in)
    require(predicted_on in ("x", "y", None), "predicted_on", predicted_on, "'x' or 'y'")
    require(said is None or isinstance(said, str), "said", said, "the prediction in words")
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    palette = colours(names)
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(panels)
        logs = [panel.x_log if panel.x_label else x_log or panel.x_log for panel in panels]
        drawn = list(zip(axes, panels, logs, strict=True))
        notes = {axis: draw_panel(axis, panel, palette, log) for axis, panel, log in drawn}
        share_x(axes, panels, x_label)
        if prediction is not None:
            axis, own = axes[predicted_in], "x" if panels[predicted_in].x_label else "y"
            on_x = (predicted_on or own) == "x"
            notes[axis].append(predicted(axis, prediction, on_x, said))
        shade([axis for axis, panel, _ in drawn if not panel.x_label], events, notes)
        for axis, panel, log in drawn:
            scale(axis, panel, log)
        _place(figure, title, names, said if prediction is None else None)
        for axis, panel, log in drawn:
            layout.name_lines(axis, panel.ends(log), palette)
            layout.settle(axis, notes[axis])
    return figure


def _check(
    title: str,
    x_label: str,
    panels: Sequence[Panel],
    events: Mapping[str, Range],
    prediction: Range | float | None,
    predicted_in: int,
) -> None:
    require(isinstance(title, str) and bool(title.strip()), "title", title, "a finding or question")
    require(isinstance(x_label, str), "x_label", x_label, "what the x axis shows, with its unit")
    usable = isinstance(panels, list | tuple) and len(panels) > 0
    usable = usable and all(isinstance(panel, Panel) for panel in panels)
    require(usable, "panels", panels, "at least one Panel, and nothing else")
    require(isinstance(events, Mapping), "events", events, "(start, end) by name")
    for name, event in events.items():
        require(is_range(event), f"events[{name!r}]", event, "(start, end), start < end")
    shared = any(not panel.x_label for panel in panels)
    require(shared or not events, "events", events, "none: each panel has an x axis of its own")
    usable = prediction is None or is_range(prediction)
    usable = usable or (is_number(prediction) and math.isfinite(prediction))
    require(usable, "prediction", prediction, "a number, or (low, high), low < high")
    there = is_whole(predicted_in)
    last = len(panels) - 1
    require(there and 0 <= predicted_in <= last, "predicted_in", predicted_in, f"from 0 to {last}")


def _canvas(panels: Sequence[Panel]) -> tuple[Figure, list[Axes]]:
    heights = [max(HEIGHT * one.height, 0.4 + layout.room(list(one.lines))) for one in panels]
    own = sum(0.3 for panel in panels[:-1] if panel.x_label)  # their x labels
    figure = Figure(figsize=(WIDTH, 1.1 + own + sum(heights)))
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    return figure, list(axes)


def _place(figure: Figure, title: str, names: Sequence[str], said: str | None) -> None:
    """Make room for the title, in as many rows as it takes, for the names at the right, and for a
    prediction in words at the foot."""
    beside = max((layout.width(figure, layout.rows(n), layout.NAME_SIZE) for n in names), default=0)
    size = STYLE["axes.titlesize"]
    shown = layout.wrapped(figure, " ".join(title.split()), size, WIDTH - 1.0)
    figure.set_figheight(figure.get_figheight() + 0.18 * shown.count("\n"))
    figure.axes[0].set_title(shown, gid="title")
    figure.align_ylabels(figure.axes)
    right = 1 - max(1.0, beside + 0.15) / WIDTH
    foot = _foot(figure, f"your prediction: {said}") if said else 0.0
    figure.tight_layout(h_pad=0.8, rect=(0, foot, right, 1))


def _foot(figure: Figure, words: str) -> float:
    """Write the words below the panels, and return the share of the height that they take."""
    shown = layout.wrapped(figure, words, layout.NOTE_SIZE, WIDTH - 0.4)
    inches = 0.1 + 0.15 * (shown.count("\n") + 1)
    figure.set_figheight(figure.get_figheight() + inches)
    text = figure.text(0.1 / WIDTH, 0.05 / figure.get_figheight(), shown, gid="prediction")
    text.set(color=OURS, fontsize=layout.NOTE_SIZE, verticalalignment="bottom")
    return inches / figure.get_figheight()


def png(figure: Figure) -> bytes:
    """The figure as a PNG of 64 colours: a third of the size and no worse to the eye."""
    from PIL import Image

    raw = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(raw, format="png", dpi=100, metadata={"Software": None})
    small = io.BytesIO()
    with Image.open(raw) as image:
        image.convert("RGB").quantize(64).save(small, format="png", optimize=True)
    return small.getvalue()


def alternative_text(title: str, x_label: str, panels: Sequence[Panel]) -> str:
    """What the figure shows, in words: title, axes, and where each line begins and ends."""
    parts = [f"{title}. Horizontal axis: {x_label}."]
    for panel in panels:
        lines = []
        for name, (_, y) in panel.lines.items():
            known = np.asarray(y, float)
            known = known[np.isfinite(known)]
            ends = f"from {plain(known[0])} to {plain(known[-1])}" if len(known) else "without data"
            lines.append(f"{name} {ends}")
        for name, row in panel.bands.items():
            lines.append(f"{name} {', '.join(f'{state} from {plain(at)}' for at, _, state in row)}")
        over = f" over {panel.x_label}" if panel.x_label else ""
        parts.append(f"{panel.label}{over}: {'; '.join(lines) or 'no data'}.")
    return " ".join(parts)
