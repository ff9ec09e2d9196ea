"""The marks of a class: a CSV for other programs, and a page for people."""

import csv
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from perflab.book.grading.grader import MARKS, Graded
from perflab.book.paper import page as whole_page
from perflab.book.paper import said, table
from perflab.book.wording import plain

COLUMNS = (
    "student", "chapter", "exercise", "title", "mark", "points", "found", "hint",
    "cost", "counted", "model", "times the model", "file",
)  # fmt: skip


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
    head = ["student", "exercise", "mark", "what was found", "hint", "cost"]
    return whole_page(
        "Marks",
        f"<p>{len(students)} students. {escape(summed(rows))}</p>{_overview(rows, students)}"
        f"<h2>Every answer</h2>{table(head, [_row(row) for row in rows])}",
    )


def summed(rows: Sequence[Graded]) -> str:
    """How many rows have each mark."""
    counts = {mark: sum(row.mark == mark for row in rows) for mark in MARKS}
    return ", ".join(f"{count} {mark}" for mark, count in counts.items() if count) + "."


def _overview(rows: Sequence[Graded], students: Iterable[str]) -> str:
    """A row per student, a column per exercise: the class at a glance."""
    marks = {(row.student, row.chapter, row.exercise): row.mark for row in rows}
    asked = sorted({(row.chapter, row.exercise) for row in rows if row.chapter and row.exercise})
    head = ["student", *(f"{chapter}.{number}" for chapter, number in asked), ""]
    body = []
    for student in students:
        cells = [marks.get((student, *key), "") for key in asked]
        right = f"{cells.count('right')} right"
        body.append([escape(student), *(said(mark) for mark in cells), right])
    return table(head, body)


def _row(row: Graded) -> list[str]:
    where = f"{row.chapter}.{row.exercise} " if row.chapter else ""
    title = where + escape(row.title.split(", ", 1)[-1])
    mark, hint = said(row.mark), escape(row.hint)
    return [escape(row.student), title, mark, _found(row), hint, _cost(row)]


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
