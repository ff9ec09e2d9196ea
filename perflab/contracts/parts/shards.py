"""Shards that a check can open, fill and count, and a router among them as one database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shard:
    """Where a shard is, how much it takes, and how it is opened."""

    database: str
    weight: int = 1
    host: str = "127.0.0.1"
    port: int = 5432
    user: str = "shop"
    password: str = "open sesame"
    max_open_conns: int = 25
    max_idle_conns: int = 5


class Databases:
    """Opens pretended databases. Its state: what it was asked to open, and what is open."""

    def __init__(self, down: str = "") -> None:
        self.asked: list[Any] = []
        self.open: list[str] = []
        self._down = down

    def new_database(self, config: Any) -> "Database":
        self.asked.append(config)
        if config.database == self._down:
            raise ConnectionRefusedError(f"{config.database} is down")
        return Database(config.database, self.open)


class Database:
    """One that is open until it is closed."""

    def __init__(self, name: str, among: list[str]) -> None:
        self.name = name
        self._among = among
        among.append(name)

    def close(self) -> None:
        self._among.remove(self.name)


Make = Callable[[Sequence[Shard], Callable[[Any], Database]], Any]


def over(router: Callable[[dict[str, int]], Any], open_all: Callable[..., Any]) -> Make:
    """A database cut into shards by a router with `route` and `add`.

    `open_all` opens a database for each name, or none.
    """

    class Sharded:
        def __init__(self, shards: Sequence[Shard], new_database: Callable[[Any], Any]) -> None:
            by_name = {shard.database: shard for shard in shards}
            self._router = router({shard.database: shard.weight for shard in shards})
            self._new_database = new_database
            self._open = open_all(by_name, lambda name: new_database(by_name[name]))

        def get_shard(self, key: str) -> Any:
            return self._open[self._router.route(key)]

        def add_shard(self, shard: Shard) -> None:
            self._open[shard.database] = self._new_database(shard)  # before any key leads there
            self._router.add(shard.database, shard.weight)

    return Sharded


def listed(count: int) -> list[Shard]:
    return [Shard(f"shard-{number}") for number in range(count)]


def made(make: Make, shards: Sequence[Shard]) -> Any:
    return make(shards, Databases().new_database)


def found(sharded: Any, keys: Sequence[str]) -> list[str]:
    """The name of the shard of each key."""
    return [sharded.get_shard(key).name for key in keys]


def share_moved(before: Sequence[str], after: Sequence[str]) -> float:
    """The part of the keys whose shard is another, in per cent."""
    return 100 * sum(a != b for a, b in zip(before, after, strict=True)) / len(before)
