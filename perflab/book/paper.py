"""A page that stands alone: one file, light and dark, nothing fetched from anywhere."""

from html import escape

STYLE = """
:root { color-scheme: light dark; --quiet: #666; --line: #ddd; --paper: #fff; --ink: #1a1a1a;
  --good: #2f6d39; --bad: #a8380c; --open: #7a5b06; --code: #f5f5f2 }
@media (prefers-color-scheme: dark) { :root { --quiet: #aaa; --line: #3a3a3a; --paper: #161616;
  --ink: #e8e8e8; --good: #7cc58a; --bad: #f0906a; --open: #d9b44a; --code: #222 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--paper); color: var(--ink) }
h2 { margin-top: 2.5rem } table { border-collapse: collapse; margin: .6rem 0 1.5rem }
th { color: var(--quiet); white-space: nowrap }
td, th { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); font-weight: normal;
  overflow-wrap: anywhere } td:first-child { white-space: nowrap }
.good { color: var(--good); font-weight: 600 } .bad { color: var(--bad); font-weight: 600 }
.open { color: var(--open) } .quiet { color: var(--quiet) } .short { white-space: nowrap }
summary { cursor: pointer } ul { margin: .3rem 0; padding-left: 1.2rem }
pre { background: var(--code); padding: .6rem .8rem; overflow-x: auto; font-size: 13px }
"""


def page(title: str, body: str) -> str:
    """The whole page; `body` is HTML already."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>perflab: {escape(title)}'
        f'</title>\n<meta name="viewport" content="width=device-width"><style>{STYLE}</style>\n'
        f"<h1>{escape(title)}</h1>\n{body}</html>\n"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th>{escape(name)}" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><tr>{top}</tr>\n{body}</table>\n"


def said(word: str) -> str:
    """A verdict or a mark, in its colour."""
    colours = {"holds": "good", "right": "good", "does not hold": "bad", "wrong": "bad"}
    colour = colours.get(word, "bad" if word == "refused" else "open")
    return f'<span class="{colour} short">{escape(word)}</span>'
