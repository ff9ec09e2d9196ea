"""The reader's record: what was run, predicted, judged and answered, in my/book.db.

One SQLite file, written through sqlite-utils; every row carries the time and the machine. A
folder that cannot be written costs the reader the memory of this run, never the run itself: the
record is then kept in memory and says so once.
"""

import json
import os
import sqlite3
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from perflab.book.readers import my_folder
from perflab.errors import DifferentMachinesError
from perflab.measure.machine import Machine

Row = dict[str, Any]

TABLES: dict[str, dict[str, type]] = {
    "machines": {"id": str, "label": str},
    "runs": {"claim": str, "name": str, "at": str, "machine": str, "summary": str},
    "verdicts": {"claim": str, "at": str, "machine": str, "word": str, "facts": str},
    "effects": {"claim": str, "at": str, "machine": str, "word": str, "effect": str},
    "predictions": {"claim": str, "at": str, "kind": str, "answer": str},
    "outcomes": {"claim": str, "at": str, "machine": str},
    "scores": {"claim": str, "at": str, "kind": str, "points": float, "late": int},
    "answers": {"exercise": str, "at": str, "status": str, "hint": str},
}
JSON_COLUMNS = {"summary", "facts", "answer"}


class Record:
    """An open record. Its state is the database file alone: two kernels may write at once."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else my_folder() / "book.db"
        self.machine = Machine.here()
        self._db = Database(_open(self.path))
        for name, columns in TABLES.items():
            self._db[name].create(  # type: ignore[union-attr]  # a table, never a view
                columns, pk="id" if "id" in columns else None, if_not_exists=True
            )
        self._db["machines"].upsert(  # type: ignore[union-attr]  # a table, never a view
            {"id": self.machine.id, "label": self.machine.label}, pk="id"
        )

    def add(self, table: str, **row: Any) -> None:
        """Append one row with the time and, where the table has one, the machine."""
        row = {k: json.dumps(value) if k in JSON_COLUMNS else value for k, value in row.items()}
        columns = TABLES[table]
        row["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        if "machine" in columns:
            row.setdefault("machine", self.machine.id)
        self._db[table].insert(row)  # type: ignore[union-attr]  # a table, never a view

    def rows(self, table: str, **where: Any) -> list[Row]:
        """Rows that match, oldest first; what was kept as JSON is read again."""
        clause = " and ".join(f"[{name}] = :{name}" for name in where)
        found = self._db[table].rows_where(clause or None, where, order_by="rowid")
        return [{key: _read(key, value) for key, value in row.items()} for row in found]

    def last(self, table: str, **where: Any) -> Row | None:
        """The newest row that matches, or None."""
        found = self.rows(table, **where)
        return found[-1] if found else None

    def knew(self, claim: str, kind: str) -> bool:
        """Whether a result was known before the last prediction of this kind was made."""
        made = self.last("predictions", claim=claim, kind=kind)
        seen = self.rows("outcomes", claim=claim)
        return bool(made and seen and seen[0]["at"] < made["at"])

    def baseline(self, claim: str, name: str) -> Row | None:
        """The newest kept run of this name, if it was made on this machine.

        Raises DifferentMachinesError where the record holds such a run from another machine
        only: figures of two machines are never compared as one series.
        """
        found = self.last("runs", claim=claim, name=name, machine=self.machine.id)
        elsewhere = self.last("runs", claim=claim, name=name)
        if found is None and elsewhere is not None:
            other = self.last("machines", id=elsewhere["machine"])
            raise DifferentMachinesError(
                f"the baseline {name!r} was measured on {other['label'] if other else 'another'}; "
                f"this is {self.machine.label}. Keep a new baseline here first."
            )
        return found

    def close(self) -> None:
        self._db.conn.close()


def _read(column: str, value: Any) -> Any:
    return json.loads(value) if column in JSON_COLUMNS else value


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=10)
        connection.execute("pragma user_version = 1")  # writes: tells at once whether we may
        return connection
    except (OSError, sqlite3.Error) as error:
        warnings.warn(
            f"{os.path.relpath(path)} cannot be written ({error}): this run is not remembered. "
            "Everything else works. To keep a record, make the folder writable or set PERFLAB_MY.",
            stacklevel=3,
        )
        return sqlite3.connect(":memory:")
