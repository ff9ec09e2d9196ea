"""The shop's rows from SQLite into PostgreSQL, by COPY."""

from contextlib import closing
from typing import TYPE_CHECKING

from psycopg import sql

from perflab.errors import require
from perflab.systems.postgresserver import PostgresServer
from perflab.systems.shop import DATA, TABLES

if TYPE_CHECKING:
    from perflab.systems.shop import Shop


def copy_to(shop: "Shop", server: PostgresServer) -> None:
    """What `Shop.copy_to` does."""
    require(isinstance(server, PostgresServer), "server", server, "what postgres() returns")
    with server.connect() as connection, closing(shop.connect()) as source:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute((DATA / "schema.sql").read_bytes())
            for table in TABLES:
                rows = source.execute(f"SELECT * FROM {table}")
                query = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
                with cursor.copy(query) as copy:
                    for row in rows:
                        copy.write_row(row)
        connection.autocommit = True  # VACUUM runs in no transaction
        connection.execute("VACUUM ANALYZE")
