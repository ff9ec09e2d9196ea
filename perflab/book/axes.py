"""What is drawn in one panel: lines, marks, events, the prediction; its scales and ticks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from perflab.book import layout
from perflab.book.panel import Panel, Range
from perflab.book.style import DASHED, EVENT, OURS, PREDICTION, STATES, THEORY, WORDS
from perflab.book.wording import plain
from perflab.errors import require

WIDE = 0.09  # of all bands together: there is room for a state's name
FEW = 8  # values of x that are labelled themselves on a logarithmic axis


def draw_panel(
    axis: Any, panel: Panel, palette: Mapping[str, str], x_log: bool
) -> list[layout.Note]:
    """Draw lines and marks; the marks' words come back, to be placed when all is drawn."""
    if panel.bands:
        return _draw_bands(axis, panel)
    ends = panel.ends(x_log)
    if x_log and ends:
        axis.set_xscale("log", nonpositive="mask")
    if panel.log and ends:
        axis.set_yscale("log", nonpositive="mask")
    for name in ends:
        x, y = panel.lines[name]
        dots = name in panel.points
        axis.plot(
            x,
            y,
            color=palette[name],
            linestyle="none" if dots else "-",
            marker="o" if dots or np.size(x) <= 12 else None,
            markersize=4,
            drawstyle="steps-post" if panel.steps else "default",
        )
    axis.set_ylabel(panel.label)
    if not ends:  # marks without a line to compare them with would say nothing
        axis.text(0.5, 0.5, "no data", transform=axis.transAxes, ha="center", color=THEORY)
        return []
    return _draw_marks(axis, panel, x_log)


def _draw_bands(axis: Any, panel: Panel) -> list[layout.Note]:
    """A row of coloured bands by name, the first at the top; a state is named where it is wide."""
    rows = list(panel.bands)
    every = [(row, one) for row, name in enumerate(rows) for one in panel.bands[name]]
    for row, (start, end, state) in every:
        axis.barh(row, end - start, 0.7, start, color=STATES[state], edgecolor="white")
    span = max(one[1] for _, one in every) - min(one[0] for _, one in every)
    widest = {one[2]: one for _, one in sorted(every, key=lambda row: row[1][1] - row[1][0])}
    for row, one in every:
        if one is widest[one[2]] or one[1] - one[0] > WIDE * span:
            at, look = (one[0] + one[1]) / 2, {"fontsize": layout.NOTE_SIZE, "color": WORDS}
            axis.text(at, row, one[2], ha="center", va="center", clip_on=True, **look)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_ylabel(panel.label)
    return []


def _draw_marks(axis: Any, panel: Panel, x_log: bool) -> list[layout.Note]:
    notes = []
    for name, y in panel.marks.items():
        if math.isfinite(y) and (y > 0 or not panel.log):
            axis.axhline(y, color=THEORY, linewidth=1, linestyle=DASHED)
            notes.append(_note(axis, name, (0.01, y), ("axes fraction", "data"), (0, 2), "x"))
    for name, x in panel.x_marks.items():
        if math.isfinite(x) and (x > 0 or not x_log):
            axis.axvline(x, color=THEORY, linewidth=1, linestyle=DASHED)
            notes.append(_note(axis, name, (x, 0.04), ("data", "axes fraction"), (3, 0), "y"))
    return notes


def _note(
    axis: Any, words: str, at: Range, coordinates: Any, offset: Range, slides: str, **more: Any
) -> layout.Note:
    look = {"color": WORDS, "fontsize": layout.NOTE_SIZE, "gid": "note", **more}
    text = axis.annotate(
        words, at, xycoords=coordinates, xytext=offset, textcoords="offset points", **look
    )
    text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])  # over a line too
    return layout.Note(text, slides)


def share_x(axes: Sequence[Any], panels: Sequence[Panel], x_label: str) -> None:
    """Link the panels without an x axis of their own; label the last of them, and each other."""
    shared = [axis for panel, axis in zip(panels, axes, strict=True) if not panel.x_label]
    limits = [axis.get_xlim() for axis in shared if axis.lines] or [(0.0, 1.0)]
    scales = {axis.get_xscale() for axis in shared if axis.lines}
    if shared:  # limits first: those of an empty axis begin at 0, where no logarithm is
        shared[-1].set_xlim(min(low for low, _ in limits), max(high for _, high in limits))
        shared[-1].set_xscale(scales.pop() if len(scales) == 1 else "linear")
        shared[-1].set_xlabel(x_label)
    for axis in shared[:-1]:
        axis.sharex(shared[-1])
        axis.tick_params(labelbottom=False)
    for panel, axis in zip(panels, axes, strict=True):
        if panel.x_label:
            axis.set_xlabel(panel.x_label)


