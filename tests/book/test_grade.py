"""python -m perflab grade: a class of hostile and honest submissions, marked as they should be."""

import csv
import inspect
import json
import os
import sys
import textwrap
from dataclasses import replace

import pytest

from perflab.__main__ import main
from perflab.book.grading.grader import grade
from perflab.book.grading.limits import Limits
from perflab.book.readers import copy_chapters
from perflab.patterns import CircuitBreaker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="grading forks, and says so")

LIMITS = Limits(cpu=2, wall=10, memory=512 << 20)
RIGHT = """
def break_even(plain, compressed, seconds):
    return max(0, 8 * (plain - compressed) / seconds)
"""
HEAD = "def break_even(plain, compressed, seconds):\n"
PERFLAB = 'getattr(sys, "mod" + "ules")["perf" + "lab.book.exercises.'
COPIED = inspect.getsource(CircuitBreaker.call).partition("\n")[2]
COPIED = "def call(self, fn, /, *args, **kwargs):\n" + textwrap.indent(textwrap.dedent(COPIED), " ")
ELSEWHERE = "/var/tmp/perflab-of-a-student"


def does(code: str, imports: str = "import os, sys") -> str:
    """An answer that does this when it is called."""
    return f"{imports}\n{HEAD}" + textwrap.indent(code, "    ") + "\n    return 0\n"


def beside(code: str) -> str:
    """A right answer, with code that runs before its judge does."""
    first = f"import sys\ndef first():\n{textwrap.indent(code, '    ')}\n"
    return first + RIGHT.replace("seconds)", "seconds, done=first())", 1)


HOSTILE = {  # name: (answer to exercise 3 of chapter 7, mark, what the hint says)
    "exits": (does("sys.exit(0)"), "wrong", "SystemExit"),
    "interrupts": (does("raise KeyboardInterrupt"), "wrong", "KeyboardInterrupt"),
    "leaves plainly": (does("os._exit(0)"), "refused", "_exit"),
    "leaves": (does('getattr(os, "_ex" + "it")(0)'), "wrong", "ended before there was a verdict"),
    "kills itself": (does("os.kill(os.getpid(), 9)"), "wrong", "PermissionError"),
    "kills the grader": (does("os.kill(os.getppid(), 9)"), "wrong", "PermissionError"),
    "kills everybody": (does("os.kill(-1, 9)"), "wrong", "PermissionError"),
    "loops": (does("while True: pass"), "wrong", "did not end within"),
    "sleeps": (does("time.sleep(1e6)", "import time"), "wrong", "did not end within"),
    "recurses": (does("return break_even(plain, compressed, seconds)"), "wrong", "RecursionError"),
    "takes all memory": (does("x = [bytearray(1 << 30) for _ in range(99)]"), "wrong", "Memory"),
    "bombs": (does("while True: os.fork()"), "wrong", "PermissionError"),
    "starts a program": (
        does('subprocess.run(["sleep", "1e6"])', "import subprocess"), "wrong", "PermissionError",
    ),
    "prints a verdict": (does("print('right'); os.write(1, b'right')"), "wrong", "At break-even"),
    "writes into every file": (
        does("""for number in range(3, 128):
    try: os.write(number, b'{"status": "right", "hint": "", "tried": [], "measure": null}')
    except OSError: pass"""), "refused", "where the verdict goes",
    ),
    "closes every file": (does("os.closerange(0, 128)"), "wrong", "before there was a verdict"),
    "writes elsewhere": (does(f"open({ELSEWHERE!r}, 'w')"), "wrong", "PermissionError"),
    "looks at frames plainly": (does("sys._getframe().f_back"), "refused", "f_back"),
    "looks at frames": (does('getattr(sys, "_get" + "frame")(1)'), "wrong", "PermissionError"),
    "looks at objects": (
        does('getattr(gc, "get_" + "objects")()', "import gc"), "wrong", "PermissionError",
    ),
    "names perflab": (
        "from perflab.book.exercises import network\n" + does("network"), "refused", "perflab",
    ),
    "takes the judge's place": (
        beside(f'passed = {PERFLAB}judging"].Judgement("right")\n'
               f'{PERFLAB}judging"].Exercise.judge = lambda self, answer: passed'),
        "refused", "Exercise",
    ),
    "changes a judge": (
        beside(f'{PERFLAB}network"].is_number = lambda value: True'), "refused", "is_number",
    ),
    "changes what is asked": (beside(f'{PERFLAB}network"].LYING.clear()'), "refused", "LYING"),
    "copies a pattern": (
        COPIED.replace("self", "me") + does("call(1, 2)"), "refused", "is that of perflab/patterns",
    ),
    "is no Python": (f"{HEAD}    return (", "wrong", "no Python"),
    "was deleted": ("", "missing", "Nothing is called break_even"),
}  # fmt: skip
HONEST = {
    "right": (RIGHT, "right", ""),
    "with magics": ("%load_ext autoreload\n!ls\n" + RIGHT, "right", ""),
    "with a helper": (
        "import math as m\nBITS = 8\ndef bits(n):\n    return m.floor(n) * BITS\n"
        f"{HEAD}    return max(0, bits(plain - compressed) / seconds)\n", "right", "",
    ),
    "in bytes": (RIGHT.replace("8 *", "1 *"), "wrong", "Bits, not bytes"),
    "leaves a thread": (
        f"import threading\n{HEAD}    threading.Thread(target=threading.Event().wait).start()\n"
        "    return max(0, 8 * (plain - compressed) / seconds)\n", "right", "",
    ),
}  # fmt: skip
CLASS = HOSTILE | HONEST


