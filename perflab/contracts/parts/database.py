"""A database like the guide's, seen through the names of our pool."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any


@dataclass(frozen=True)
class Seen:
    """What the checks ask of a pool's figures."""

    open: int
    idle: int
    waits: int


class DatabasePool:
    """A database of the guide's kind as a pool; a base that `on_database` makes classes of.

    It is set up as `new_database` does it, but for the first ping, which would open a connection
    that a check has not asked for.
    """

    module: Any
    go: dict[str, Any]

    def __init__(
        self,
        connect: Callable[[], Any],
        max_open: int = 10,
        max_idle: int | None = None,
        max_lifetime: float | None = None,
        max_idle_time: float | None = None,
        ping: Callable[[Any], object] | None = None,
        **clock: Any,
    ) -> None:
        self.db = self.module.DB(connect, **self.go, **clock)
        self.db.set_max_open_conns(max_open)
        self.db.set_max_idle_conns(max_open if max_idle is None else max_idle)
        self.db.set_conn_max_lifetime(max_lifetime or 0.0)
        self.db.set_conn_max_idle_time(max_idle_time or 0.0)

    @classmethod
    def open_all(cls, connects: Sequence[Callable[..., Any]], **limits: Any) -> list[Any]:
        """The guide's constructor of shards, which takes no limits; a host is a server's number."""
        configs = [cls.module.ShardConfig(host=str(k)) for k in range(len(connects))]

        def driver(config: Any) -> Any:
            return connects[int(config.host)](config.user, config.password)

        return [_Opened(db) for db in cls.module.new_sharded_database(configs, driver, **cls.go)]

    def acquire(self, timeout: float | None = None) -> "_Lent":
        return _Lent(self.db.conn(timeout))

    def close(self) -> None:
        self.db.close()

    def stats(self) -> Seen:
        seen = self.db.stats()
        return Seen(seen.open_connections, seen.idle, seen.wait_count)


class _Opened(DatabasePool):
    """A pool around a database that is open already."""

    def __init__(self, db: Any) -> None:
        self.db = db


class _Lent:
    def __init__(self, conn: Any) -> None:
        self._conn = conn

    def __enter__(self) -> Any:
        return self._conn.raw(lambda connection: connection)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._conn.close()


def on_database(module: ModuleType, **go: Any) -> type[DatabasePool]:
    """The pool of a module with the guide's names: `DB`, `new_sharded_database`, `ShardConfig`.

    `go` is handed to both: what Go leaves to chance.
    """
    return type("DatabasePool", (DatabasePool,), {"module": module, "go": go})
