"""The marks of a class: a CSV for other programs, and a page for people."""

import csv
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from perflab.book.grading.grader import MARKS, Graded
from perflab.book.wording import plain

COLUMNS = (
    "student", "chapter", "exercise", "title", "mark", "points", "found", "hint",
    "cost", "counted", "model", "times the model", "file",
)  # fmt: skip
STYLE = """
:root { color-scheme: light dark; --quiet: #666; --line: #ddd; --paper: #fff; --ink: #1a1a1a;
  --good: #2f6d39; --bad: #a8380c; --open: #7a5b06 }
@media (prefers-color-scheme: dark) { :root { --quiet: #aaa; --line: #3a3a3a; --paper: #161616;
  --ink: #e8e8e8; --good: #7cc58a; --bad: #f0906a; --open: #d9b44a } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--paper); color: var(--ink) }
table { border-collapse: collapse; margin: 1rem 0 2.5rem } th { color: var(--quiet) }
td, th { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); font-weight: normal; overflow-wrap: anywhere }
.right { color: var(--good); font-weight: 600 } .wrong, .refused { color: var(--bad);
  font-weight: 600 } .open { color: var(--open) } .quiet { color: var(--quiet) }
summary { cursor: pointer } ul { margin: .3rem 0; padding-left: 1.2rem }
.mark { white-space: nowrap }
"""


def write(rows: Sequence[Graded], csv_path: Path, page: Path) -> None:
    """Write both files whole. OSError where they cannot be written."""
    with open(csv_path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        out.writerows([_inert(cell) for cell in _cells(row)] for row in rows)
    page.write_text(_page(rows), "utf-8")


def _cells(row: Graded) -> list[str]:
    cost = row.cost
    return [
        row.student,
        str(row.chapter or ""),
        str(row.exercise or ""),
        row.title,
        row.mark,
        str(int(row.mark == "right")),
        row.found,
        row.hint,
        *((f"{cost.here:g}", cost.counted, f"{cost.model:g}", f"{cost.ratio:.2f}") if cost
          else ("", "", "", "")),
        row.file,
    ]  # fmt: skip


def _inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, whatever a student wrote into it."""
    return f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell


def _page(rows: Sequence[Graded]) -> str:
    students = list(dict.fromkeys(row.student for row in rows))
    return f"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>perflab: marks</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style>
<h1>Marks</h1>
<p>{len(students)} students. {escape(summed(rows))}</p>
{_overview(rows, students)}
<h2>Every answer</h2>
<table><tr><th>student<th>exercise<th>mark<th>what was found<th>hint<th>cost</tr>
{"".join(map(_row, rows))}</table></html>
"""


def summed(rows: Sequence[Graded]) -> str:
    """How many rows have each mark."""
    counts = {mark: sum(row.mark == mark for row in rows) for mark in MARKS}
    return ", ".join(f"{count} {mark}" for mark, count in counts.items() if count) + "."


def _overview(rows: Sequence[Graded], students: Iterable[str]) -> str:
    """A row per student, a column per exercise: the class at a glance."""
    marks = {(row.student, row.chapter, row.exercise): row.mark for row in rows}
    asked = sorted({(row.chapter, row.exercise) for row in rows if row.chapter and row.exercise})
    signs = {"right": "✓", "wrong": "✗", "refused": "refused", "not attempted": "–", "missing": ""}
    head = "".join(f"<th>{chapter}.{number}" for chapter, number in asked)
    body = []
    for student in students:
        cells = [marks.get((student, *key), "") for key in asked]
        shown = "".join(f'<td class="{_class(mark)}">{signs.get(mark, "")}' for mark in cells)
        body.append(f"<tr><td>{escape(student)}{shown}<td>{cells.count('right')} right</tr>")
    return f"<table><tr><th>student{head}<th></tr>{''.join(body)}</table>"


def _class(mark: str) -> str:
    return mark if mark in ("right", "wrong", "refused") else "open"


def _row(row: Graded) -> str:
    where = f"{row.chapter}.{row.exercise} " if row.chapter else ""
    title = row.title.split(", ", 1)[-1]
    return (
        f'<tr><td>{escape(row.student)}<td>{where}{escape(title)}<td class="mark '
        f'{_class(row.mark)}">{escape(row.mark)}<td>{_found(row)}<td>{escape(row.hint)}'
        f"<td>{_cost(row)}</tr>\n"
    )


def _found(row: Graded) -> str:
    if not row.tried:
        return ""
    tried = "".join(
        f"<li>{'✓' if passed else '✗'} {escape(name)}: {escape(what)}"
        for name, passed, what in row.tried
    )
    return f"<details><summary>{escape(row.found)}</summary><ul>{tried}</ul></details>"


def _cost(row: Graded) -> str:
    if row.cost is None:
        return ""
    return (
        f"{plain(row.cost.here)} {escape(row.cost.counted)}<br>"
        f'<span class="quiet">{plain(row.cost.ratio)} times the model\'s</span>'
    )
