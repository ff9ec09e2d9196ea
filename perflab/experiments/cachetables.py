"""A cache in a table of each database, over connections that do not wait for the disk: what a cache
holds may be lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from perflab.patterns import ConnectionPool
from perflab.patterns.servertiers import TableTier
from perflab.systems import PostgresServer, scratch


def sqlite_connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
    return connection


def postgres_connection(server: PostgresServer) -> Any:
    """Each statement is its own transaction: a look-up in one would take three round trips."""
    connection = server.connect(autocommit=True)
    connection.execute("SET synchronous_commit = off")
    return connection


@contextmanager
def table_tiers(server: PostgresServer, max_entries: int = 10_000) -> Iterator[list[TableTier]]:
    """Two empty tiers, for an hour at most: in a new SQLite file, and in this PostgreSQL."""
    with (
        scratch() as folder,
        closing(ConnectionPool(partial(sqlite_connection, folder / "cache.db"), 2)) as file,
        closing(ConnectionPool(partial(postgres_connection, server), 2)) as remote,
    ):
        tiers = [
            TableTier(file, max_entries, ttl=3_600),
            TableTier(remote, max_entries, ttl=3_600, placeholder="%s"),
        ]
        for tier in tiers:
            tier.create()
        yield tiers
