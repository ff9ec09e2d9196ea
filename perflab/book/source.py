"""Source on the page: a function or class as it stands in the package, coloured."""

import inspect
import textwrap
from pathlib import Path
from typing import Any

from pygments import highlight  # type: ignore[import-untyped]  # no types are installed
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]  # likewise
from pygments.lexers import PythonLexer  # type: ignore[import-untyped]  # likewise

from perflab.book import show
from perflab.book.readers import ROOT
from perflab.errors import require


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
    html = highlight(source, PythonLexer(), HtmlFormatter(noclasses=True, nobackground=True))
    title = (f"# {place}\n", f'<div style="{show.QUIET}">{place}</div>') if place else ("", "")
    show.both(title[0] + source, title[1] + html)


def _place(thing: Any) -> str:
    """Where in the package it stands; nothing for what a cell or another package defines."""
    path = Path(inspect.getsourcefile(thing) or "").resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT / "perflab") else ""
