"""Go's pool of connections, database/sql, as far as the guide's configuration reaches.

A port of the behaviour of `DB` in Go's standard library (src/database/sql/sql.go, Go 1.23), which
the guide sets up in lines 430–433. Kept as they are:

- whoever waits longest is not served first: a connection that comes back goes to a waiting
  request at random (`TakeRandom`; older versions take the first of a map's random order). Here
  `choose(n)` names one of n, in the order of their coming;
- an idle connection is not asked whether it is alive before it is lent. A driver that has noticed
  says so at the next statement, and `query` then tries again: twice with what is idle, then anew;
- the idle time is looked at by a cleaner only, which runs once a second at most; `conn` looks at
  the lifetime;
- a connection whose caller has forgotten it is never given back;
- a connection that arrives after `close` is closed with the pool's lock in hand;
- one goroutine opens connections for those who wait, one after the other.

What Python adds: the opener is a daemon thread, started with the pool as in Go. The cleaner is no
thread: what it would have done by now is done by whoever calls next, so that a virtual clock can
drive it. A driver says `BadConnError` for Go's `ErrBadConn`.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from perflab.guide.parts.sqlconn import (
    BadConnError,
    Conn,
    ConnRequest,
    DatabaseClosedError,
    DBStats,
    DeadlineExceededError,
    DriverConn,
    FreeConns,
)

RETRIES = 2  # with connections from the pool, before a new one


class DB:
    """A pool of connections that `connect` opens, without limits until they are set.

    State, guarded by `_mu`: `_free`, the idle connections; `_requests`, callers that wait, in the
    order of their coming; `_num_open`, connections open, about to be opened or being closed.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        choose: Callable[[int], int] = lambda waiting: 0,
    ) -> None:
        self._connect, self._clock, self._choose = connect, clock, choose
        self._mu = threading.Lock()
        self._free = FreeConns(clock)
        self._requests: list[ConnRequest] = []
        self._num_open = self._max_open = 0
        self._closed = False
        self._wait_count = 0
        self._wait_duration = 0.0
        self._opener: queue.SimpleQueue[bool] = queue.SimpleQueue()
        threading.Thread(target=self._connection_opener, name="opener", daemon=True).start()

    def set_max_open_conns(self, n: int) -> None:
        """At most n open; 0 or less: no limit. The port sets limits before a connection is open."""
        self._max_open = max(n, 0)

    def set_max_idle_conns(self, n: int) -> None:
        """At most n idle, and not more than may be open; 0 or less: none."""
        self._free.max_idle = n if n > 0 else -1

    def set_conn_max_lifetime(self, seconds: float) -> None:
        self._free.max_lifetime = max(seconds, 0.0)

    def set_conn_max_idle_time(self, seconds: float) -> None:
        self._free.max_idle_time = max(seconds, 0.0)

    def ping(self) -> None:
        """Open a connection, or take one, and give it back."""
        self.query(lambda connection: None)

    def query(self, statement: Callable[[Any], Any]) -> Any:
        """`statement(connection)`; where it raises BadConnError, again on another connection."""
        for attempt in range(RETRIES + 1):
            conn = self._conn_retried(None, fresh=attempt == RETRIES)
            try:
                answer = statement(conn.ci)
            except Exception as error:
                self.put_conn(conn, error)
                if isinstance(error, BadConnError) and attempt < RETRIES:
                    continue
                raise
            self.put_conn(conn, None)
            return answer
        raise AssertionError("the last attempt returns or raises")

    def conn(self, timeout: float | None = None) -> Conn:
        """A connection for the caller alone; DeadlineExceededError after `timeout` seconds."""
        return Conn(self, self._conn_retried(timeout))

    def _conn_retried(self, timeout: float | None, fresh: bool = False) -> DriverConn:
        for _ in range(0 if fresh else RETRIES):
            try:
                return self._conn(timeout, cached=True)
            except BadConnError:
                continue
        return self._conn(timeout, cached=False)

    def _conn(self, timeout: float | None, cached: bool) -> DriverConn:
        """1. The idle one that came back last. 2. All are lent: wait. 3. A new one."""
        self._run_cleaner()
        with self._mu:
            if self._closed:
                raise DatabaseClosedError("sql: database is closed")
            conn = self._free.conns.pop() if cached and self._free.conns else None
            request = None
            if conn is not None:
                conn.in_use = True
            elif 0 < self._max_open <= self._num_open:
                request = ConnRequest()
                self._requests.append(request)
                self._wait_count += 1
            else:
                self._num_open += 1
        if conn is not None:
            return self._unless_expired(conn)
        return self._new_conn() if request is None else self._wait(request, timeout, cached)

    def _unless_expired(self, conn: DriverConn) -> DriverConn:
        with self._mu:
            expired = self._free.expired(conn)
        if expired:
            self._final_close(conn)
            raise BadConnError("too old")
        return conn

    def _new_conn(self) -> DriverConn:
        try:
            connection = self._connect()
        except Exception:
            with self._mu:
                self._num_open -= 1
                self._maybe_open_new_connections()
            raise
        return DriverConn(connection, self._clock())

    def _wait(self, request: ConnRequest, timeout: float | None, cached: bool) -> DriverConn:
        began, in_time = self._clock(), False
        try:
            in_time = request.sent.wait(timeout)
        finally:  # in Go a deadline or a cancelled context; here an interrupt as well
            with self._mu:
                self._wait_duration += self._clock() - began
                if request in self._requests:
                    self._requests.remove(request)
            conn, error = request.answer or (None, None)
            if not in_time and conn is not None:  # it came after the deadline, before the removal
                self.put_conn(conn, error)
        if not in_time:
            raise DeadlineExceededError("context deadline exceeded")
        if conn is None:
            raise error or DatabaseClosedError("sql: database is closed")
        return self._unless_expired(conn) if cached else conn

    def put_conn(self, conn: DriverConn, error: Exception | None) -> None:
        """1. Broken or too old: closed. 2. To who waits. 3. Idle. 4. One too many: closed."""
        with self._mu:
            bad = isinstance(error, BadConnError) or self._free.expired(conn)
            conn.in_use, conn.returned_at = False, self._clock()
            kept = not bad and self._put_conn_locked(conn, None)
        if not kept:
            self._final_close(conn)

    def _put_conn_locked(self, conn: DriverConn | None, error: Exception | None) -> bool:
        if self._closed or 0 < self._max_open < self._num_open:
            return False
        if self._requests:
            request = self._requests.pop(self._choose(len(self._requests)))
            if conn is not None:
                conn.in_use = True
            request.send(conn, error)
            return True
        return conn is not None and self._free.add(conn, self._max_open)

    def _final_close(self, conn: DriverConn) -> None:
        try:
            conn.ci.close()
        finally:
            with self._mu:
                self._num_open -= 1
                self._maybe_open_new_connections()

    def _maybe_open_new_connections(self) -> None:
        """With the lock in hand: have one opened for each who waits, as far as the limit allows."""
        wanted = len(self._requests)
        if self._max_open:
            wanted = min(wanted, self._max_open - self._num_open)
        for _ in range(wanted):
            self._num_open += 1
            self._opener.put(True)

    def _connection_opener(self) -> None:
        while self._opener.get():
            try:
                conn, error = DriverConn(self._connect(), self._clock()), None
            except Exception as refused:
                conn, error = None, refused
            with self._mu:
                self._opened(conn, error)

    def _opened(self, conn: DriverConn | None, error: Exception | None) -> None:
        """With the lock in hand, also while a connection is closed that came too late."""
        if conn is not None and self._put_conn_locked(conn, None):
            return
        self._num_open -= 1
        if conn is not None:
            conn.ci.close()
        elif not self._closed:
            self._put_conn_locked(None, error)
            self._maybe_open_new_connections()

    def _run_cleaner(self) -> None:
        """What Go's cleaner would have done by now, each time at its time."""
        with self._mu:
            closing: list[DriverConn] = []
            while self._free.due is not None and self._free.due <= self._clock():
                if self._closed or self._num_open == 0:
                    self._free.due = None
                else:
                    closing += self._free.clean(self._free.due)
        for conn in closing:
            self._final_close(conn)

    def close(self) -> None:
        """Who waits is told so; what is lent is closed when it comes back."""
        with self._mu:
            if self._closed:
                return
            self._closed = True
            closing, self._free.conns = self._free.conns, []
            requests, self._requests = self._requests, []
        for request in requests:
            request.sent.set()
        for conn in closing:
            self._final_close(conn)
        self._opener.put(False)

    def stats(self) -> DBStats:
        self._run_cleaner()
        with self._mu:
            idle, free = len(self._free.conns), self._free
            return DBStats(
                max_open_connections=self._max_open,
                open_connections=self._num_open,
                in_use=self._num_open - idle,
                idle=idle,
                wait_count=self._wait_count,
                wait_duration=self._wait_duration,
                max_idle_closed=free.idle_closed,
                max_idle_time_closed=free.idle_time_closed,
                max_lifetime_closed=free.lifetime_closed,
            )
