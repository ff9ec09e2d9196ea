"""Which page of an SQLite file each row of a table lies on, read from the file itself.

The same on every machine, where what a query reads from disk can be counted on few. The format is
SQLite's «Database File Format» (sqlite.org/fileformat2.html): a table is a B-tree of pages whose
leaves hold the rows in the order of their key.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perflab.errors import require

INTERIOR, LEAF = 5, 13  # kinds of pages of a table
HEAD = 100  # bytes of the file's own header, on page 1
READ_HERE = Path("/proc/self/io")  # bytes that this process has read, from the system's cache too


def page_of_rows(path: str | Path, table: str) -> NDArray[np.int64]:
    """The number of the page that each row begins on, in the order of the table's key.

    The file must not be changed meanwhile. ValueError for what is no table with rowids.
    """
    with closing(_opened(path)) as db:
        asked = "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?"
        found = db.execute(asked, (table,)).fetchone()
        size = db.execute("PRAGMA page_size").fetchone()[0]
    require(found is not None, "table", table, "a table of this file")
    with open(path, "rb") as file:
        leaves = list(_leaves(file, found[0], size))
    pages, rows = (np.array(column, np.int64) for column in zip(*leaves, strict=True))
    return np.repeat(pages, rows)


def pages_fetched(pages: ArrayLike) -> int:
    """How often a page is fetched, by a reader of these pages who keeps only the last one."""
    pages = np.asarray(pages)
    return int(np.count_nonzero(np.diff(pages))) + 1 if pages.size else 0


def bytes_read(path: str | Path, query: str, parameters: Sequence[Any] = ()) -> int | None:
    """What one run of a query reads of the file, with a cache of hardly a page; None where the
    system does not tell. It is Linux that does, and there it counts what other threads read too.
    """
    if not READ_HERE.exists():
        return None
    with closing(_opened(path)) as db:
        db.executescript("PRAGMA cache_size = 1; PRAGMA mmap_size = 0;")
        db.execute("SELECT count(*) FROM sqlite_master").fetchall()  # the file's own head is read
        before = _read_so_far()
        db.execute(query, parameters).fetchall()
        return _read_so_far() - before


def _read_so_far() -> int:
    return int(READ_HERE.read_text(encoding="ascii").split()[1])


def _opened(path: str | Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)


def _leaves(file: BinaryIO, number: int, size: int) -> Iterator[tuple[int, int]]:
    """(page, rows) of each leaf below a page, from left to right."""
    file.seek((number - 1) * size)
    page = file.read(size)
    head = HEAD if number == 1 else 0
    kind, cells = page[head], _number(page, head + 3, 2)
    require(kind in (INTERIOR, LEAF), "table", number, "a table with rowids")
    if kind == LEAF:
        yield number, cells
        return
    for cell in range(cells):
        yield from _leaves(file, _number(page, _number(page, head + 12 + 2 * cell, 2), 4), size)
    yield from _leaves(file, _number(page, head + 8, 4), size)


def _number(page: bytes, at: int, length: int) -> int:
    return int.from_bytes(page[at : at + length], "big")
