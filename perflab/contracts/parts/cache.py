"""The world that a cache lives in, for its contracts: a clock, a cache server, a table, users.

Everything counts what is asked of it, can be down, and calls `hook(command, key)` after it has
done its part and before the answer goes back, so that a check can let something else happen there.
"""

import inspect
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from perflab.contracts.parts.orders import Turns
from perflab.measure.virtual import VirtualClock

Hook = Callable[[str, str], None]


def _nothing(command: str, key: str) -> None:
    """The hook of who wants to know nothing."""


@dataclass
class User:
    """A user as the service hands it out; neither of the drivers knows how to store it."""

    id: str
    name: str


@dataclass
class StorableUser(User):
    """A user that tells both drivers what to store: JSON."""

    def __bytes__(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    def __conform__(self, protocol: object) -> str:
        return bytes(self).decode()


class Entry(NamedTuple):
    """What a tier answers: the value, and the seconds until it expires."""

    value: bytes
    remaining: float


class Remote:
    """A cache server and its client in one: bytes with a TTL, on a clock of its own choosing."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._data: dict[str, tuple[bytes, float]] = {}
        self.up, self.hook = True, _nothing
        self.sent: Counter[str] = Counter()  # commands, those that failed too

    def __len__(self) -> int:
        return len(self._data)

    def get(self, key: str) -> bytes | None:
        return self.get_and_pttl(key)[0]

    def get_and_pttl(self, key: str) -> tuple[bytes | None, float]:
        """One round trip: the value and the milliseconds that it has left."""
        self._arrive("get")
        data, expires = self._data.get(key, (None, 0.0))
        left = 1000 * (expires - self._clock())
        self.hook("get", key)
        return (data, left) if left > 0 else (None, 0.0)

    def set(self, key: str, value: Any, *, px: int) -> None:
        self._arrive("set")
        if not isinstance(value, bytes | str | int | float) or isinstance(value, bool):
            raise TypeError(f"cannot store a {type(value).__name__}")
        data = value if isinstance(value, bytes) else str(value).encode()
        self._data[key] = (data, self._clock() + px / 1000)
        self.hook("set", key)

    def delete(self, key: str) -> int:
        self._arrive("delete")
        known = self._data.pop(key, None)
        self.hook("delete", key)
        return int(known is not None)

    def _arrive(self, command: str) -> None:
        self.sent[command] += 1
        if not self.up:
            raise ConnectionError("connection refused")


class Table:
    """A database of its own in memory, with the guide's cache table and ours."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("CREATE TABLE cache (key TEXT PRIMARY KEY, data)")
        self._db.execute("CREATE TABLE tier (key TEXT PRIMARY KEY, data BLOB, expires REAL)")
        self.up, self.hook = True, _nothing
        self.reads = self.writes = 0

    def execute(self, sql: str, parameters: tuple[Any, ...]) -> sqlite3.Cursor:
        with self._lock:
            if sql.startswith("SELECT"):
                self.reads += 1
            else:
                self.writes += 1
            if not self.up:
                raise ConnectionError("connection refused")
            answer = self._db.execute(sql, parameters)
        self.hook(sql.split()[0].lower(), str(parameters[0]))
        return answer


class Users:
    """The users' table: what is true. Each command is a step that waits for its turn."""

    def __init__(self, user_type: type[User], turns: Turns) -> None:
        self._type, self._turns = user_type, turns
        self._names: dict[str, str] = {}
        self.up, self.hook = True, _nothing
        self.reads = 0

    def add(self, count: int) -> list[str]:
        """So many users more; their ids."""
        ids = [str(number) for number in range(len(self._names), len(self._names) + count)]
        self._names.update((id_, "old") for id_ in ids)
        return ids

    def read(self, user_id: str) -> User:
        """The user; LookupError where there is none."""
        self._turns.step()
        self.reads += 1
        if not self.up:
            raise ConnectionError("connection refused")
        name = self._names.get(user_id)
        self.hook("read", user_id)
        if name is None:
            raise LookupError(user_id)
        return self._type(user_id, name)

    def write(self, user: User) -> None:
        self._turns.step()
        self._names[user.id] = user.name
        self.hook("write", user.id)


@dataclass
class World:
    """All of it, and how the caches in it are to be set up; each `make(world)` is a process."""

    ttl: float = 60.0  # seconds, in every tier
    near_ttl: float = 60.0  # seconds, in the process's own memory
    negative_ttl: float = 10.0  # seconds, for what does not exist
    max_entries: int = 100  # in the process's own memory
    jitter: float = 0.0  # share of the TTL by which it may be shorter
    user_type: type[User] = StorableUser
    clock: VirtualClock = field(default_factory=VirtualClock)
    turns: Turns = field(default_factory=Turns)

    def __post_init__(self) -> None:
        self.remote, self.table = Remote(self.clock), Table()
        self.users = Users(self.user_type, self.turns)

    def build(self, made: Callable[..., Any], *arguments: Any) -> Any:
        """`made(*arguments)`, and by name whatever else of this world it takes: `clock`,
        `max_entries`, `near_ttl`, `negative_ttl`, `jitter`."""
        offered = ("clock", "max_entries", "near_ttl", "negative_ttl", "jitter")
        taken = inspect.signature(made).parameters
        return made(*arguments, **{name: getattr(self, name) for name in offered if name in taken})

    def stepped(self, cache: Any) -> Any:
        """The cache, each of whose commands is a step that waits for its turn."""
        return Stepped(cache, self.turns)


class Stepped:
    """A cache whose commands wait for their turns."""

    def __init__(self, cache: Any, turns: Turns) -> None:
        self._cache, self._turns = cache, turns

    def get(self, *arguments: Any) -> Any:
        self._turns.step()
        return self._cache.get(*arguments)

    def set(self, *arguments: Any) -> Any:
        self._turns.step()
        return self._cache.set(*arguments)

    def delete(self, key: Any) -> Any:
        self._turns.step()
        return self._cache.delete(key)


class RemoteTier:
    """A `Remote` as a tier."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def entry(self, key: str) -> Entry | None:
        data, left = self._remote.get_and_pttl(key)
        return None if data is None else Entry(data, left / 1000)

    def set(self, key: str, value: bytes, ttl: float) -> None:
        self._remote.set(key, value, px=max(1, int(1000 * ttl)))

    def delete(self, key: str) -> int:
        return self._remote.delete(key)


class RowTier:
    """A `Table` as a tier."""

    def __init__(self, table: Table, clock: VirtualClock) -> None:
        self._table, self._clock = table, clock

    def entry(self, key: str) -> Entry | None:
        sql = "SELECT data, expires FROM tier WHERE key = ? AND expires > ?"
        row = self._table.execute(sql, (key, self._clock())).fetchone()
        return None if row is None else Entry(row[0], row[1] - self._clock())

    def set(self, key: str, value: bytes, ttl: float) -> None:
        sql = "INSERT OR REPLACE INTO tier (key, data, expires) VALUES (?, ?, ?)"
        self._table.execute(sql, (key, value, self._clock() + ttl))

    def delete(self, key: str) -> None:
        self._table.execute("DELETE FROM tier WHERE key = ?", (key,))
