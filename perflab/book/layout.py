"""Where the words of a figure go, so that none covers another: all is measured in pixels."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

NAME_SIZE, NOTE_SIZE = 9.0, 8.5  # points
NAME_WIDTH = 24  # characters in a row of a line's name
ROW = 0.19  # inches that a row of a line's name takes


@dataclass(frozen=True)
class Note:
    """A text beside what it names; it may slide along x or y to make room for others."""

    text: Any  # matplotlib's Annotation
    slides: str


def rows(name: str) -> str:
    """A line's name in rows that fit beside the panel."""
    return textwrap.fill(name, NAME_WIDTH)


def room(names: Sequence[str]) -> float:
    """Inches that a panel needs so that its lines' names can stand above one another."""
    return ROW * sum(1 + rows(name).count("\n") for name in names)


def width(figure: Figure, text: str, size: float) -> float:
    """Inches that a text takes."""
    drawn = figure.text(0, 0, text, fontsize=size)
    box = drawn.get_window_extent()
    drawn.remove()
    return float(box.width) / figure.dpi


def wrapped(figure: Figure, text: str, size: float, inches: float) -> str:
    """The text in as many rows as it takes to be no wider than that."""
    least = max((len(word) for word in text.split()), default=1)
    per_inch = len(text) / width(figure, text, size)
    for characters in range(int(1.1 * per_inch * inches), least, -1):  # letters differ in width
        shown = textwrap.fill(text, characters)
        if width(figure, shown, size) <= inches:
            return shown
    return textwrap.fill(text, least)


def spread(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """Centres as near to the wanted ones, given in ascending order, as keeps all apart.

    Where the sizes fit between low and high, so do the results; else they run over at the low end.
    """
    centres = list(wanted)
    floor = low
    for i, size in enumerate(sizes):
        centres[i] = max(centres[i], floor + size / 2)
        floor = centres[i] + size / 2
    ceiling = high
    for i in range(len(centres) - 1, -1, -1):
        centres[i] = min(centres[i], ceiling - sizes[i] / 2)
        ceiling = centres[i] - sizes[i] / 2
    return centres


def name_lines(axis: Any, ends: Mapping[str, tuple[float, float]], palette: Any) -> None:
    """Write each line's name at its end (x, y in data), pushed apart where ends are close."""
    box = axis.get_window_extent()
    names = []
    for name, end in ends.items():
        at = min(max(float(axis.transData.transform(end)[1]), box.y0), box.y1)
        text = axis.annotate(
            rows(name), (1.01, 0), xycoords="axes fraction", va="center", color=palette[name],
            fontsize=NAME_SIZE, annotation_clip=False, gid="name",
        )  # fmt: skip
        names.append((at, text))
    names.sort(key=lambda one: one[0])
    sizes = [float(text.get_window_extent().height) + 1 for _, text in names]
    centres = spread([at for at, _ in names], sizes, box.y0 - 4, box.y1 + 4)
    for (_, text), centre in zip(names, centres, strict=True):
        text.xyann = (1.01, (centre - box.y0) / box.height)


def settle(axis: Any, notes: Sequence[Note]) -> None:
    """Slide the panel's notes until each lies within it and covers none before it, if it can."""
    panel = axis.get_window_extent()
    placed: list[Any] = []
    for note in notes:
        before = note.text.xyann
        box = note.text.get_window_extent()
        shift = next(
            (one for one in _shifts(note, box, panel) if _free(box, one, panel, placed)), (0.0, 0.0)
        )
        points = 72 / axis.figure.dpi
        note.text.xyann = (before[0] + shift[0] * points, before[1] + shift[1] * points)
        placed.append(box.translated(*shift))


def _shifts(note: Note, box: Any, panel: Any) -> list[tuple[float, float]]:
    """Ways to slide, the nearest along the note's own direction first."""
    left = -(box.width + 8)  # to the other side of the line that it names
    across = [0.0, left, *np.arange(20.0, panel.width, 20.0), *-np.arange(20.0, panel.width, 20.0)]
    step = box.height + 1
    along = [0.0, *(sign * step * n for n in range(1, 30) for sign in (1, -1))]
    if note.slides == "x":
        return [(x, y) for y in along for x in across]
    return [(x, y) for x in across for y in along]


def _free(box: Any, shift: tuple[float, float], panel: Any, placed: Sequence[Any]) -> bool:
    moved = box.translated(*shift)
    inside = panel.x0 <= moved.x0 and moved.x1 <= panel.x1
    inside = inside and panel.y0 <= moved.y0 and moved.y1 <= panel.y1
    return inside and not any(moved.overlaps(other) for other in placed)
