"""Source on the page: a function or class as it stands in the package, coloured."""

import inspect
import textwrap
from pathlib import Path
from typing import Any

from pygments import highlight  # type: ignore[import-untyped]  # no types are installed
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]  # likewise
from pygments.lexers import PythonLexer  # type: ignore[import-untyped]  # likewise
from pygments.style import Style  # type: ignore[import-untyped]  # likewise
from pygments.token import Comment, Keyword, Name, Number, Operator, String  # type: ignore[import-untyped]  # likewise

from perflab.book import show
from perflab.book.readers import ROOT
from perflab.book.style import QUIET
from perflab.errors import require


def _lab(name: str, otherwise: str) -> str:
    """The colour that the reader's theme, light or dark, gives to such a word in a cell."""
    return f"var(--jp-mirror-editor-{name}-color,{otherwise})"


class Page(Style):  # type: ignore[misc]  # no types are installed
    """Python as the cells around it look."""

    styles = {
        Comment: "italic " + _lab("comment", "#3d7b7b"),
        Keyword: "bold " + _lab("keyword", "#008000"),
        Name.Builtin: _lab("builtin", "#008000"),
        Name.Class: _lab("def", "#0000ff"),
        Name.Function: _lab("def", "#0000ff"),
        Number: _lab("number", "#666666"),
        Operator.Word: "bold " + _lab("keyword", "#008000"),
        String: _lab("string", "#ba2121"),
    }


WRAPPED = "word-break:normal;overflow-wrap:anywhere"  # Lab would break a line within a word
FORMAT = HtmlFormatter(style=Page, noclasses=True, nobackground=True, prestyles=WRAPPED)


LONGEST = 20_000  # characters of an answer that are kept


def show_source(thing: Any) -> None:
    """Show the source of a function, class, method or module, with the file it stands in.

    ValueError where there is no Python source to show.
    """
    source = ""
    try:
        source = textwrap.dedent(inspect.getsource(thing))
    except (TypeError, OSError):
        require(False, "thing", thing, "a function, class or module written in Python")
    place = _place(thing)
    html = highlight(source, PythonLexer(), FORMAT)
    title = (f"# {place}\n", f'<div style="{QUIET}">{place}</div>') if place else ("", "")
    show.both(title[0] + source, title[1] + html)


def source_of(answer: Any) -> str:
    """The source of what a reader has written, for the record; empty where it is not at hand."""
    try:
        return textwrap.dedent(inspect.getsource(answer))[:LONGEST]
    except (TypeError, OSError):
        return ""


def _place(thing: Any) -> str:
    """Where in the package it stands; nothing for what a cell or another package defines."""
    path = Path(inspect.getsourcefile(thing) or "").resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT / "perflab") else ""
