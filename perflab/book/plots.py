"""The book's one visual language, for final figures.

Panels stand above one another on one x axis, latency above and memory below. A line is named at
its end, not in a legend; the reader's prediction is a band or a line; events are shaded and
named; theory is grey. The same name has the same colour in every figure of the book.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

from perflab.book.wording import plain
from perflab.errors import require

GUIDE, OURS, THEORY = "#c1440e", "#1f6f8b", "#8a8a8a"
OTHERS = ("#6a4c93", "#3a7d44", "#b8860b", "#8c2f5a")
PREDICTION, EVENT = "#dbe7ea", "#faeccb"
COLOURS = {
    "guide's": GUIDE,
    "blocked": GUIDE,
    "ours": OURS,
    "interleaved": OURS,
    "measured": OURS,
    "server": OURS,
    "theory": THEORY,
    "load generator": THEORY,
}
STYLE = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titlepad": 8,
    "lines.linewidth": 1.6,
    "figure.dpi": 100,
}


@dataclass(frozen=True)
class Panel:
    """One panel: its y label with unit, and its lines by name, each (x, y).

    `points` names lines drawn as dots only; `marks` are horizontal and `x_marks` vertical lines by
    name. `steps` draws each line as stairs: a count that holds until it changes. A panel with an
    `x_label` has an x axis of its own; the others share one.
    """

    label: str
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]]
    log: bool = False
    points: Sequence[str] = ()
    marks: Mapping[str, float] = field(default_factory=dict)
    x_marks: Mapping[str, float] = field(default_factory=dict)
    steps: bool = False
    height: float = 1.0
    x_label: str = ""
    x_log: bool = False


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name: the book's own where it has one, then the others in turn."""
    spare = iter(OTHERS * (1 + len(names) // len(OTHERS)))
    return {name: COLOURS[name] if name in COLOURS else next(spare) for name in names}


def draw(
    title: str,
    x_label: str,
    panels: Sequence[Panel],
    *,
    events: Mapping[str, tuple[float, float]] | None = None,
    prediction: tuple[float, float] | None = None,
    predicted_in: int = 0,
    x_log: bool = False,
) -> Figure:
    """A figure of panels above one another on one x axis; the prediction lies in one of them."""
    require(len(panels) > 0, "panels", panels, "at least one Panel")
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    palette = colours(names)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 1.1 + sum(1.75 * panel.height for panel in panels)))
        FigureCanvasAgg(figure)
        heights = [panel.height for panel in panels]
        axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
        for panel, axis in zip(panels, axes, strict=True):
            if panel.x_log or (x_log and not panel.x_label):
                axis.set_xscale("log")
            _draw_panel(axis, panel, palette)
        _share_x(axes, panels, x_label, x_log)
        axes[0].set_title(title, wrap=True)
        _shade(axes, events or {})
        if prediction is not None:
            _predicted(axes[predicted_in], prediction, vertical=bool(panels[predicted_in].x_label))
        figure.align_ylabels(axes)
        figure.tight_layout(h_pad=0.8, rect=(0, 0, 0.87, 1))
        for panel, axis in zip(panels, axes, strict=True):
            _name_lines(axis, panel, palette)
    return figure


def _draw_panel(axis: Any, panel: Panel, palette: Mapping[str, str]) -> None:
    for name, (x, y) in panel.lines.items():
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
    for name, y in panel.marks.items():
        axis.axhline(y, color=THEORY, linewidth=1, linestyle=(0, (4, 3)))
        axis.annotate(
            name, (0.01, y), xycoords=("axes fraction", "data"), xytext=(0, 2),
            textcoords="offset points", color="#555555", fontsize=8.5,
        )  # fmt: skip
    for name, x in panel.x_marks.items():
        axis.axvline(x, color=THEORY, linewidth=1, linestyle=(0, (4, 3)))
        axis.annotate(
            name, (x, 0.04), xycoords=("data", "axes fraction"), xytext=(3, 0),
            textcoords="offset points", color="#555555", fontsize=8.5,
        )  # fmt: skip
    axis.set_ylabel(panel.label)
    if panel.log:
        axis.set_yscale("log")
        plain_numbers(axis.yaxis)
    else:
        low, high = axis.get_ylim()
        axis.set_ylim(min(0, low), high + 0.12 * (high - low))


