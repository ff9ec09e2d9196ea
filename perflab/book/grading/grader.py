"""Grading a folder: who handed in what, judged side by side, a row per student and exercise."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perflab.book.exercises import titles
from perflab.book.exercises.costs import Cost, cost_of
from perflab.book.grading import answers
from perflab.book.grading.limits import Limits
from perflab.book.grading.pool import Pool
from perflab.book.grading.submissions import HandIn, hand_ins
from perflab.book.readers import chapters, pages
from perflab.errors import PerflabError, require

MARKS = ("right", "wrong", "refused", "not attempted", "missing", "unreadable")  # the best first
SHARED = "Answers run as the user that you are; as root in a container they have one of their own."
ENDINGS = {
    "died": ("wrong", "Its process ended before there was a verdict: it left, or was ended."),
    "forged": ("refused", "It wrote something of its own where the verdict goes."),
    "killed": ("refused", "It ended the process that had started it."),
}


@dataclass(frozen=True)
class Graded:
    """One student's exercise: `mark` is one of MARKS, `tried` what was tested and what was found,
    `cost` what a right answer took beside the model's, where that makes sense."""

    student: str
    file: str = ""  # empty: nothing was handed in
    chapter: int | None = None  # None: the file is no chapter
    exercise: int | None = None
    title: str = ""
    mark: str = ""
    hint: str = ""
    tried: tuple[tuple[str, bool, str], ...] = ()
    cost: Cost | None = None
    code: str = ""

    @property
    def found(self) -> str:
        """How many of the checks held, and the first that did not."""
        if not self.tried:
            return ""
        failed = [f"{name}: {what}" for name, passed, what in self.tried if not passed]
        held = f"{len(self.tried) - len(failed)} of {len(self.tried)} held"
        return f"{held}; {failed[0]}" if failed else held


def grade(
    folder: Path, wanted: Iterable[str] = (), limits: Limits | None = None, jobs: int | None = None
) -> list[Graded]:
    """Judge what was handed in: a row for each student and exercise, in order.

    Graded are the `wanted` chapters, or else all that somebody handed in. So many `jobs` at once,
    one for each processor by default. Raises PerflabError for a folder without notebooks, and
    where processes cannot be forked; ValueError for a chapter that does not exist.
    """
    if not hasattr(os, "fork"):
        raise PerflabError("Grading needs Linux or macOS: use the container, or WSL.")
    limits = limits or Limits()
    jobs = jobs if jobs is not None else os.cpu_count() or 1
    require(jobs >= 1, "jobs", jobs, "at least 1")
    book = _book()
    only = {int(path.stem[:2]) for path in chapters(wanted)} & set(book)
    names = [path.stem for path in chapters()]
    found = hand_ins(folder, names, [path.name for path in pages()])
    rows: list[Graded] = []
    with Pool(jobs, limits) as pool:
        if not pool.apart:
            print(SHARED, file=sys.stderr)
        notebooks = pool.all([_reading(one, book) for one in found], "notebook")
        for one, read in zip(found, notebooks, strict=True):
            rows += _rows(one, read, only)
        to_judge = [row for row in rows if row.code]
        verdicts = pool.all([_judging(row) for row in to_judge], "answer")
    done = [row for row in rows if not row.code]
    done += [_judged(row, one, limits) for row, one in zip(to_judge, verdicts, strict=True)]
    return list(_complete(done, {one.student for one in found}, book, only))


def _book() -> dict[int, dict[int, str]]:
    """By chapter: what each of its exercises asks for, as the grader's own notebooks have it."""
    found = {}
    for path in chapters():
        asked = answers.asked(answers.cells(path.read_text("utf-8")))
        if asked:
            found[int(path.stem[:2])] = asked
    return found


def _reading(one: HandIn, book: dict[int, dict[int, str]]) -> dict[str, Any]:
    if one.problem:
        return {}
    return {"what": "read", "text": one.text, "number": one.number, "asked": book}


def _rows(one: HandIn, read: Mapping[str, Any], only: set[int]) -> Iterator[Graded]:
    """A row for each exercise of a notebook, with its mark already or with the answer's code."""
    problem = one.problem or read.get("problem") or ("ended" in read and "It cannot be read.")
    blank = Graded(one.student, one.file)
    if problem:
        yield replace(blank, title=one.file, mark="unreadable", hint=str(problem))
    elif read["chapter"] in only:
        for number, taken in read["taken"].items():
            title = titles(read["chapter"])[int(number) - 1]
            yield replace(
                blank, chapter=read["chapter"], exercise=int(number), title=title, **taken
            )


def _judging(row: Graded) -> dict[str, Any]:
    return {"what": "judge", "chapter": row.chapter, "number": row.exercise, "code": row.code}


def _judged(row: Graded, verdict: Mapping[str, Any], limits: Limits) -> Graded:
    if "ended" in verdict:
        late = ("wrong", f"It did not end within {limits}.")
        mark, hint = ENDINGS.get(verdict["ended"], late)
        return replace(row, mark=mark, hint=hint)
    tried = tuple((name, passed, what) for name, passed, what in verdict["tried"])
    cost = cost_of(f"{row.chapter}.{row.exercise}", verdict["status"], verdict["measure"])
    return replace(row, mark=verdict["status"], hint=verdict["hint"], tried=tried, cost=cost)


def _complete(
    rows: list[Graded], students: set[str], book: dict[int, dict[int, str]], only: set[int]
) -> Iterator[Graded]:
    """For each student the best of each exercise, and a row also where nothing was handed in."""
    seen = {row.chapter for row in rows if row.chapter}
    for student in sorted(students):
        own = [row for row in rows if row.student == student]
        yield from (row for row in own if row.chapter is None)
        for chapter in sorted(seen & only):
            for number in book[chapter]:
                same = [one for one in own if (one.chapter, one.exercise) == (chapter, number)]
                best = min(same, key=lambda one: MARKS.index(one.mark), default=None)
                missing = "No notebook of this chapter was handed in."
                title = titles(chapter)[number - 1]
                yield best or Graded(
                    student, "", chapter, number, title, mark="missing", hint=missing
                )