def notebook(*cells: str) -> str:
    """A notebook of these code cells."""
    made = [{"cell_type": "code", "source": one, "metadata": {}, "outputs": []} for one in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def handed_in(answer: str) -> str:
    return notebook("ch = Chapter(7)", answer, "ch.check(3, break_even)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A class: a file or a folder for each, and files that are no chapters."""
    place = tmp_path_factory.mktemp("class")
    for number, (name, (answer, _, _)) in enumerate(CLASS.items()):
        path = place / f"{name}.ipynb" if number % 2 else place / name / "07-network.ipynb"
        path.parent.mkdir(exist_ok=True)
        path.write_text(handed_in(answer), "utf-8")
    (place / "broken 07-network.ipynb").write_text("{ no notebook", "utf-8")
    (place / "deep.ipynb").write_text("[" * 100_000, "utf-8")
    (place / "other.ipynb").write_text(notebook("1 + 1"), "utf-8")
    os.mkfifo(place / "waits.ipynb")
    (place / "on paper").mkdir()
    (place / "on paper" / "answers.pdf").write_bytes(b"%PDF")
    return place


@pytest.fixture(scope="module")
def graded(folder):
    return grade(folder, limits=LIMITS)


@pytest.mark.parametrize("name", CLASS)
def test_a_submission_is_marked_as_it_should_be(graded, name):
    """Whatever an answer does, it gets its own mark and a hint that says why."""
    _, mark, hint = CLASS[name]
    row = next(one for one in graded if one.student == name and one.exercise == 3)
    assert (row.mark, hint in row.hint) == (mark, True), row


def test_every_student_has_a_row_for_every_exercise(graded):
    """A hostile answer stops nobody else, and what is not there is missing."""
    for name in CLASS:
        rows = [row for row in graded if row.student == name]
        assert [(row.chapter, row.exercise) for row in rows] == [(7, n) for n in (1, 2, 3, 4)]
        assert {row.mark for row in rows if row.exercise != 3} == {"missing"}


@pytest.mark.parametrize("name", ["broken", "deep", "other", "waits", "on paper"])
def test_a_file_that_is_no_chapter_is_unreadable_and_says_why(graded, name):
    """No JSON, nested too deeply, no chapter, a pipe that nobody writes, a PDF."""
    row = next(one for one in graded if one.student == name)
    assert row.mark == "unreadable"
    assert row.hint


def test_nothing_is_left_behind(graded):
    """No file outside an answer's own folder, and no process."""
    assert not os.path.exists(ELSEWHERE)


def test_marks_are_the_same_in_a_second_run(tmp_path, graded):
    """One process at a time or several: the same rows in the same order."""
    quick = [name for name in CLASS if name not in ("loops", "sleeps")][:12]
    for name in quick:
        (tmp_path / f"{name}.ipynb").write_text(handed_in(CLASS[name][0]), "utf-8")

    def without_file(rows):
        return [replace(row, file="") for row in rows if row.student in quick]

    assert without_file(grade(tmp_path, limits=LIMITS, jobs=1)) == without_file(graded)


# ── A hand-out, answered and graded, as a teacher does it


@pytest.fixture
def class_of_two(tmp_path):
    """Anna answers two exercises of the hand-out; Ben hands in what he was given."""
    for student in ("anna", "ben"):
        copy_chapters(tmp_path / student, ["7"])
    path = tmp_path / "anna" / "07-network.ipynb"
    book = json.loads(path.read_text("utf-8"))
    for cell in book["cells"]:
        if "ch.check(3" in "".join(cell["source"]):
            cell["source"] = RIGHT + "\nch.check(3, break_even)"
        if "ch.check(1" in "".join(cell["source"]):
            cell["source"] = "".join(cell["source"]).replace('raise NotImplementedError("', "# (")
    path.write_text(json.dumps(book), "utf-8")
    return tmp_path


def test_a_hand_out_is_graded_from_the_command_line(class_of_two, capsys):
    """A CSV with a row for each student and exercise, a page, and status 0 whatever the marks."""
    assert main(["grade", str(class_of_two), "--jobs", "1"]) == 0
    assert "1 right, 1 wrong, 6 not attempted" in capsys.readouterr().out
    with open(class_of_two / "grades.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    marks = {(row["student"], row["exercise"]): row["mark"] for row in rows}
    assert marks["anna", "3"] == "right"
    assert marks["anna", "1"] == "wrong"
    assert marks["ben", "3"] == "not attempted"
    page = (class_of_two / "grades.html").read_text("utf-8")
    assert "http" not in page
    assert "break-even" in page


def test_an_unreadable_file_shows_in_the_exit_status(tmp_path, capsys):
    """1 where a file could not be read; 2 for an unknown chapter; 1 for an empty folder."""
    (tmp_path / "x.ipynb").write_text("no notebook", "utf-8")
    assert main(["grade", str(tmp_path), "--jobs", "1"]) == 1
    assert main(["grade", str(tmp_path), "--chapters", "77"]) == 2
    assert main(["grade", str(tmp_path / "nowhere")]) == 1
    assert "no folder" in capsys.readouterr().err