def scale(axis: Any, panel: Panel, x_log: bool) -> None:
    """Set the limits and ticks, once all that is drawn is there."""
    if panel.bands:
        return
    if axis.get_yscale() == "log":
        plain_numbers(axis.yaxis)
    else:
        low, high = axis.get_ylim()
        low = min(0.0, low)
        axis.set_ylim(low, high + 0.08 * (high - low))
    if axis.get_xscale() == "linear" and _whole(panel):  # no request has the number 2.5
        axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    if axis.get_xscale() == "log":
        plain_numbers(axis.xaxis)
        tried = [np.ravel(x) for x, _ in panel.lines.values()]
        few = max(tried, key=np.size, default=())
        if 0 < len(few) <= FEW and all(np.isin(x, few).all() for x in tried):
            # label what was tried
            axis.set_xticks(few)
            axis.xaxis.set_minor_locator(NullLocator())
    if not axis.lines or not panel.ticks:
        axis.set_yticks([])


def _whole(panel: Panel) -> bool:
    """Whether every x of the panel is a whole number."""
    lines = [np.asarray(x, float) for x, _ in panel.lines.values()]
    return bool(lines) and all(np.all(x == np.floor(x)) for x in lines)


def plain_numbers(axis: Any) -> None:
    """Write 0.1, 1, 10, 1,000 on a logarithmic axis, and a few more where it spans little."""
    low, high = axis.get_view_interval()
    span = high / max(low, 1e-12)
    if span < 10:  # there may be no power of ten in it
        axis.set_major_locator(MaxNLocator(4))
    else:
        axis.set_major_locator(
            LogLocator(subs=(1.0, 2.0, 5.0) if span < 200 else (1.0,), numticks=12)
        )
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axis.set_minor_formatter(NullFormatter())


def _tick(value: float) -> str:
    return f"{value:,.6g}" if 1e-3 <= value < 1e6 else plain(value)


def shade(
    axes: Sequence[Any], events: Mapping[str, Range], notes: Mapping[Any, list[layout.Note]]
) -> None:
    """Shade each event in all panels that share the x axis, as far as it is in sight."""
    for name, (start, end) in events.items():
        low, high = axes[0].get_xlim()
        if end <= low or start >= high:
            continue
        for axis in axes:
            axis.axvspan(max(start, low), min(end, high), color=EVENT, zorder=0, linewidth=0)
        at, coordinates = (max(start, low), 0.98), ("data", "axes fraction")
        look = {"va": "top", "color": "#222222"}
        notes[axes[0]].append(_note(axes[0], name, at, coordinates, (3, 0), "y", **look))


def predicted(
    axis: Any, prediction: Range | float, on_x: bool, said: str | None = None
) -> layout.Note:
    """Draw the reader's range as a band of y or of x, a place as a line, with what was said."""
    band = not isinstance(prediction, int | float)
    low, high = (prediction, prediction) if isinstance(prediction, int | float) else prediction
    if "log" in (axis.get_xscale() if on_x else axis.get_yscale()):
        require(low > 0, "prediction", prediction, "above 0 on a logarithmic axis")
    if on_x:  # in sight, also where the x axis is shared and therefore fixed
        left, right = axis.get_xlim()
        axis.set_xlim(min(left, low), max(right, high))
    if not band:
        (axis.axvline if on_x else axis.axhline)(low, color=OURS, linewidth=1.2, linestyle=":")
    else:
        (axis.axvspan if on_x else axis.axhspan)(low, high, color=PREDICTION, zorder=0, linewidth=0)
    at: Any = (low, 0.9) if on_x else (0.02, high)
    coordinates = ("data", "axes fraction") if on_x else ("axes fraction", "data")
    ends = f"{plain(low)}–{plain(high)}" if band else plain(low)
    words = f"your prediction: {said or ends}"
    slides, look = "y" if on_x else "x", {"va": "top", "color": OURS}
    note = _note(axis, words, at, coordinates, (3, -3), slides, **look)
    note.text.set_in_layout(False)  # it slides inside later: the panel is not to shrink for it
    return note
