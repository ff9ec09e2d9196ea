"""The shop in SQLite and in PostgreSQL at once: the same rows, the same query, both plans."""

import re
import sqlite3
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any

import psycopg

from perflab.errors import require
from perflab.systems.plans import QueryPlan, explain, for_postgres
from perflab.systems.postgresserver import postgres
from perflab.systems.servers import scratch
from perflab.systems.shop import Shop

LITTLE, MORE = 0.02, 10  # seconds in which a fast query is asked up to so many times more often
Pair = tuple[QueryPlan, QueryPlan]  # SQLite's, PostgreSQL's
SIZE = """SELECT sum(pg_relation_size(oid)) FROM pg_class
          WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"""


class TwoDatabases:
    """A copy of the shop in a file of SQLite's, and one in a PostgreSQL server; both to change.

        with TwoDatabases(shop()) as both, both.index("orders(total)"):
            sqlite, postgres = both.explain("SELECT * FROM orders WHERE total > ?", (1_000,))

    State: `sqlite` and `postgres`, a connection to each (in PostgreSQL each statement commits);
    `server`; `path`, SQLite's file. All are there from the start until `close()`.
    """

    def __init__(self, shop: Shop) -> None:
        require(isinstance(shop, Shop), "shop", shop, "what shop() returns")
        with ExitStack() as undo:
            self.path = undo.enter_context(scratch()) / "shop.db"
            self.sqlite: sqlite3.Connection = shop.copy(self.path)
            self.sqlite.isolation_level = None  # each statement commits
            self.sqlite.execute("PRAGMA synchronous = OFF")  # it is thrown away in the end
            undo.callback(self.sqlite.close)
            # One core for one statement, so that plans and times mean the same everywhere.
            settings = {"max_parallel_workers_per_gather": 0, "fsync": False}
            self.server = undo.enter_context(postgres(settings=settings))
            shop.copy_to(self.server)
            self.postgres: psycopg.Connection[Any] = self._connect()
            undo.callback(lambda: self.postgres.close())  # the one of then
            self._undo = undo.pop_all()

    def _connect(self) -> psycopg.Connection[Any]:
        """Each statement commits, and none is prepared: a plan is made for the values at hand."""
        return self.server.connect(autocommit=True, prepare_threshold=None)

    def change(self, *statements: str) -> None:
        """Execute statements in both."""
        for statement in statements:
            self.sqlite.execute(statement)
            self.postgres.execute(statement.encode())

    def analyze(self) -> None:
        """Let PostgreSQL's planner look at tables, and at what indexes compute, that are new."""
        self.postgres.execute("ANALYZE")

    @contextmanager
    def index(self, *definitions: str) -> Iterator[None]:
        """Indexes that last as long as the block, such as "orders(status, created_at)"; each is
        named by the words of its definition: orders_status_created_at."""
        names = [re.sub(r"\W+", "_", one).strip("_").lower() for one in definitions]
        pairs = zip(names, definitions, strict=True)
        try:
            self.change(*(f"CREATE INDEX {name} ON {one}" for name, one in pairs))
            yield
        finally:
            with suppress(sqlite3.ProgrammingError, psycopg.OperationalError):  # closed meanwhile
                self.change(*(f"DROP INDEX IF EXISTS {name}" for name in names))

    @contextmanager
    def forbid(self, *ways: str) -> Iterator[None]:
        """Keep PostgreSQL's planner from ways such as "seqscan" or "bitmapscan", in the block."""
        try:
            for way in ways:
                self.postgres.execute(f"SET enable_{way} = off".encode())
            yield
        finally:
            self.postgres.execute("RESET ALL")

    def explain(self, query: str, parameters: Sequence[Any] = ()) -> Pair:
        """SQLite's plan and PostgreSQL's, with the work of one run in each."""
        return (
            explain(self.sqlite, query, parameters),
            explain(self.postgres, query, parameters),
        )

    def seconds(
        self, query: str, parameters: Sequence[Any] = (), times: int = 5
    ) -> tuple[float, float]:
        """The median time of a query in SQLite and in PostgreSQL, rows fetched; by turns.

        After one that does not count, `times` in each, or more of a fast one.
        """
        taken: tuple[list[float], list[float]] = ([], [])
        asked, enough = for_postgres(query).encode(), times + 1
        until = time.perf_counter() + LITTLE
        while len(taken[0]) < enough or (
            time.perf_counter() < until and len(taken[0]) < MORE * enough
        ):
            began = time.perf_counter()
            self.sqlite.execute(query, parameters).fetchall()
            between = time.perf_counter()
            self.postgres.execute(asked, parameters).fetchall()
            taken[0].append(between - began)
            taken[1].append(time.perf_counter() - between)
        return statistics.median(taken[0][1:]), statistics.median(taken[1][1:])

    def bytes_used(self) -> tuple[int, int]:
        """What tables and indexes take in SQLite and in PostgreSQL, free pages left out."""
        pages, free, size = (
            int(self.sqlite.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        row = self.postgres.execute(SIZE).fetchone()
        assert row is not None
        return (pages - free) * size, int(row[0])

    def restart(self) -> None:
        """Kill the PostgreSQL server, start it again and connect anew, as after a crash."""
        self.server.restart()
        self.postgres.close()
        self.postgres = self._connect()

    def close(self) -> None:
        """End both; closing twice does nothing."""
        self._undo.close()

    def __enter__(self) -> "TwoDatabases":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
