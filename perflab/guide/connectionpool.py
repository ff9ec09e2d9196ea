"""The guide's connection pool, ported with its defects (guide, lines 397–520, Go).

The guide configures a pool that is in Go's standard library; `DB` (sqldb.py) is that pool. Here
are the guide's own two functions. Kept as they are:

- a first ping that fails returns its error and leaves the pool open, with a goroutine (here a
  thread) that lives as long as the process (line 436);
- the sharded constructor leaves every pool open that was made before the one that failed
  (lines 497–499);
- it hands on host, port and database only (lines 492–496): without user and password a server
  refuses it. It hands on no limits either, and 0 means *no limit* for open connections and *none*
  for idle ones, so each statement opens a connection of its own;
- the weight of a shard is declared and never used (line 480);
- 5 idle connections of 25 (lines 451–452): a burst of 25 closes 20 when it ends, and the next one
  opens them anew.

What Python adds: the driver is an argument here, as is the clock; the DSN is a tuple of parts.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from perflab.guide.parts.sqldb import DB

__all__ = ["DB", "DatabaseConfig", "ShardConfig", "new_database", "new_sharded_database"]

USUAL_LIMITS = {
    "max_open_conns": 25,
    "max_idle_conns": 5,
    "conn_max_lifetime": 300.0,
    "conn_max_idle_time": 60.0,
}  # of the guide's example; times in seconds


@dataclass(frozen=True)
class DatabaseConfig:
    """Go's zero values stand for what is left out."""

    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    database: str = ""
    max_open_conns: int = 0
    max_idle_conns: int = 0
    conn_max_lifetime: float = 0.0
    conn_max_idle_time: float = 0.0


Driver = Callable[[DatabaseConfig], Any]  # opens one connection


def new_database(
    config: DatabaseConfig,
    driver: Driver,
    *,
    clock: Callable[[], float] = time.monotonic,
    choose: Callable[[int], int] = lambda waiting: 0,
) -> DB:
    """A pool with the limits of `config`, after one ping; raises what the ping raises."""
    db = DB(lambda: driver(config), clock=clock, choose=choose)
    db.set_max_open_conns(config.max_open_conns)
    db.set_max_idle_conns(config.max_idle_conns)
    db.set_conn_max_lifetime(config.conn_max_lifetime)
    db.set_conn_max_idle_time(config.conn_max_idle_time)
    db.ping()
    return db


@dataclass(frozen=True)
class ShardConfig:
    """One shard of a sharded database."""

    host: str = ""
    port: int = 0
    database: str = ""
    weight: int = 0


def new_sharded_database(configs: Sequence[ShardConfig], driver: Driver, **go: Any) -> list[DB]:
    """One pool for each shard; `go` is handed to `new_database`."""
    shards = []
    for config in configs:
        part = DatabaseConfig(host=config.host, port=config.port, database=config.database)
        shards.append(new_database(part, driver, **go))
    return shards
