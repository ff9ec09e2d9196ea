"""The book's one visual language: sizes, colours, and what they stand for."""

from collections.abc import Sequence
from typing import Any

GUIDE, OURS, THEORY = "#c1440e", "#1f6f8b", "#8a8a8a"
OTHERS = ("#6a4c93", "#3a7d44", "#b8860b", "#8c2f5a")
PREDICTION, EVENT = "#dbe7ea", "#faeccb"
COLOURS = {
    "guide's": GUIDE,
    "blocked": GUIDE,
    "ours": OURS,
    "interleaved": OURS,
    "measured": OURS,
    "first": OURS,
    "second": GUIDE,
    "found by its key": OURS,
    "has to count": GUIDE,
    "p50": OURS,
    "p90": OTHERS[0],
    "long simulation": OTHERS[0],
    "server": OURS,
    "theory": THEORY,
    "load generator": THEORY,
}
STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "text.parse_math": False,  # a $ is a dollar
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titlepad": 8,
    "lines.linewidth": 1.6,
    "figure.dpi": 100,
}
WIDTH, HEIGHT = 7.6, 1.75  # inches: of the figure, and of a panel of height 1
DASHED = (0, (4, 3))
WORDS = "#555555"


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name: the book's own where it has one, then the others in turn."""
    spare = iter(OTHERS * (1 + len(names) // len(OTHERS)))
    return {name: COLOURS[name] if name in COLOURS else next(spare) for name in names}
