"""Where the reader works: each chapter once in my/, outputs cleared, edits never overwritten.

The folder remembers in .copied.json what was put there, so that a chapter which changed upstream
can replace a copy that nobody edited, and only such a copy.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from perflab.errors import PerflabError, require

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
MEMORY = ".copied.json"

Notebook = dict[str, Any]


@dataclass(frozen=True)
class Copied:
    """What became of one chapter, and where the reader's earlier copy went if it was put aside."""

    chapter: str
    outcome: str  # new, same, refreshed, kept: the reader's edits win over a newer chapter
    aside: Path | None = None

    def __str__(self) -> str:
        words = {
            "new": "copied",
            "same": "as it was",
            "refreshed": "refreshed: now as the chapter stands",
            "kept": "yours is kept, though the chapter has changed (--fresh puts yours aside)",
        }
        aside = f"; your earlier copy is {self.aside.name}" if self.aside else ""
        return f"{self.chapter}: {words[self.outcome]}{aside}"


def my_folder() -> Path:
    """The reader's folder: PERFLAB_MY where it is set, else my/ in the repository."""
    return at_home(Path(os.environ.get("PERFLAB_MY") or ROOT / "my")).resolve()


def at_home(path: Path) -> Path:
    """The path with ~ filled in. Raises PerflabError for a user that is not there."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise PerflabError(f"{path} cannot be found: {error} Name the folder in full.") from error


def writable(folder: Path) -> Path:
    """Make the folder if need be, and prove that files can be written there."""
    probe = folder / f".probe-{os.getpid()}"
    if folder.is_file():
        raise PerflabError(
            f"{folder} cannot be written: it is a file. Name a folder: PERFLAB_MY=~/perflab"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise PerflabError(
            f"{folder} cannot be written ({error.strerror}). Give it back to yourself "
            f"(sudo chown -R $USER '{folder}'), or name another folder: PERFLAB_MY=~/perflab"
        ) from error
    return folder


def chapters(wanted: Iterable[str] = ()) -> list[Path]:
    """The chapters' notebooks in order: all, or the wanted by number (1, 01) or name.

    Raises PerflabError where there are none, ValueError for one that does not exist.
    """
    found = sorted(NOTEBOOKS.glob("[0-9][0-9]-*.ipynb"))
    if not found:
        raise PerflabError(
            f"No chapters in {NOTEBOOKS}. Run perflab from a clone of its repository."
        )
    names = {path.stem: path for path in found}
    names |= {str(int(path.stem[:2])): path for path in found}
    numbers = ", ".join(name for name in names if name.isdigit())
    chosen = []
    for name in wanted:
        key = name.removesuffix(".ipynb")
        key = str(int(key)) if key.isdecimal() else key
        require(key in names, "chapter", name, f"one of {numbers}, or a notebook's name")
        chosen.append(names[key])
    return sorted(set(chosen)) or found


def copy_chapters(folder: Path, wanted: Iterable[str] = (), fresh: bool = False) -> list[Copied]:
    """Put chapters into the folder, outputs cleared, and tell what became of each.

    What a reader has edited stays as it is. With `fresh` the chapter takes its place, and the
    reader's copy keeps on under another name. A copy that was run but not edited is treated so
    whenever its chapter has changed: its figures are worth keeping.
    """
    paths = chapters(wanted)
    memory = _memory(writable(folder))
    copied = []
    for path in paths:
        copied.append(_copy(path, folder, memory, fresh))
        _write(folder / MEMORY, memory)
    return copied


def _copy(path: Path, folder: Path, memory: dict[str, str], fresh: bool) -> Copied:
    chapter, mine = cleared(json.loads(path.read_text("utf-8"))), folder / path.name
    newest, theirs = fingerprint(chapter), _read(mine)
    current = fingerprint(theirs) if theirs else None
    run = theirs is not None and any(cell.get("outputs") for cell in theirs["cells"])
    edited = current is None or current not in (newest, memory.get(path.name))
    # Four cases: no copy yet; the chapter as it stands; the reader's edits (or what is no
    # notebook any more); an older chapter that nobody edited, or one asked for anew.
    aside, outcome = None, "new"
    if mine.exists():
        if current == newest and not (fresh and run):
            memory[path.name] = newest
            return Copied(path.stem, "same")
        if edited and not fresh:
            return Copied(path.stem, "same" if memory.get(path.name) == newest else "kept")
        aside, outcome = _put_aside(mine) if edited or run else None, "refreshed"
    _write(mine, chapter)
    memory[path.name] = newest
    return Copied(path.stem, outcome, aside)


def cleared(notebook: Notebook) -> Notebook:
    """The notebook without outputs, execution counts, and what running left in its metadata."""
    cells = [dict(cell) for cell in notebook["cells"]]
    for cell in cells:
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k != "execution"}
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    metadata = {k: v for k, v in notebook["metadata"].items() if k != "widgets"}
    return {**notebook, "cells": cells, "metadata": metadata}


def fingerprint(notebook: Notebook) -> str:
    """What a reader can edit, hashed: each cell's kind and text. Running changes nothing in it."""
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def _put_aside(mine: Path) -> Path:
    """Give the reader's copy another name, one that nothing has yet."""
    for name in _names(mine.stem):
        aside = mine.with_name(name)
        if not aside.exists():
            return mine.rename(aside)
    raise AssertionError("names are endless")


def _names(stem: str) -> Iterator[str]:
    yield f"{stem}.{date.today()}.ipynb"
    number = 2
    while True:
        yield f"{stem}.{date.today()}-{number}.ipynb"
        number += 1


def _memory(folder: Path) -> dict[str, str]:
    """What was copied before; forgotten or unreadable, every differing copy counts as edited."""
    try:
        memory = json.loads((folder / MEMORY).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}


def _read(path: Path) -> Notebook | None:
    """The reader's notebook, or None where there is none or it is no notebook any more."""
    try:
        notebook: Notebook = json.loads(path.read_text("utf-8"))
        fingerprint(notebook)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return notebook


def _write(path: Path, content: object) -> None:
    """Write the whole file or nothing: a reader may interrupt at any moment."""
    half = path.with_name(f".{path.name}.half")
    half.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    half.replace(path)
