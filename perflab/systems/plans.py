"""How a database answers a query: SQLite's and PostgreSQL's plans in one form, and the work done.

SQLite counts the instructions of its virtual machine, through its progress handler. That is the
same on every machine for one version, and it makes the query slow: never time while counting.
PostgreSQL counts the pages (of 8 kB) that it looked at, in memory or not.
"""

import itertools
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perflab.errors import require

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

QUOTED = re.compile(r"('(?:[^']|'')*')")
SQLITE = re.compile(
    r"(?P<way>SCAN|SEARCH) (?P<table>\S+)(?: AS \S+)?"
    r"(?: USING (?:AUTOMATIC )?(?:PARTIAL )?(?P<covering>COVERING )?INDEX (?P<index>[^(\s]\S*)?"
    r"| USING (?P<key>INTEGER PRIMARY KEY))?"
)
NUMBERS = itertools.count()
KEY = "primary key"  # SQLite's name for the table's own order


@dataclass(frozen=True)
class PlanNode:
    """One step of a plan: `way` is "scan" (every row), "search" (by an index or key), or what the
    database calls it; the rows of the steps below it are its input."""

    depth: int  # 0 for the outermost
    way: str
    table: str | None  # SQLite: its alias, where the query gives it one
    index: str | None
    text: str  # as the database says it


@dataclass(frozen=True)
class QueryPlan:
    """A query's plan and the work of running it once."""

    database: str
    nodes: tuple[PlanNode, ...]
    rows: int  # returned
    steps: int | None  # SQLite: instructions of its virtual machine
    pages: int | None  # PostgreSQL: pages looked at

    def scans(self, table: str) -> bool:
        """Whether any step reads every row of the table."""
        return any(node.way == "scan" and node.table == table for node in self.nodes)

    def uses(self, index: str) -> bool:
        """Whether any step goes by that index."""
        return any(node.index == index for node in self.nodes)

    def __str__(self) -> str:
        return "\n".join("  " * node.depth + node.text for node in self.nodes)

    def to_frame(self) -> "pd.DataFrame":
        """A row for each step."""
        import pandas as pd

        return pd.DataFrame([vars(node) for node in self.nodes])


def explain(
    connection: "sqlite3.Connection | psycopg.Connection[Any]",
    query: str,
    parameters: Sequence[Any] = (),
) -> QueryPlan:
    """The plan of a SELECT in either database, with the work of one run of it.

    `query` marks parameters with ?, for PostgreSQL too. ValueError for a connection of neither,
    and for what is no SELECT; a query that the database refuses raises the database's own error.
    """
    first = query.split(None, 1)[0].upper() if isinstance(query, str) and query.split() else ""
    require(first in ("SELECT", "WITH", "VALUES"), "query", query, "a SELECT")
    if isinstance(connection, sqlite3.Connection):
        return _sqlite(connection, query, parameters)
    known = hasattr(connection, "pgconn")
    require(known, "connection", connection, "a connection of sqlite3 or psycopg")
    return _postgres(connection, query, parameters)


def for_postgres(query: str) -> str:
    """A query with ? for its parameters, in psycopg's way of writing: %s, and % doubled."""
    parts = QUOTED.split(query.replace("%", "%%"))
    parts[::2] = (part.replace("?", "%s") for part in parts[::2])
    return "".join(parts)


def _sqlite(connection: sqlite3.Connection, query: str, parameters: Sequence[Any]) -> QueryPlan:
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples, whatever the reader set
    # Numbered, so that the module finds none of the statements that it keeps: SQLite does not make
    # one of EXPLAIN anew when an index is dropped, and an old plan would be shown.
    asked = f"EXPLAIN QUERY PLAN /* {next(NUMBERS)} */ {query}"
    listed = cursor.execute(asked, parameters).fetchall()
    depths = {0: -1}
    nodes = []
    for number, parent, _, text in listed:
        depths[number] = depths[parent] + 1
        nodes.append(_sqlite_node(depths[number], text))
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.set_progress_handler(count, 1)
    try:
        rows = len(cursor.execute(query, parameters).fetchall())
    finally:
        connection.set_progress_handler(None, 1)
    return QueryPlan(f"SQLite {sqlite3.sqlite_version}", tuple(nodes), rows, steps, None)


def _sqlite_node(depth: int, text: str) -> PlanNode:
    found = SQLITE.match(text)
    if found is None:
        return PlanNode(depth, text.lower(), None, None, text)
    index = KEY if found["key"] else found["index"]
    return PlanNode(depth, found["way"].lower(), found["table"], index, text)


def _postgres(
    connection: "psycopg.Connection[Any]", query: str, parameters: Sequence[Any]
) -> QueryPlan:
    from psycopg.rows import tuple_row

    asked = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {for_postgres(query)}"
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(asked, parameters).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    version = connection.info.parameter_status("server_version") or ""
    nodes = tuple(_postgres_nodes(plan, 0))
    return QueryPlan(
        f"PostgreSQL {version.split()[0]}", nodes, round(plan["Actual Rows"]), None, pages
    )


def _postgres_nodes(plan: dict[str, Any], depth: int) -> Iterator[PlanNode]:
    kind, table, index = plan["Node Type"], plan.get("Relation Name"), plan.get("Index Name")
    way = "scan" if kind == "Seq Scan" else "search" if "Index" in kind else kind.lower()
    text = kind + (f" using {index}" if index else "") + (f" on {table}" if table else "")
    condition = plan.get("Index Cond") or plan.get("Filter") or plan.get("Hash Cond")
    yield PlanNode(depth, way, table, index, text + (f" {condition}" if condition else ""))
    for below in plan.get("Plans", ()):
        yield from _postgres_nodes(below, depth + 1)
