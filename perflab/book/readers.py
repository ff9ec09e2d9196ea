"""Where the reader works: each chapter once in my/, outputs cleared, edits never overwritten.

The folder remembers in .copied.json what was put there, so that a chapter which changed upstream
can replace a copy that nobody edited, and only such a copy.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from perflab.book.ways import CONTENTS, GLOSSARY, plain, within
from perflab.errors import PerflabError, require

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
MEMORY = ".copied.json"
RECORD = "book.db"  # of the reader's runs, in the reader's folder
# What this Python's kernel says of itself. Lab would write it into a notebook that lacks it, and
# then ask whether to save what nobody has edited.
LANGUAGE = {
    "name": "python", "version": sys.version.split()[0], "file_extension": ".py",
    "mimetype": "text/x-python", "codemirror_mode": {"name": "ipython", "version": 3},
    "pygments_lexer": "ipython3", "nbconvert_exporter": "python",
}  # fmt: skip

Notebook = dict[str, Any]


@dataclass(frozen=True)
class Copied:
    """What became of one chapter, and where the reader's earlier copy went if it was put aside."""

    chapter: str
    outcome: str  # new, same, refreshed, kept: the reader's edits win over a newer chapter
    folder: Path
    aside: Path | None = None

    def __str__(self) -> str:
        words = {
            "new": "copied",
            "same": "as it was",
            "refreshed": "refreshed: now as the chapter stands",
            "kept": f"yours is kept, as you have edited it. There is a newer one: {self.remedy}",
        }
        aside = f"; your earlier copy is {self.aside.name}" if self.aside else ""
        return f"{self.chapter}: {words[self.outcome]}{aside}"

    @property
    def remedy(self) -> str:
        """The command that takes the newer chapter and keeps the reader's under another name."""
        number = self.chapter[:2].lstrip("0") if self.chapter[:2].isdecimal() else self.chapter
        folder = f"'{self.folder}'" if " " in str(self.folder) else self.folder
        python = "python make.py" if Path(sys.prefix) == ROOT / ".venv" else "python -m perflab"
        command = f"{python} copy {folder} --chapters {number or self.chapter} --fresh"
        return f"«{command}» takes it, and keeps yours under another name"


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

    A page that is no chapter can be had by name. Raises PerflabError where there are no chapters,
    ValueError for one that does not exist.
    """
    found = [path for path in sorted(NOTEBOOKS.glob("[0-9][0-9]-*.ipynb")) if path.name != CONTENTS]
    if not found:
        raise PerflabError(
            f"No chapters in {NOTEBOOKS}. Run perflab from a clone of its repository."
        )
    names = {path.stem: path for path in found}
    names |= {str(int(path.stem[:2])): path for path in found}
    numbers = ", ".join(name for name in names if name.isdigit())
    names |= {path.stem: path for path in pages()}
    chosen = []
    for name in wanted:
        key = name.removesuffix(".ipynb")
        key = str(int(key)) if key.isdecimal() else key
        require(key in names, "chapter", name, f"one of {numbers}, or a notebook's name")
        chosen.append(names[key])
    return sorted(set(chosen)) or found


def pages() -> list[Path]:
    """What the chapters lead to besides each other: the contents and the glossary."""
    return [path for path in (NOTEBOOKS / CONTENTS, NOTEBOOKS / GLOSSARY) if path.exists()]


def copy_chapters(folder: Path, wanted: Iterable[str] = (), fresh: bool = False) -> list[Copied]:
    """Put chapters into the folder, outputs cleared, and tell what became of each.

    What a reader has edited stays as it is. With `fresh` the chapter takes its place, and the
    reader's copy keeps on under another name. A copy that was run but not edited is treated so
    whenever its chapter has changed: its figures are worth keeping. The contents and the glossary
    come along. Links lead to what is in the folder, nowhere else.
    """
    wanted = list(wanted)
    asked = chapters(wanted)
    along = [path for path in pages() if path not in asked]
    memory = _memory(writable(folder))
    present = {path.name for path in [*asked, *along, *folder.glob("*.ipynb")]}
    copied = []
    for path in [*asked, *along]:
        anew = fresh and (path in asked or not wanted)
        copied.append(_copy(path, folder, memory, anew, present))
        write_whole(folder / MEMORY, memory)
    return copied


def outdated(folder: Path) -> list[Copied]:
    """The copies that were kept because of a reader's edits, although there is a newer chapter."""
    memory, found = _memory(folder), []
    for path in [*chapters(), *pages()]:
        mine = read_notebook(folder / path.name)
        newest = fingerprint(cleared(json.loads(path.read_text("utf-8"))))
        known = (newest, memory.get(path.name))
        if mine and known[0] != known[1] and fingerprint(mine) not in known:
            found.append(Copied(path.stem, "kept", folder))
    return found


def _copy(
    path: Path, folder: Path, memory: dict[str, str], fresh: bool, present: set[str]
) -> Copied:
    chapter = within(cleared(json.loads(path.read_text("utf-8"))), present)
    chapter["metadata"]["language_info"] = LANGUAGE
    mine = folder / path.name
    newest, theirs = fingerprint(chapter), read_notebook(mine)
    current = fingerprint(theirs) if theirs else None
    run = theirs is not None and any(cell.get("outputs") for cell in theirs["cells"])
    run = run and path.name != CONTENTS  # what stands there is read from the record anew
    edited = current is None or current not in (newest, memory.get(path.name))
    # Four cases: no copy yet; the chapter as it stands; the reader's edits (or what is no
    # notebook any more); an older chapter that nobody edited, or one asked for anew.
    aside, outcome = None, "new"
    if mine.exists():
        if theirs and current == newest and not (fresh and run):
            memory[path.name] = newest
            _follow(mine, theirs, chapter)
            return Copied(path.stem, "same", folder)
        if edited and not fresh:
            outcome = "same" if memory.get(path.name) == newest else "kept"
            return Copied(path.stem, outcome, folder)
        aside, outcome = _put_aside(mine) if edited or run else None, "refreshed"
    write_whole(mine, chapter)
    memory[path.name] = newest
    return Copied(path.stem, outcome, folder, aside)


def _follow(mine: Path, theirs: Notebook, chapter: Notebook) -> None:
    """Give a copy the chapter's links where nothing else differs; its outputs stay."""
    pairs = list(zip(theirs["cells"], chapter["cells"], strict=True))
    if any("".join(old["source"]) != "".join(new["source"]) for old, new in pairs):
        write_whole(
            mine, {**theirs, "cells": [old | {"source": new["source"]} for old, new in pairs]}
        )


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
    """What a reader can edit, hashed: each cell's kind and text. Running changes nothing in it,
    nor do links between the pages, which are not typed."""
    cells = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        cells.append([cell["cell_type"], plain(text) if cell["cell_type"] == "markdown" else text])
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


def read_notebook(path: Path) -> Notebook | None:
    """The reader's notebook, or None where there is none or it is no notebook any more."""
    try:
        notebook: Notebook = json.loads(path.read_text("utf-8"))
        fingerprint(notebook)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return notebook


def write_whole(path: Path, content: object) -> None:
    """Write the whole file or nothing: a reader may interrupt at any moment."""
    half = path.with_name(f".{path.name}.half")
    half.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    half.replace(path)
