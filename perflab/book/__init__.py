"""What a chapter shows: its claims, figures, verdicts, exercises and the reader's record.

The names are loaded when they are used: the command line is not to wait for matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perflab.book.chapter import Chapter
    from perflab.book.plots import Panel
    from perflab.book.predictions import Choice, Interval, Place, Ranking, YesNo
    from perflab.book.source import show_source
    from perflab.book.steps import progress
    from perflab.book.widgets import knob

__all__ = [
    "Chapter",
    "Choice",
    "Interval",
    "Panel",
    "Place",
    "Ranking",
    "YesNo",
    "knob",
    "progress",
    "show_source",
]

_HOME = {
    "Chapter": "chapter",
    "Panel": "plots",
    "Choice": "predictions",
    "Interval": "predictions",
    "Place": "predictions",
    "Ranking": "predictions",
    "YesNo": "predictions",
    "progress": "steps",
    "show_source": "source",
    "knob": "widgets",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
