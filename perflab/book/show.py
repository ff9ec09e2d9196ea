"""What appears under a cell: verdicts, tables, pictures, scores. It decides nothing.

Each thing is shown as HTML that follows Lab's theme and as plain text that says the same, for
terminals, for screen readers and for the comparison in CI.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from IPython.core.getipython import get_ipython
from IPython.display import display

from perflab.book.scoreboard import Line
from perflab.book.style import QUIET
from perflab.book.wording import plain
from perflab.contracts import Evidence

GOOD, BAD, OPEN = "#3a7d44", "#c1440e", "#8f6a0a"
WORD_COLOURS = {"holds": GOOD, "does not hold": BAD}
CELL = "text-align:left;padding:3px 12px 3px 0;vertical-align:top"


def line(text: str) -> None:
    """One plain line of text."""
    print(text)


def both(text: str, html: str) -> None:
    """The same thing as plain text and as HTML; the page takes the richer one."""
    _put({"text/plain": text, "text/html": html})


def _put(shown: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
    if get_ipython() is None:  # a script has no page; IPython would print the whole dict
        line(shown["text/plain"])
    else:
        display(shown, raw=True, metadata=metadata)  # type: ignore[no-untyped-call]  # upstream


def themed(colour: str) -> str:
    """The colour nearer to that of the theme's own words, so that it is read on dark as well."""
    return f"color-mix(in srgb,{colour} 70%,var(--jp-ui-font-color1,#222))"


def badge(word: str) -> str:
    """A verdict's word on its colour."""
    colour = WORD_COLOURS.get(word, OPEN)
    return (
        f'<b style="background:{colour};color:#fff;padding:1px 8px;border-radius:3px;'
        'white-space:nowrap">'
        f"{escape(word)}</b>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table; the cells are HTML already. Without names it has no head."""
    top = "".join(f'<th style="{CELL};{QUIET}">{escape(name)}</th>' for name in head)
    top = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    body = "".join(
        "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table>{top}<tbody>{body}</tbody></table>"


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Rows of text, aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join((indent + one).rstrip() for one in padded)


def fact(value: object) -> str:
    """A fact as a person says it: yes and no for truth values."""
    is_bool = isinstance(value, bool | np.bool_)
    return ("yes" if value else "no") if is_bool else str(value)


def picture(png: bytes, words: str, claim: str, panels: Sequence[str]) -> None:
    """A figure, and under it the same in words for those who do not see it; neither Lab nor the
    HTML export passes alternative text on. The metadata says what it plots."""
    _put(
        {"image/png": png, "text/plain": words},
        {"image/png": {"alt": words}, "perflab": {"claim": claim, "panels": list(panels)}},
    )
    if get_ipython() is not None:  # a script has said it already
        folded = f"<summary>the figure in words</summary>{escape(words)}"
        both(words, f'<details style="{QUIET};font-size:smaller">{folded}</details>')


def verdict(claim: str, text: str, word: str, facts: Mapping[str, str]) -> None:
    """A claim, its verdict and the facts behind it."""
    lines = [f"{claim}  {word}: {text}", columns(list(facts.items()), "     ")]
    rows = [[escape(name), f"<b>{escape(value)}</b>"] for name, value in facts.items()]
    both(
        "\n".join(lines),
        f"<div>{badge(word)} &nbsp;<b>{claim}</b> {escape(text)}{table(['', ''], rows)}</div>",
    )


def measured(word: str, effect: str) -> None:
    """What the clock said here, with its own word where it has one."""
    both(
        f"measured here: {effect}" + (f" ({word})" if word else ""),
        f'<div><span style="{QUIET}">measured here</span> {escape(effect)} '
        f"&nbsp;{badge(word) if word else ''}</div>",
    )


def contract_table(statements: Sequence[str], found: Mapping[str, Mapping[str, Evidence]]) -> None:
    """A row per check, a column per implementation, with the count that shows it."""

    def sign(evidence: Evidence) -> str:
        return f"{'✓' if evidence.holds else '✗'} {evidence.found}"

    head = ["what must hold", *found]
    rows = [[one, *(sign(checks[one]) for checks in found.values())] for one in statements]
    coloured = [
        [
            escape(one),
            *(
                f'<span style="color:{themed(GOOD if checks[one].holds else BAD)}">'
                f"{escape(sign(checks[one]))}</span>"
                for checks in found.values()
            ),
        ]
        for one in statements
    ]
    both(columns([head, *rows]), table(head, coloured))


def score(said: str, points: float, caught: bool, sentence: str, late: bool) -> None:
    """A prediction beside its result."""
    note = " Made after the result was known, so it does not count." if late else ""
    text = f"you predicted {said}; it was {sentence}. {points:.0f} of 100 points.{note}"
    colour = GOOD if caught else BAD
    both(text, f'<div style="border-left:4px solid {colour};padding-left:8px">{escape(text)}</div>')


def baseline(name: str, summary: Mapping[str, float], earlier: Mapping[str, Any] | None) -> None:
    """A run beside the last one of its name, or the news that it is the first."""
    if earlier is None:
        line(f"{name}: the first run on this machine, kept as the baseline.")
        return
    line(f"{name}: today beside {earlier['at'][:16].replace('T', ' ')} UTC")
    rows = []
    for key, now in summary.items():
        then = earlier["summary"].get(key, math.nan)
        ratio = now / then if then else math.nan
        rows.append([key, plain(then), plain(now), f"{plain(ratio)}×" if ratio == ratio else "–"])
    line(columns([["", "then", "now", "ratio"], *rows], "  "))


def checked(title: str, status: str, hint: str, facts: Sequence[tuple[str, bool, str]]) -> None:
    """An exercise's judgement: what was tried, what came out, and a hint for what failed."""
    colour = {"right": GOOD, "not attempted": OPEN}.get(status, BAD)
    tried = [[f"{'✓' if passed else '✗'} {name}", found] for name, passed, found in facts]
    text = [f"{title}: {status}", *([columns(tried, "   ")] if tried else []), hint]
    html = (
        f'<div style="border-left:4px solid {colour};padding-left:8px"><b>{escape(title)}: '
        f"{escape(status)}</b>"
        + (table(["", ""], [[escape(cell) for cell in row] for row in tried]) if tried else "<br>")
        + f"{escape(hint)}</div>"
    )
    both("\n".join(part for part in text if part), html)


def scoreboard(lines: Sequence[Line], answers: Sequence[tuple[str, str]]) -> None:
    """The chapter on one page: each claim's verdict and effect, the reader's score, the answers."""
    head = ["", "claim", "verdict", "measured here", "on the reference machine", "your points"]
    rows = []
    for one in lines:
        scored = "–" if one.points is None else f"{one.points:.0f}"
        word = one.word or "not judged yet"
        rows.append([one.claim, one.text, word, one.here, one.reference, scored])
    coloured = [
        [f"<b>{row[0]}</b>", escape(row[1]), badge(row[2]), *(escape(cell) for cell in row[3:])]
        for row in rows
    ]
    points = [one.points for one in lines if one.points is not None]
    predictions = "No prediction of yours was scored in this chapter."
    if points:
        mean = sum(points) / len(points)
        predictions = f"Your predictions: {len(points)} scored, {mean:.0f} points on average."
    done = columns([[title, status] for title, status in answers]) if answers else ""
    given = [[escape(cell) for cell in row] for row in answers]
    both(
        "\n".join(part for part in (columns([head, *rows]), predictions, done) if part),
        table(head, coloured)
        + f"<p>{predictions}</p>"
        + (table(["exercise", "your answer"], given) if given else ""),
    )
