"""A table cut into shards that are real files, and what it takes to add one."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

Route = Callable[[str], str]  # from a key such as "user:7" to the name of its shard
COLUMNS = "id, user_id, total, created_at, status"


class FileShards:
    """Orders in one SQLite file for each shard, by user. State: `files`, a connection by name."""

    def __init__(self, folder: str | Path, names: Iterable[str]) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(exist_ok=True)
        self.files: dict[str, sqlite3.Connection] = {}
        for name in names:
            self.open(name)

    def open(self, name: str) -> None:
        """Add an empty shard."""
        file = sqlite3.connect(self._folder / f"{name}.db")
        file.execute(f"CREATE TABLE orders ({COLUMNS})")
        self.files[name] = file

    def put(self, orders: Iterable[Sequence[Any]], route: Route) -> None:
        """Store each order in the file where its user is at home."""
        by_name: dict[str, list[Sequence[Any]]] = {name: [] for name in self.files}
        for order in orders:
            by_name[route(f"user:{order[1]}")].append(order)
        for name, rows in by_name.items():
            with self.files[name] as file:
                file.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)

    def rebalance(self, route: Route) -> int:
        """Move every order that is not at home; how many there were."""
        moved = []
        for name, file in self.files.items():
            file.create_function("home", 1, lambda user: route(f"user:{user}"))
            away = file.execute("SELECT * FROM orders WHERE home(user_id) <> ?", (name,)).fetchall()
            with file:
                file.execute("DELETE FROM orders WHERE home(user_id) <> ?", (name,))
            moved += away
        self.put(moved, route)
        return len(moved)

    def rows(self) -> dict[str, int]:
        """How many orders each shard holds."""
        counted = "SELECT count(*) FROM orders"
        return {name: file.execute(counted).fetchone()[0] for name, file in self.files.items()}

    def ask_all(self, query: str) -> list[float]:
        """Ask every shard; the seconds that each took."""
        taken = []
        for file in self.files.values():
            began = time.perf_counter()
            file.execute(query).fetchall()
            taken.append(time.perf_counter() - began)
        return taken

    def __enter__(self) -> "FileShards":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self.files.values():
            file.close()
