"""How far a reader has come: read from the record, shown on the contents page.

The page's cell says `progress()`. `python -m perflab lab` fills its output before Lab opens, so
that a reader sees where things stand without running anything.
"""

import contextlib
import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from perflab.book import readers
from perflab.book.claims import claims
from perflab.book.contents import About, about
from perflab.book.style import OURS, QUIET
from perflab.book.ways import CONTENTS

CELL = "progress()"  # the last line of the page's cell
EXERCISES = 4
TD = "text-align:left;padding:4px 12px 4px 0;vertical-align:top;white-space:nowrap"
QUESTIONS = {
    "verdicts": "select distinct claim from verdicts",
    "predictions": "select distinct claim from predictions",
    "solved": "select distinct claim from outcomes where claim like '%.mystery'",
    "right": "select distinct exercise from answers where status = 'right'",
}


@dataclass(frozen=True)
class Step:
    """One chapter: how many of its verdicts were reached, predictions made, exercises solved; and
    whether its mystery was."""

    about: About
    verdicts: tuple[int, int]
    predictions: tuple[int, int]
    exercises: tuple[int, int]
    solved: bool

    @property
    def begun(self) -> bool:
        return self.solved or any(one[0] for one in self.counts)

    @property
    def done(self) -> bool:
        return self.solved and self.verdicts[0] == self.verdicts[1]

    @property
    def counts(self) -> tuple[tuple[int, int], ...]:
        return self.verdicts, self.predictions, self.exercises


def steps(folder: Path) -> list[Step]:
    """A step for each chapter that can be read, from the record in that folder, if there is one."""
    found = _found(folder / readers.RECORD)
    judged = [one for one in claims().values() if one.kind != "demo"]
    return [
        Step(
            one,
            _count((c.id for c in judged if c.chapter == one.number), found["verdicts"]),
            _count(one.asked, found["predictions"]),
            _count((f"{one.number}.{n}" for n in range(1, EXERCISES + 1)), found["right"]),
            f"{one.number}.mystery" in found["solved"],
        )
        for one in about()
        if one.file
    ]


def _count(due: Any, found: Collection[str]) -> tuple[int, int]:
    known = list(due)
    return sum(one in found for one in known), len(known)


def _found(path: Path) -> dict[str, set[str]]:
    """What the record answers; a record that is missing, broken or somebody else's has nothing."""
    found: dict[str, set[str]] = {name: set() for name in QUESTIONS}
    if not path.is_file():  # asking would make one
        return found
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(path, timeout=1)) as record,
    ):
        for name, question in QUESTIONS.items():
            found[name] = {row[0] for row in record.execute(question)}
    return found


def progress() -> None:
    """Show where the reader stands."""
    from perflab.book.show import both  # only here: the command line does not wait for IPython

    text, html = page(steps(readers.my_folder()), readers.outdated(readers.my_folder()))
    both(text, html)


def page(found: Sequence[Step], kept: Sequence[readers.Copied] = ()) -> tuple[str, str]:
    """The same as text and as HTML: where to go on, a row per chapter, and newer chapters."""
    going = _next(found)
    rows = [_row(step) for step in found] if any(step.begun for step in found) else []
    said = f"{going[0]} {going[1].name}{going[2]}"
    linked = f"{escape(going[0])} {_link(going[1])}{escape(going[2])}"
    notes = [str(one) for one in kept]
    text = [said, *("   ".join(row) for row in rows), *notes]
    html = [f"<p>{linked}</p>", _table(found) if rows else ""]
    html += [f'<p style="{QUIET}">{escape(note)}</p>' for note in notes]
    return "\n".join(text), "".join(html)


def _next(found: Sequence[Step]) -> tuple[str, About, str]:
    if not any(step.begun for step in found):
        first = found[0].about
        return "Nothing has been run here yet. Begin with", first, f": {first.minutes} minutes."
    step = next((one for one in found if not one.done), None)
    if step is None:
        return "You have seen every verdict. The last page is that of", found[-1].about, "."
    return ("Go on with" if step.begun else "Next is"), step.about, "."


def _row(step: Step) -> list[str]:
    names = ("verdicts", "predictions", "exercises solved")
    counts = [f"{n} of {of} {name}" for (n, of), name in zip(step.counts, names, strict=True)]
    return [step.about.name, *counts, f"mystery {'solved' if step.solved else 'open'}"]


def _table(found: Sequence[Step]) -> str:
    heads = ("", "verdicts reached", "predictions made", "exercises solved", "the mystery")
    top = "".join(f'<th style="{TD};{QUIET}">{head}</th>' for head in heads)
    body = ""
    for step in found:
        cells = [_link(step.about), *(_bar(*count) for count in step.counts)]
        cells.append("solved" if step.solved else f'<span style="{QUIET}">open</span>')
        body += "<tr>" + "".join(f'<td style="{TD}">{cell}</td>' for cell in cells) + "</tr>"
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _bar(count: int, of: int) -> str:
    """Boxes, filled as far as one has come; Lab lets no drawing through before a cell is run."""
    full, empty = "■" * count, "□" * (of - count)
    colour = OURS if count else "#888"
    return f'<span style="color:{colour}" aria-hidden="true">{full}{empty}</span> {count} of {of}'


def _link(chapter: About) -> str:
    return f'<a href="{chapter.file}">{escape(chapter.name)}</a>'


def fill(folder: Path) -> None:
    """Write the output of the page's cell in this folder, if the reader has left the cell there."""
    path = folder / CONTENTS
    notebook = readers.read_notebook(path)
    if notebook is None:
        return
    text, html = page(steps(folder), readers.outdated(folder))
    output = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": html, "text/plain": text},
    }
    before = json.dumps(notebook)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "".join(cell["source"]).endswith(CELL):
            cell |= {"outputs": [output], "execution_count": None}
    if json.dumps(notebook) != before:
        readers.write_whole(path, notebook)
