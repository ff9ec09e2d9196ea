"""What a chapter shows: its claims, figures, verdicts, exercises and the reader's record."""

from perflab.book import panels
from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.book.predictions import Choice, Interval, Place, YesNo
from perflab.book.source import show_source
from perflab.book.widgets import knob

__all__ = [
    "Chapter",
    "Choice",
    "Interval",
    "Panel",
    "Place",
    "YesNo",
    "knob",
    "panels",
    "show_source",
]
