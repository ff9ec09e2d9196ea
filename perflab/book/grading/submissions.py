"""What was handed in: which files are notebooks of which student.

A folder of notebooks, a folder for each student, or both mixed. A student is called by the folder
that holds the notebook, or by the file's name where it lies in FOLDER itself.
"""

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from perflab.errors import PerflabError

LARGEST = 20 << 20  # bytes of a notebook; figures of a chapter take one or two million
IGNORED = re.compile(r"[._~].*|__MACOSX|.*~")


@dataclass(frozen=True)
class HandIn:
    """One file of one student: its text, or what is wrong with it."""

    student: str
    file: str  # its path within the folder
    text: str = ""
    problem: str = ""

    @property
    def number(self) -> int | None:
        """The chapter that the file's name begins with, or has somewhere as in 04-caching."""
        found = re.search(r"(?<!\d)(0[1-9]|10)-[a-z]", Path(self.file).name)
        return int(found[1]) if found else None


def hand_ins(folder: Path, chapters: list[str], pages: Collection[str] = ()) -> list[HandIn]:
    """Every student's notebooks, in order of name; who has none is there with what is wrong.

    `chapters` are the chapters' own names, such as 04-caching: they are no part of a student's.
    `pages` are files of the hand-out that have nothing to answer.
    Raises PerflabError for what is no folder, and for one with nothing in it.
    """
    if not folder.is_dir():
        raise PerflabError(f"{folder} is no folder. Name the one that holds what was handed in.")
    found, others = [], dict[str, str]()
    for path in sorted(_files(folder)):
        if path.name in pages:
            continue
        student, file = _student(path, folder, chapters), path.relative_to(folder).as_posix()
        if path.suffix == ".ipynb":
            text, problem = _read(path)
            found.append(HandIn(student, file, text, problem))
        elif path.parent != folder or path.suffix not in (".csv", ".html"):  # an earlier result
            others.setdefault(student, file)
    known = {one.student for one in found}
    found += [
        HandIn(student, file, problem="This is no notebook: hand in the .ipynb file itself.")
        for student, file in others.items()
        if student not in known
    ]
    if not found:
        raise PerflabError(f"{folder} holds no notebook.")
    return sorted(found, key=lambda one: (one.student, one.file))


def _files(folder: Path) -> Iterator[Path]:
    """Files below the folder, none that a system or an editor put there; links are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not IGNORED.fullmatch(name)]
        yield from (Path(place, name) for name in files if not IGNORED.fullmatch(name))


def _student(path: Path, folder: Path, chapters: list[str]) -> str:
    if path.parent != folder:
        return path.parent.relative_to(folder).as_posix()
    name = path.stem
    for chapter in chapters:
        name = name.replace(chapter, "")
    return name.strip(" -_.,") or path.stem


def _read(path: Path) -> tuple[str, str]:
    """The text, or what is wrong with the file. A pipe or a device is not opened: it may wait."""
    try:
        if path.is_symlink() or not path.is_file():
            return "", "This is no file."
        if path.stat().st_size > LARGEST:
            return "", f"This file has more than {LARGEST >> 20} MB. Clear its outputs."
        return path.read_text("utf-8"), ""
    except (OSError, ValueError) as error:
        return "", f"This file cannot be read: {error}"
