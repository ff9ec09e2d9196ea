"""Begin the predictions anew: what was predicted is put aside, whole, before it is forgotten."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from perflab.book.readers import RECORD
from perflab.errors import PerflabError

# Outcomes too: where a result was in sight before, a prediction counts as hindsight.
FORGOTTEN = ("predictions", "scores", "outcomes")


@dataclass(frozen=True)
class Reset:
    """What was forgotten, and the copy of the record that still has it; None if there was none."""

    predictions: int
    scores: int
    backup: Path | None

    def __str__(self) -> str:
        if self.backup is None:
            return "There are no predictions to forget."
        return (
            f"{self.predictions} predictions and {self.scores} scores forgotten; the next ones "
            "count as made before the result. Verdicts, runs and answers stay. The record as it "
            f"was: {self.backup}"
        )


def reset_predictions(folder: Path) -> Reset:
    """Forget all predictions of the record in this folder, and keep a copy of it as it was.

    PerflabError where the record cannot be read, copied or written; it is then unchanged.
    """
    path = folder / RECORD
    if not path.is_file():
        return Reset(0, 0, None)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as record:
            return _reset(record, path)
    except (sqlite3.Error, OSError) as error:
        raise PerflabError(
            f"{path} cannot be reset ({error}). Close its chapters first."
        ) from error


def _reset(record: sqlite3.Connection, path: Path) -> Reset:
    counts = {name: _count(record, name) for name in FORGOTTEN}
    if not any(counts.values()):
        return Reset(0, 0, None)
    backup = next(name for name in _names(path) if not name.exists())
    with contextlib.closing(sqlite3.connect(backup)) as copy:
        record.backup(copy)
    with record:
        for name in FORGOTTEN:
            record.execute(f"delete from {name}")
    return Reset(counts["predictions"], counts["scores"], backup)


def _count(record: sqlite3.Connection, table: str) -> int:
    return int(record.execute(f"select count(*) from {table}").fetchone()[0])


def _names(path: Path) -> Iterator[Path]:
    yield path.with_name(f"{path.stem}.{date.today()}.db")
    number = 2
    while True:
        yield path.with_name(f"{path.stem}.{date.today()}-{number}.db")
        number += 1
