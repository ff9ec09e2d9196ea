"""Connection pools: borrow and give back, of four connections, with a driver that does nothing.

The same checks on both sides: all roll back what comes back. In the second race the age of a
connection is limited too, as psycopg_pool has it in any case. Nobody pings, and nobody waits.

Ours and psycopg_pool's are borrowed in a `with` block, as their documentation shows it (that one
commits at its end); the others' by two calls, and psycopg_pool's once more by two, without goal.
"""

from collections.abc import Callable
from typing import Any

from perflab.patterns.connectionpool import ConnectionPool
from tests.benchmarks.racing import Race

SIZE, AGE = 4, 3_600.0


class Connection:
    """A DB-API connection, as far as pools look at it; psycopg's needs a little more."""

    closed = False

    class pgconn:  # noqa: N801  # psycopg's name for libpq's connection
        transaction_status = 0  # idle

    @classmethod
    def connect(cls, *arguments: Any, **keywords: Any) -> "Connection":
        return cls()

    def cursor(self) -> "Connection":
        return self

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *error: object) -> None:
        self.commit()

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


def ours(**limits: float) -> Callable[[int], None]:
    pool = ConnectionPool(Connection, SIZE, **limits)  # type: ignore[arg-type]  # only floats

    def run(n: int) -> None:
        for _ in range(n):
            with pool.acquire():
                pass

    return run


def sqlalchemy(**limits: float) -> Callable[[int], None]:
    from sqlalchemy.pool import QueuePool

    pool: Any = QueuePool(Connection, pool_size=SIZE, max_overflow=0, **limits)

    def run(n: int) -> None:
        for _ in range(n):
            connection = pool.connect()
            connection.close()

    return run


def dbutils() -> Callable[[int], None]:
    from dbutils.pooled_db import PooledDB

    class Driver:
        threadsafety = 2
        Error = InterfaceError = OperationalError = InternalError = ProgrammingError = OSError
        connect = Connection

    pool = PooledDB(Driver, maxcached=SIZE, maxconnections=SIZE, blocking=True, ping=0)

    def run(n: int) -> None:
        for _ in range(n):
            connection = pool.connection()
            connection.close()

    return run


def psycopg_pool(in_a_block: bool) -> Callable[[int], None]:
    from psycopg_pool import ConnectionPool as Peer

    pool: Any = Peer(
        connection_class=Connection, min_size=SIZE, max_size=SIZE,
        max_lifetime=AGE, open=True,
    )  # fmt: skip
    pool.wait()

    def blocks(n: int) -> None:
        for _ in range(n):
            with pool.connection():
                pass

    def calls(n: int) -> None:
        for _ in range(n):
            connection = pool.getconn()
            pool.putconn(connection)

    run = blocks if in_a_block else calls
    run.close = pool.close  # type: ignore[attr-defined]  # racing calls it at the end
    return run


RACES = [
    Race(
        "borrow and give back",
        {"ours": ours, "SQLAlchemy": sqlalchemy, "DBUtils": dbutils},
        {"SQLAlchemy": 10, "DBUtils": 4},
        idle_bytes=lambda: ConnectionPool(Connection),
    ),
    Race(
        "the same, with a limited age",
        {
            "ours": lambda: ours(max_lifetime=AGE),
            "psycopg-pool": lambda: psycopg_pool(in_a_block=True),
            "psycopg-pool, two calls": lambda: psycopg_pool(in_a_block=False),
            "SQLAlchemy": lambda: sqlalchemy(recycle=AGE),
        },
        {"psycopg-pool": 6, "SQLAlchemy": 10},
    ),
]
