"""Source on the page: a function or class as it stands in the package, coloured."""

import inspect
import textwrap
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from perflab.book import show
from perflab.errors import require


def show_source(thing: Any) -> None:
    """Show the source of a function, class, method or module, with the file it stands in.

    ValueError where there is no Python source to show.
    """
    try:
        source = textwrap.dedent(inspect.getsource(thing))
    except (TypeError, OSError):
        require(False, "thing", thing, "a function, class or module written in Python")
    module = getattr(thing, "__module__", getattr(thing, "__name__", ""))
    place = module.replace(".", "/") + ".py" if module.startswith("perflab") else module
    html = highlight(source, PythonLexer(), HtmlFormatter(noclasses=True, nobackground=True))
    show.both(f"# {place}\n{source}", f'<div style="{show.QUIET}">{place}</div>{html}')