def _share_x(axes: Any, panels: Sequence[Panel], x_label: str, x_log: bool) -> None:
    """Link the panels without an x axis of their own; label the last of them, and each other."""
    shared = [axis for panel, axis in zip(panels, axes, strict=True) if not panel.x_label]
    limits = [axis.get_xlim() for axis in shared]
    for axis in shared[:-1]:
        axis.sharex(shared[-1])
        axis.tick_params(labelbottom=False)
    if shared:
        shared[-1].set_xlim(min(low for low, _ in limits), max(high for _, high in limits))
    labelled = {id(axis): (panel.x_label, panel.x_log) for panel, axis in zip(panels, axes, strict=True)}
    for axis in shared[-1:]:
        labelled[id(axis)] = (x_label, x_log)
    for axis in axes:
        label, log = labelled[id(axis)]
        axis.set_xlabel(label)
        if log:
            plain_numbers(axis.xaxis)


def plain_numbers(axis: Any) -> None:
    """Write 0.1, 1, 10, 1,000 on a logarithmic axis, and a few more where it spans little."""
    low, high = axis.get_view_interval()
    narrow = high / max(low, 1e-12) < 200
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axis.set_minor_formatter(NullFormatter())


def _shade(axes: Any, events: Mapping[str, tuple[float, float]]) -> None:
    for name, (start, end) in events.items():
        for axis in axes:
            axis.axvspan(start, end, color=EVENT, zorder=0, linewidth=0)
        axes[0].annotate(
            name, (start, 0.98), xycoords=("data", "axes fraction"), xytext=(3, 0),
            textcoords="offset points", va="top", fontsize=8.5,
        )  # fmt: skip


def _predicted(axis: Any, prediction: tuple[float, float], vertical: bool) -> None:
    low, high = prediction
    (axis.axvspan if vertical else axis.axhspan)(low, high, color=PREDICTION, zorder=0, linewidth=0)
    place = (low, 0.9) if vertical else (0.02, high)
    coordinates = ("data", "axes fraction") if vertical else ("axes fraction", "data")
    axis.annotate(
        f"your prediction: {plain(low)}–{plain(high)}", place, xycoords=coordinates,
        xytext=(3, -3), textcoords="offset points", va="top", color=OURS, fontsize=8.5,
    )  # fmt: skip


def _name_lines(axis: Any, panel: Panel, palette: Mapping[str, str]) -> None:
    """Write each line's name at its end, pushed apart where ends are close."""
    ends = []
    for name, (x, y) in panel.lines.items():
        shown = np.asarray(y, float)
        known = np.flatnonzero(np.isfinite(shown))
        if len(known):
            point = (float(np.asarray(x, float)[known[-1]]), float(shown[known[-1]]))
            ends.append([axis.transData.transform(point)[1], name])
    ends.sort(key=lambda end: end[0])
    spacing = 13.0
    for below, above in zip(ends, ends[1:], strict=False):
        above[0] = max(above[0], below[0] + spacing)
    top = axis.transAxes.transform((0, 1))[1] + 4
    overshoot = max(0.0, ends[-1][0] - top) if ends else 0.0
    for height, name in ends:
        y = axis.transAxes.inverted().transform((0, height - overshoot))[1]
        axis.annotate(
            name, (1.01, y), xycoords="axes fraction", va="center", color=palette[name],
            fontsize=9, annotation_clip=False,
        )  # fmt: skip


def shares(samples: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The empirical distribution as (value, share of samples at or below it in %)."""
    values = np.sort(np.asarray(samples, float))
    require(len(values) > 0, "samples", samples, "at least one sample")
    return values, 100 * np.arange(1, len(values) + 1) / len(values)


def png(figure: Figure) -> bytes:
    """The figure as a PNG of 64 colours: a third of the size and no worse to the eye."""
    from PIL import Image

    raw = io.BytesIO()
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
            if len(known):
                lines.append(f"{name} from {plain(float(known[0]))} to {plain(float(known[-1]))}")
        parts.append(f"{panel.label}: {'; '.join(lines)}.")
    return " ".join(parts)
