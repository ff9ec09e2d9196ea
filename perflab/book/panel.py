"""What one panel of a figure shows; `plots.draw` puts panels above one another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from perflab.book.style import STATES
from perflab.errors import is_number, require

Range = tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """One panel: its y label with unit, and its lines by name, each (x, y).

    `points` names lines drawn as dots only; `marks` are horizontal and `x_marks` vertical lines by
    name. `steps` draws each line as stairs: a count that holds until it changes. Without `ticks`
    the y axis has no numbers: its lines are rows. A panel with an `x_label` has its own x axis;
    the others share one. Values that are not finite, and on a logarithmic axis those that are not
    above 0, leave a gap. A panel with `bands` and no lines shows states over time: rows by name,
    each a list of (from, until, state), the state one of `style.STATES`. ValueError for what
    cannot be drawn.
    """

    label: str
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]]
    log: bool = False
    points: Sequence[str] = ()
    marks: Mapping[str, float] = field(default_factory=dict)
    x_marks: Mapping[str, float] = field(default_factory=dict)
    steps: bool = False
    ticks: bool = True
    height: float = 1.0
    x_label: str = ""
    x_log: bool = False
    bands: Mapping[str, Sequence[tuple[float, float, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = isinstance(self.label, str) and bool(self.label.strip())
        require(named, "label", self.label, "what the y axis shows, with its unit")
        require(isinstance(self.lines, Mapping), "lines", self.lines, "lines by name")
        for name, line in self.lines.items():
            require(_is_line(line), f"lines[{name!r}]", line, "(x, y), numbers, as many of each")
        names = all(isinstance(name, str) for name in self.lines)
        require(names, "lines", list(self.lines), "named by texts")
        several = isinstance(self.points, list | tuple | set)
        require(several, "points", self.points, "a list of names of lines")
        unknown = [name for name in self.points if name not in self.lines]
        require(not unknown, "points", unknown, "names of lines")
        tall = is_number(self.height) and 0.1 <= self.height <= 10
        require(tall, "height", self.height, "from 0.1 to 10")
        for what in ("marks", "x_marks"):
            marks = getattr(self, what)
            usable = isinstance(marks, Mapping) and all(map(is_number, marks.values()))
            require(usable, what, marks, "numbers by name")
        for what in ("log", "steps", "ticks", "x_log"):
            flag = getattr(self, what)
            require(isinstance(flag, bool | np.bool_), what, flag, "True or False")
        stretches = [one for row in self.bands.values() for one in row]
        known = all(is_range(one[:2]) and one[2] in STATES for one in stretches)
        require(known and not (self.bands and self.lines), "bands", self.bands, "states over time")
        require(isinstance(self.x_label, str), "x_label", self.x_label, "a text")

    def ends(self, x_log: bool = False) -> dict[str, Range]:
        """The last point of each line that can be drawn; no entry for a line without one."""
        found = {}
        for name, line in self.lines.items():
            x, y = (np.asarray(values, float) for values in line)
            seen = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (not self.log))
            known = np.flatnonzero(seen & ((x > 0) | (not x_log)))
            if len(known):
                found[name] = (float(x[known[-1]]), float(y[known[-1]]))
        return found


def _is_line(line: Any) -> bool:
    try:
        x, y = (np.asarray(values, float) for values in line)
    except (TypeError, ValueError, OverflowError):
        return False
    return x.ndim == 1 and x.shape == y.shape


def is_range(pair: Any) -> bool:
    """Whether this is a pair (low, high) of finite numbers, low < high."""
    try:
        low, high = map(float, pair)
    except (TypeError, ValueError):
        return False
    return math.isfinite(low) and math.isfinite(high) and low < high
