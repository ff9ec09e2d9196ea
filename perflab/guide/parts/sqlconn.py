"""Connections of Go's database/sql, as its pool (sqldb.py) keeps, lends and hands them over."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

DEFAULT_IDLE = 2  # connections
LEAST_INTERVAL = 1.0  # seconds between two runs of the cleaner


class BadConnError(Exception):
    """The connection is no longer usable, and the statement was not executed."""


class DatabaseClosedError(Exception):
    """Go's errDBClosed."""


class ConnDoneError(Exception):
    """Go's ErrConnDone: this connection was returned before."""


class DeadlineExceededError(TimeoutError):
    """Go's context.DeadlineExceeded."""


@dataclass(frozen=True)
class DBStats:
    """Go's DBStats; times in seconds."""

    max_open_connections: int
    open_connections: int
    in_use: int
    idle: int
    wait_count: int
    wait_duration: float
    max_idle_closed: int
    max_idle_time_closed: int
    max_lifetime_closed: int


class DriverConn:
    """A driver's connection with what the pool knows of it."""

    def __init__(self, connection: Any, now: float) -> None:
        self.ci, self.created_at, self.returned_at = connection, now, now
        self.in_use = True


class ConnRequest:
    """One caller that waits: Go's channel for one answer."""

    def __init__(self) -> None:
        self.answer: tuple[DriverConn | None, Exception | None] | None = None
        self.sent = threading.Event()

    def send(self, conn: DriverConn | None, error: Exception | None) -> None:
        self.answer = conn, error
        self.sent.set()


class Lender(Protocol):
    """Where a connection goes when it is closed."""

    def put_conn(self, conn: DriverConn, error: Exception | None) -> None: ...


class Conn:
    """One connection, lent. `raw` uses the driver's; `close` gives it back."""

    def __init__(self, db: "Lender", driver_conn: DriverConn) -> None:
        self._db, self._driver_conn = db, driver_conn
        self._done = threading.Lock()

    def raw(self, use: Callable[[Any], Any]) -> Any:
        """`use(connection)`; where that raises BadConnError, it is closed and not used again."""
        try:
            return use(self._driver_conn.ci)
        except BadConnError as error:
            self._close(error)
            raise

    def close(self) -> None:
        self._close(None)

    def _close(self, error: Exception | None) -> None:
        if not self._done.acquire(blocking=False):
            raise ConnDoneError("sql: connection is already closed")
        self._db.put_conn(self._driver_conn, error)


class FreeConns:
    """Idle connections, and when the cleaner closes which of them. Guarded by the pool's lock.

    State: `conns`, in the order of their return; the limits (0: none) as they were set; `due`,
    when the cleaner runs next, None while there is none; how many were closed for which reason.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.conns: list[DriverConn] = []
        self.max_idle = 0
        self.max_lifetime = self.max_idle_time = 0.0
        self.due: float | None = None
        self.idle_closed = self.idle_time_closed = self.lifetime_closed = 0

    def expired(self, conn: DriverConn) -> bool:
        """Whether it is too old; counted if so."""
        too_old = 0 < self.max_lifetime < self._clock() - conn.created_at
        self.lifetime_closed += too_old
        return too_old

    def add(self, conn: DriverConn, max_open: int) -> bool:
        """False where there is no room for one more; the first one starts the cleaner."""
        limit = max(self.max_idle or DEFAULT_IDLE, 0)
        if len(self.conns) >= (min(limit, max_open) if max_open else limit):
            self.idle_closed += 1
            return False
        self.conns.append(conn)
        shortest = self._shortest_time()
        if self.due is None and shortest:
            self.due = self._clock() + max(shortest, LEAST_INTERVAL)
        return True

    def _shortest_time(self) -> float:
        """The shorter of the two limits that are set; 0 where none is."""
        return min((t for t in (self.max_lifetime, self.max_idle_time) if t), default=0.0)

    def clean(self, now: float) -> list[DriverConn]:
        """One run of the cleaner at that time: what it closes. Sets when the next one is due."""
        dull = [c for c in self.conns if 0 < self.max_idle_time < now - c.returned_at]
        old = [c for c in self.conns if 0 < self.max_lifetime < now - c.created_at]
        old = [c for c in old if c not in dull]
        self.conns = [c for c in self.conns if c not in dull and c not in old]
        self.idle_time_closed += len(dull)
        self.lifetime_closed += len(old)
        left = [self._shortest_time()]
        if self.max_idle_time:
            left += [c.returned_at + self.max_idle_time - now for c in self.conns[:1]]
        if self.max_lifetime:
            left += [c.created_at + self.max_lifetime - now for c in self.conns]
        self.due = now + max(min(left), LEAST_INTERVAL)
        return dull + old
