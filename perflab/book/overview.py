"""The book as a whole on one page: the ledger of all claims, and the reader's calibration."""

from collections.abc import Mapping, Sequence
from html import escape

from perflab.book.ledger import Calibration, Group
from perflab.book.scoreboard import Line
from perflab.book.show import WORD_COLOURS, badge, both, columns, table
from perflab.book.style import GUIDE, OURS, QUIET

HEAD = ("", "claim", "verdict", "measured here", "on the reference machine", "your points")
GROUPS = ("predictions", "made", "said to come true", "came true", "points on average")
BAR = 120  # pixels for 100 %


def ledger(chapters: Mapping[int, Sequence[Line]], found: Calibration) -> None:
    """Each chapter's claims, folded under a line that sums them up; then the calibration."""
    text, html = [], []
    for number, lines in chapters.items():
        summary = f"Chapter {number}: {_summed(lines)}"
        rows = [_row(one) for one in lines]
        text += [summary, columns([list(HEAD), *rows], "  ")] if rows else [summary]
        html.append(_folded(summary, rows))
    text.append(f"Your predictions: {found.sentence}")
    rows = [_group(one) for one in found.groups]
    text += [columns([list(GROUPS), *rows], "  ")] if rows else []
    html.append(f"<p><b>Your predictions</b> {escape(found.sentence)}</p>")
    html.append(table(GROUPS, [_drawn(one) for one in found.groups]) if rows else "")
    both("\n".join(text), "".join(html))


def _summed(lines: Sequence[Line]) -> str:
    words = [one.word for one in lines if one.word]
    counts = {word: words.count(word) for word in words}
    each = "".join(f", {count} {_many(word, count)}" for word, count in counts.items())
    return f"{len(words)} of {len(lines)} claims judged{each}"


def _many(word: str, count: int) -> str:
    plural = {"holds": "hold", "does not hold": "do not hold"}
    return word if count == 1 else plural.get(word, word)


def _row(one: Line) -> list[str]:
    scored = "–" if one.points is None else f"{one.points:.0f}"
    return [one.claim, one.text, one.word or "not judged yet", one.here, one.reference, scored]


def _folded(summary: str, rows: Sequence[Sequence[str]]) -> str:
    cells = [
        [
            f"<b>{row[0]}</b>",
            escape(row[1]),
            badge(row[2]) if row[2] in WORD_COLOURS else escape(row[2]),
            *(escape(cell) for cell in row[3:]),
        ]
        for row in rows
    ]
    return f"<details><summary>{escape(summary)}</summary>{table(HEAD, cells)}</details>"


def _group(one: Group) -> list[str]:
    said = "" if one.said is None else f"{one.said:.0f} %"
    true = f"{one.came_true} of {one.made}, {100 * one.came_true / one.made:.0f} %"
    return [one.what, str(one.made), said, true, f"{one.points:.0f}"]


def _drawn(one: Group) -> list[str]:
    """The same with a bar for what came true, and a line in it for what was said."""
    what, made, said, true, points = (escape(cell) for cell in _group(one))
    filled = BAR * one.came_true / one.made
    mark = "" if one.said is None else _rectangle(BAR * one.said / 100 - 1, 2, GUIDE)
    bar = (
        f'<svg width="{BAR}" height="12" role="img" aria-label="{true}">'
        f"{_rectangle(0, BAR, '#8883')}{_rectangle(0, filled, OURS)}{mark}</svg>"
    )
    return [what, made, said, f'{bar} <span style="{QUIET}">{true}</span>', points]


def _rectangle(x: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" width="{width:.1f}" height="12" fill="{colour}"/>'
