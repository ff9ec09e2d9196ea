"""The reader's record: what was run, predicted, judged and answered, in my/book.db.

One SQLite file, written through sqlite-utils; every row carries the time and the machine. A
record that cannot be written costs the reader the memory of this run, never the run itself: it
is then kept in memory and says so once.
"""

import contextlib
import json
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from perflab.book.readers import RECORD, my_folder
from perflab.errors import DifferentMachinesError, require
from perflab.measure.machine import Machine

T = TypeVar("T")
Row = dict[str, Any]

TABLES: dict[str, dict[str, type]] = {
    "machines": {"id": str, "label": str},
    "runs": {"claim": str, "name": str, "at": str, "machine": str, "summary": str},
    "verdicts": {"claim": str, "at": str, "machine": str, "word": str, "facts": str},
    "effects": {"claim": str, "at": str, "machine": str, "word": str, "effect": str},
    "predictions": {"claim": str, "at": str, "kind": str, "answer": str},
    "outcomes": {"claim": str, "at": str, "machine": str},  # a claim's result came into sight
    "scores": {
        "claim": str,
        "at": str,
        "kind": str,
        "points": float,
        "late": int,
        "caught": int,
        "sure": float,
    },
    "answers": {
        "exercise": str,
        "at": str,
        "status": str,
        "hint": str,
        "cost": float,
        "code": str,
    },
}
# What records of earlier versions lack.
LATER = {("scores", "caught"), ("scores", "sure"), ("answers", "cost"), ("answers", "code")}
JSON_COLUMNS = {"summary", "facts", "answer"}
PATIENCE = 10.0  # seconds to wait for another kernel that is writing


class Record:
    """An open record.

    State, guarded by the lock: the connection, to the file or to memory once the file failed.
    What it knows is in the database alone, so two kernels may write at once. A form's button may
    be served by another thread than the cells are, hence the lock.
    """

    def __init__(self, path: Path | None = None, patience: float = PATIENCE) -> None:
        self.path = path if path is not None else my_folder() / RECORD
        self.machine = Machine.here()
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._prepared(
                sqlite3.connect(self.path, timeout=patience, check_same_thread=False)
            )
        except (OSError, sqlite3.Error) as error:
            self._forget(error)

    def add(self, table: str, **row: Any) -> None:
        """Append one row with the time and, where the table has one, the machine.

        ValueError for a table or column that the record does not have.
        """
        columns = _columns(table, row)
        row = {k: json.dumps(value) if k in JSON_COLUMNS else value for k, value in row.items()}
        if "at" in columns:
            row["at"] = datetime.now(UTC).isoformat(timespec="microseconds")
        if "machine" in columns:
            row.setdefault("machine", self.machine.id)
        self._tried(lambda: _insert(self._db, table, row))

    def rows(self, table: str, **where: Any) -> list[Row]:
        """Rows that match, oldest first; what was kept as JSON is read again."""
        return self._found(table, where, "rowid", None)

    def last(self, table: str, **where: Any) -> Row | None:
        """The newest row that matches, or None."""
        found = self._found(table, where, "rowid desc", 1)
        return found[0] if found else None

    def knew(self, claim: str, kind: str) -> bool:
        """Whether a result was in sight before the last prediction of this kind was made."""
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
                f"{name}: the last run was on {other['label'] if other else 'another machine'}; "
                f"this is {self.machine.label}. The two are not compared."
            )
        return found

    def close(self) -> None:
        with self._lock:
            self._db.conn.close()

    def _found(self, table: str, where: Row, order: str, limit: int | None) -> list[Row]:
        _columns(table, where)
        clause = " and ".join(f"[{name}] = :{name}" for name in where) or None
        found = self._tried(
            lambda: list(self._db.table(table).rows_where(clause, where, order, limit=limit))
        )
        return [{key: _read(key, value) for key, value in row.items()} for row in found]

    def _tried(self, act: Callable[[], T]) -> T:
        """Do it on the file, or else in memory from here on."""
        with self._lock:
            try:
                return act()
            except sqlite3.Error as error:
                self._forget(error)
                return act()

    def _prepared(self, connection: sqlite3.Connection) -> Database:
        """A database with all tables; its writing the machine's row proves that it can write."""
        try:
            db = Database(connection)
            with _writing(connection):
                for name, columns in TABLES.items():
                    key = "id" if "id" in columns else None
                    made = db.table(name).create(columns, pk=key, if_not_exists=True)
                    lacking = sorted(set(columns) - set(made.columns_dict))
                    if not LATER.issuperset((name, column) for column in lacking):
                        raise sqlite3.OperationalError(f"its {name} lack {', '.join(lacking)}")
                    for column in lacking:
                        made.add_column(column, columns[column])
                machine = {"id": self.machine.id, "label": self.machine.label}
                db.table("machines").upsert(machine, pk="id")
        except sqlite3.Error:
            connection.close()
            raise
        return db

    def _forget(self, error: Exception) -> None:
        """Go on in memory, with what can still be read of the file."""
        memory = sqlite3.connect(":memory:", check_same_thread=False)
        known = self.__dict__.get("_db")
        if known is not None:
            with contextlib.suppress(sqlite3.Error):  # not even readable: begin anew
                memory.executescript("\n".join(known.conn.iterdump()))  # a backup waits for ever
            known.conn.close()
        self._db = self._prepared(memory)
        warnings.warn(
            f"{self.path} cannot be written ({error}): from here on nothing is remembered. "
            "All else works. To keep a record, make the folder writable or set PERFLAB_MY.",
            stacklevel=2,
        )


@contextlib.contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Take the write lock first. Two kernels that read, and then both want to write, would be
    refused at once: neither could go on before the other, and SQLite sees no use in waiting."""
    connection.execute("begin immediate")
    with connection:
        yield


def _insert(db: Database, table: str, row: Row) -> None:
    with _writing(db.conn):
        db.table(table).insert(row)


def _columns(table: str, used: Row) -> dict[str, type]:
    require(table in TABLES, "table", table, "one of " + ", ".join(TABLES))
    unknown = sorted(set(used) - set(TABLES[table]))
    require(not unknown, "columns", unknown, f"among {', '.join(TABLES[table])}")
    return TABLES[table]


def _read(column: str, value: Any) -> Any:
    return json.loads(value) if column in JSON_COLUMNS else value
