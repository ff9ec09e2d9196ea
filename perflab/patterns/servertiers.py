"""Tiers on servers: shared by all processes, slower than memory, bounded by rules of their own.

`ValkeyTier` is given a client and keeps bytes under a prefix; the server forgets them when their
time is over, and by its own policy when its memory is full. `TableTier` is given a pool of
connections and keeps a table; what expires first goes when there is no room.

Values are bytes and stay bytes: what they mean is decided by the cache above, which never
unpickles. An error of the server passes to the caller: `GuardedTier` deals with it.

The races that they must win: a key expires between the two questions for its value and its time
(it is a miss); somebody else keeps a list under our key (that is not our value: a miss, counted,
and the next `set` replaces it).
"""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from perflab.errors import is_whole, require
from perflab.patterns.tiers import Entry, is_seconds

NO_EXPIRY = -1  # PTTL's answer for a key without one, -2 for no key
SHORTEST = 0.001  # seconds; Valkey counts in whole milliseconds and refuses 0


class ValkeyTier:
    """Values on a Valkey (or Redis) server, under `prefix`, each for at most `ttl` seconds.

    State, touched without a lock since a lost count costs nothing but the count: `foreign`, how
    often something was found under our key that is no string.
    """

    def __init__(self, client: Any, ttl: float, *, prefix: str = "cache:") -> None:
        usable = callable(getattr(client, "pipeline", None))
        require(usable, "client", client, "a client of Valkey")
        require(is_seconds(ttl) and ttl < math.inf, "ttl", ttl, "finite seconds > 0")
        require(isinstance(prefix, str) and bool(prefix), "prefix", prefix, "text")
        self.ttl, self._client, self._prefix = ttl, client, prefix
        self.foreign = 0

    def entry(self, key: str) -> Entry | None:
        """The value and the time that it has left, in one round trip; None where there is none."""
        name = self._name(key)
        both = self._client.pipeline(transaction=False).get(name).pttl(name)
        value, left = both.execute(raise_on_error=False)
        if isinstance(value, Exception):
            if "WRONGTYPE" not in f"{value} {type(value).__name__}":
                raise value
            self.foreign += 1
            return None
        if value is None or left < NO_EXPIRY:
            return None
        return Entry(value, self.ttl if left == NO_EXPIRY else min(left / 1e3, self.ttl))

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep it for `ttl` seconds, at most the tier's own; the server decides what goes."""
        require(isinstance(value, bytes), "value", value, "bytes")
        require(is_seconds(ttl), "ttl", ttl, "seconds > 0")
        seconds = max(SHORTEST, min(ttl, self.ttl))
        self._client.set(self._name(key), value, px=round(seconds * 1e3))

    def delete(self, key: str) -> bool:
        """Forget the key; whether there was anything to forget."""
        return bool(self._client.delete(self._name(key)))

    def _name(self, key: str) -> str:
        require(isinstance(key, str), "key", key, "text")
        return self._prefix + key


class Pool(Protocol):
    """A pool of DB-API connections, as ConnectionPool is one."""

    def acquire(self) -> AbstractContextManager[Any]: ...


class TableTier:
    """At most `max_entries` values in a table of a database, each for at most `ttl` seconds.

    `placeholder` is how the driver marks a parameter: "?" for sqlite3, "%s" for psycopg. The clock
    is the one of the wall, which all processes share. When there is no room, what expires first
    goes, be it used or not: to note each use would make a write of every read.
    """

    def __init__(
        self,
        pool: Pool,
        max_entries: int,
        ttl: float,
        *,
        table: str = "cache",
        placeholder: str = "?",
        clock: Callable[[], float] = time.time,
    ) -> None:
        require(callable(getattr(pool, "acquire", None)), "pool", pool, "a pool of connections")
        require(
            is_whole(max_entries) and max_entries >= 1,
            "max_entries",
            max_entries,
            "a whole number ≥ 1",
        )
        require(is_seconds(ttl) and ttl < math.inf, "ttl", ttl, "finite seconds > 0")
        named = isinstance(table, str) and table.isidentifier() and table.isascii()
        require(named, "table", table, "a plain name")
        require(placeholder in ("?", "%s"), "placeholder", placeholder, "'?' or '%s'")
        require(callable(clock), "clock", clock, "a function that tells the time in seconds")
        self.ttl, self._pool, self._clock = ttl, pool, clock
        # Only what was checked above goes into the text; keys and values are parameters.
        p = placeholder
        self._select = f"SELECT value, expires FROM {table} WHERE key = {p} AND expires > {p}"
        self._delete = f"DELETE FROM {table} WHERE key = {p}"
        self._upsert = (
            f"INSERT INTO {table} (key, value, expires) VALUES ({p}, {p}, {p}) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires"
        )
        self._evict = (
            f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} "
            f"ORDER BY expires DESC, key LIMIT {max_entries} OFFSET {max_entries})"
        )
        self._create = (
            f"CREATE TABLE IF NOT EXISTS {table} "
            "(key TEXT PRIMARY KEY, value BYTEA NOT NULL, expires DOUBLE PRECISION NOT NULL)",
            f"CREATE INDEX IF NOT EXISTS {table}_expires ON {table} (expires)",
        )

    def create(self) -> None:
        """Make the table, where it is not there yet."""
        with self._pool.acquire() as connection:
            for statement in self._create:
                connection.execute(statement)
            connection.commit()

    def entry(self, key: str) -> Entry | None:
        """The value and the time that it has left; None where there is none."""
        require(isinstance(key, str), "key", key, "text")
        now = self._clock()
        with self._pool.acquire() as connection:
            row = connection.execute(self._select, (key, now)).fetchone()
        return None if row is None else Entry(bytes(row[0]), row[1] - now)

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep it for `ttl` seconds, at most the tier's own."""
        require(isinstance(key, str), "key", key, "text")
        require(isinstance(value, bytes), "value", value, "bytes")
        require(is_seconds(ttl), "ttl", ttl, "seconds > 0")
        expires = self._clock() + min(ttl, self.ttl)
        with self._pool.acquire() as connection:
            connection.execute(self._upsert, (key, value, expires))
            connection.execute(self._evict)
            connection.commit()

    def delete(self, key: str) -> bool:
        """Forget the key; whether there was anything to forget."""
        require(isinstance(key, str), "key", key, "text")
        with self._pool.acquire() as connection:
            gone = connection.execute(self._delete, (key,)).rowcount
            connection.commit()
        return bool(gone)
