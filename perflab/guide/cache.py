"""The guide's cache of three levels and its cache-aside service, ported with their defects.

(Guide, lines 524–649, Go.) Kept as they are:

- the first level is a plain map without a bound and without a TTL, so a value that is in it is
  served for as long as the process lives, whatever other processes and the levels below say;
- it is not synchronised: Go's runtime ends the program with «concurrent map read and map write»;
- every error of the second level counts as a miss, the error of a server that is down too, and
  nothing counts it; what it says to a write is not looked at;
- the first level is written before anybody has said that the value can be stored;
- a User can be stored in neither lower level: the drivers refuse it, the service ignores that, and
  so only the first level ever holds users;
- the service calls a method `Delete` that the cache does not have: Go does not compile it;
- the third level is a table of the same database that is read through, so each read miss of a
  user writes that database, with a User that both drivers can store;
- from the second level a value comes back as text, whatever it was: the service does not take it
  for a User, and asks the database;
- what does not exist is asked of every level and of the database each time;
- all callers get the one object that the first level holds;
- nothing keeps many misses of one key from loading it many times, nor a load from before an
  update from being stored after it.

What Python changes, and this port with it: a dict survives threads under CPython's interpreter
lock, so the second defect does not show here. A method that is missing is missed when it is called
(AttributeError), not when the program is built: the database has been written by then. The context
argument is left out. Go's client gives what it reads as text, so the bytes are decoded here; it
asks a value for its bytes (BinaryMarshaler, here `__bytes__`) as the database's driver asks for a
plain value (Valuer, in sqlite3 `__conform__`).
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

SELECT = "SELECT data FROM cache WHERE key = ?"
UPSERT = (
    "INSERT INTO cache (key, data) VALUES (?, ?) "
    "ON CONFLICT (key) DO UPDATE SET data = excluded.data"
)


class NoRowsError(LookupError):
    """Go's sql.ErrNoRows: no level has the key."""


class Client(Protocol):
    """What the port asks of a client of Valkey (or Redis); `px` is the TTL in milliseconds."""

    def get(self, key: str) -> bytes | None: ...
    def set(self, key: str, value: Any, *, px: int) -> object: ...
    def delete(self, key: str) -> object: ...


class Database(Protocol):
    """What the port asks of a database connection: as in sqlite3."""

    def execute(self, sql: str, parameters: tuple[Any, ...]) -> Any: ...


class MultiLevelCache:
    """A dict, a cache server, a table; `ttl` in seconds, for the cache server alone."""

    def __init__(self, redis_client: Client, db: Database, ttl: float) -> None:
        self.l1_cache: dict[str, Any] = {}
        self.l2_cache = redis_client
        self.l3_cache = db
        self.ttl = ttl

    def get(self, key: str) -> Any:
        """The value of the first level that has it; otherwise what the database raised."""
        if key in self.l1_cache:
            return self.l1_cache[key]
        text = self._second_level(key)
        if text is not None:
            self.l1_cache[key] = text
            return text
        row = self.l3_cache.execute(SELECT, (key,)).fetchone()
        if row is None:
            raise NoRowsError(key)
        self._set_second_level(key, row[0])
        self.l1_cache[key] = row[0]
        return row[0]

    def set(self, key: str, value: Any) -> None:
        """Write every level; raises what the database raised."""
        self.l1_cache[key] = value
        self._set_second_level(key, value)
        self.l3_cache.execute(UPSERT, (key, value))

    def _second_level(self, key: str) -> str | None:
        try:
            data = self.l2_cache.get(key)
        except Exception:  # in Go an error like that of a missing key
            return None
        return None if data is None else data.decode(errors="surrogateescape")

    def _set_second_level(self, key: str, value: Any) -> None:
        try:
            storable = bytes(value) if hasattr(value, "__bytes__") else value
            self.l2_cache.set(key, storable, px=int(self.ttl * 1000))
        except Exception:  # Go's command object carries the error; the guide does not look at it
            return


class DeletableCache(MultiLevelCache):
    """The guide's cache with the method that its service calls, the shortest that would compile.

    Not the guide's: added so that its order of update and invalidation can be looked at.
    """

    def delete(self, key: str) -> None:
        self.l1_cache.pop(key, None)
        self.l2_cache.delete(key)
        self.l3_cache.execute("DELETE FROM cache WHERE key = ?", (key,))


class CacheAsideService:
    """Users, read through the cache and written past it.

    The guide leaves open how a user is read and written: `get_user_from_db(user_id)` and
    `update_user_in_db(user)` are given. `user_type` is what a cached value has to be.
    """

    def __init__(
        self,
        cache: Any,
        get_user_from_db: Callable[[str], Any],
        update_user_in_db: Callable[[Any], None],
        user_type: type,
        logger: logging.Logger | None = None,
    ) -> None:
        self.cache, self.user_type = cache, user_type
        self.logger = logger or logging.getLogger(__name__)
        self._get_user_from_db, self._update_user_in_db = get_user_from_db, update_user_in_db

    def get_user(self, user_id: str) -> Any:
        cache_key = f"user:{user_id}"
        with suppress(Exception):  # any error is a miss
            cached = self.cache.get(cache_key)
            if isinstance(cached, self.user_type):
                self.logger.info("Cache hit for user %s", user_id)
                return cached
        self.logger.info("Cache miss for user %s", user_id)
        user = self._get_user_from_db(user_id)
        with suppress(Exception):  # the guide does not look at it
            self.cache.set(cache_key, user)
        return user

    def update_user(self, user: Any) -> None:
        self._update_user_in_db(user)
        self.cache.delete(f"user:{user.id}")
