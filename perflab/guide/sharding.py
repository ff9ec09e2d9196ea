"""The guide's sharded database, ported with its defects (guide, lines 466–520, Go).

Kept as they are:

- the shard is a hash modulo the number of shards (lines 509–514): one more shard moves most keys,
  and the place in the list decides, so the same shards listed in another order are another router;
- the hash is FNV-1a with 32 bits, and its lowest bit is the parity of the lowest bits of all bytes:
  of two shards, every key like "7:7" finds the same one;
- a shard's weight is declared and never looked at (line 480);
- no shard can join or leave while it serves;
- a shard is opened without the user, the password and the limits that the guide's databases have
  (lines 492–496; 408–418): they stay Go's zero values, and 0 open connections mean unlimited;
- if one does not open, those opened before stay open and out of reach (lines 497–499);
- a list without shards is accepted, and the first lookup divides by zero.

`int(hash)` is an int of 64 bits here. On a 32-bit machine Go makes it negative for half of all
hashes and the lookup panics; Python's integers remove that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

OFFSET, PRIME = 2166136261, 16777619  # of FNV-1a, 32 bits (RFC 9923)


@dataclass(frozen=True)
class ShardConfig:
    """Where one shard is."""

    host: str
    port: int
    database: str
    weight: int = 1


@dataclass(frozen=True)
class DatabaseConfig:
    """What a database is opened with; what is left out has Go's zero value."""

    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    database: str = ""
    max_open_conns: int = 0
    max_idle_conns: int = 0
    conn_max_lifetime: float = 0.0
    conn_max_idle_time: float = 0.0


class Database(Protocol):
    """What Go's *sql.DB is here."""

    def query(self, query: str, /, *args: Any) -> Any: ...


def fnv1a_32(data: bytes) -> int:
    """Fowler, Noll and Vo's hash, 1991: exclusive or with a byte, then multiply."""
    value = OFFSET
    for byte in data:
        value = (value ^ byte) * PRIME & 0xFFFFFFFF
    return value


class ShardedDatabase:
    """Its state: `shards` and `configs`, in the order of the list; neither ever changes.

    `new_database` opens one, as the guide's NewDatabase does (lines 420–441).
    """

    def __init__(
        self,
        configs: Sequence[ShardConfig],
        new_database: Callable[[DatabaseConfig], Database],
    ) -> None:
        shards = []
        for config in configs:
            database = DatabaseConfig(host=config.host, port=config.port, database=config.database)
            shards.append(new_database(database))
        self.shards = shards
        self.configs = configs

    def get_shard(self, key: str) -> Database:
        index = fnv1a_32(key.encode("utf-8", "surrogatepass")) % len(self.shards)
        return self.shards[index]

    def query(self, key: str, query: str, *args: Any) -> Any:
        return self.get_shard(key).query(query, *args)
