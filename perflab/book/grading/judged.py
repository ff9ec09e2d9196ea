"""What runs in the process of one answer: its code, then the judge, then the verdict.

The process is a fork of the nursery, which has the judges loaded. The verdict goes into a pipe of
its own, after a secret that is nowhere but in a local name of this file's.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from perflab.book.exercises import Exercise, Judgement, exercise
from perflab.book.grading import answers, limits, seal
from perflab.book.readers import ROOT

LONGEST = 300  # characters of what was found
PACKAGE = ROOT / "perflab"
READABLE = tuple(f"{os.path.realpath(one)}{os.sep}" for one in (sys.prefix, sys.base_prefix))
READABLE += tuple(f"{one}{os.sep}" for one in (PACKAGE, ROOT / "data"))

Task = dict[str, Any]


def read(task: Task, folder: str) -> dict[str, Any]:
    """The chapter that a notebook is, and its answers by number; or what is wrong with it."""
    try:
        code = answers.cells(task["text"])
        chapter = answers.chapter_of(code) or task["number"]
        asked = task["asked"].get(str(chapter), {})
        taken = {number: answers.take(code, int(number), name) for number, name in asked.items()}
    except (ValueError, RecursionError, MemoryError) as error:
        return {"problem": str(error) or "This notebook is too large to be read."}
    if not asked:
        return {"problem": "It is no chapter that has exercises: its Chapter(…) is not there."}
    return {"chapter": chapter, "taken": {number: vars(one) for number, one in taken.items()}}


def judge(task: Task, folder: str) -> dict[str, Any]:
    """The verdict on an answer's code."""
    one = exercise(task["chapter"], task["number"])
    before = seal.state()
    real = os.path.realpath(folder) + os.sep
    limits.guard(real, READABLE, str(PACKAGE) + os.sep)
    found = _judged(task["code"], one)
    if found.status == "right" and (changed := seal.broken(before, one)):
        found = Judgement("refused", f"It changed what judges it: {changed}.")
    tried = [[_short(name), bool(passed), _short(what)] for name, passed, what in found.tried]
    measure = found.measure if found.measure is None else float(found.measure)
    return {"status": found.status, "hint": _short(found.hint), "tried": tried, "measure": measure}


def _judged(code: str, one: Exercise) -> Judgement:
    place = ModuleType("answer")
    place.__dict__["display"] = lambda *things, **named: None  # as in a notebook
    sys.modules["answer"] = place
    try:
        exec(compile(code, limits.CALLED, "exec", dont_inherit=True), place.__dict__)
        return one.judge(place.__dict__[answers.ANSWER])
    except BaseException as error:  # also what only ends a process: the answer has no such right
        return Judgement("wrong", f"Your code raised {type(error).__name__}: {error}")


def _short(text: object) -> str:
    plain = " ".join(str(text).split())
    return plain if len(plain) <= LONGEST else plain[:LONGEST] + "…"


WHAT: dict[str, Callable[[Task, str], dict[str, Any]]] = {"read": read, "judge": judge}


def run_and_exit(
    task: Task, folder: str, writing: int, secret: bytes, most: limits.Limits, user: int | None,
    busy: int, parent: int,
) -> None:  # fmt: skip
    """In the child: do the task, write its result behind the secret, and end on the spot."""
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.closerange(3, writing)
        os.closerange(writing + 1, 65_536)
        limits.enclose(most, folder, user, busy)
        if os.getppid() != parent:  # ended before this process could be bound to it
            return
        result = secret + json.dumps(WHAT[task["what"]](task, folder)).encode()
        with contextlib.suppress(OSError):
            while result:
                result = result[os.write(writing, result) :]
    finally:
        os._exit(0)
