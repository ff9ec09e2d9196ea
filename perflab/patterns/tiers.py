"""A tier: one place in which a cache keeps values, with a bound and a time to live of its own.

`Tier` is what all of them promise; `MemoryTier` keeps entries in this process. Its bound is held
by dropping the entry least recently used: on a hit an entry goes to the young end of a list, and
the old end is what goes when there is no room (LRU: Mattson, Gecsei, Slutz and Traiger, «Evaluation
techniques for storage hierarchies», IBM Systems Journal, 1970). A hit does not prolong an entry's
life: one that is asked for all day must still be asked of its source once in a TTL.

The races that it must win:

- *Hit against eviction.* A hit takes no lock, since a lock would cost more than all the rest of
  it. Between finding an entry and moving it another thread may evict it: the move then fails with
  a KeyError, and the caller is told that nothing was there, which by now is true.
- *Keys that compare in Python.* OrderedDict moves a key in one step of C, unless comparing keys
  runs Python code, in which the interpreter may change threads halfway through. The first such
  key moves the whole tier to another dictionary, which is touched under the lock only: whoever
  comes without the lock finds the old one empty, and takes the lock.
- *Finalisers.* What is dropped may be destroyed on the spot, and its `__del__` may use this cache.
  So it is let go after the lock is released, and the lock is one that its owner can take again.
"""

import math
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from perflab.errors import is_number, is_whole, require

V = TypeVar("V")


class Entry(NamedTuple):
    """What a tier has under a key."""

    value: Any
    remaining: float  # seconds until it expires


class Tier(Protocol):
    """What every tier promises, in memory, on a server or in a table.

    Keys are text and values bytes wherever a tier is shared with other processes; MemoryTier
    takes any key and any value. An error of a tier (a server that is down) passes to the caller.
    """

    def entry(self, key: str) -> Entry | None:
        """The value and the time that it has left; None where there is none or it has expired."""

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the value for `ttl` seconds, or for as long as the tier ever keeps one if less."""

    def delete(self, key: str) -> object:
        """Forget the key; nothing happens where it is not known."""


@dataclass(frozen=True)
class MemoryStats:
    """A snapshot of a MemoryTier."""

    entries: int  # held now, those included whose time is over and which nobody asked for since
    hits: int  # lookups that found a live value
    misses: int  # lookups that did not
    evictions: int  # entries dropped alive or dead, because there was no room
    expirations: int  # entries dropped because they were asked for after their time

    @property
    def hit_ratio(self) -> float:
        """Hits by lookups; 0 where nothing was looked up."""
        return self.hits / max(self.hits + self.misses, 1)


PLAIN = frozenset({str, bytes, int, float, bool, type(None)})  # compared without Python code


def _is_plain(key: Any) -> bool:
    kind = type(key)
    return kind in PLAIN or (kind is tuple and all(map(_is_plain, key)))


def _gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def is_seconds(value: Any) -> bool:
    """Whether it is a positive time; infinite is allowed, nan is not."""
    return is_number(value) and (0 < value <= sys.float_info.max or value == math.inf)


class MemoryTier(Generic[V]):
    """At most `max_entries` values, each for at most `ttl` seconds (`math.inf`: until evicted).

        users = MemoryTier(10_000, ttl=60)
        users.set("user:7", ada)
        users.get("user:7")                 # ada; None once a minute is over

    State: `_entries`, key → (value, expires at, key as stored), the least recently used first.
    Guarded by `_lock`, but for a hit while `_lock_free`: it reads and moves without the lock,
    since each of the two is one step of C under the interpreter's lock. Without that one (free
    threads), or once a key compares in Python, every lookup takes ours. `_hits` are the counts
    of the readers, one each.

    `get(key, default=None)` is the quick way in: a closure, made once by `reader`.
    """

    def __init__(
        self,
        max_entries: int,
        ttl: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        _lock_free: bool | None = None,
    ) -> None:
        require(
            is_whole(max_entries) and max_entries >= 1,
            "max_entries",
            max_entries,
            "a whole number ≥ 1",
        )
        require(is_seconds(ttl), "ttl", ttl, "seconds > 0")
        require(callable(clock), "clock", clock, "a function that tells the time in seconds")
        self.max_entries, self.ttl = max_entries, ttl
        self._clock = clock
        self._lock_free = _gil() if _lock_free is None else _lock_free
        self._lock = threading.RLock()
        self._entries: OrderedDict[Any, tuple[V, float, Any]] = OrderedDict()
        self._hits: list[Callable[[], int]] = []
        self._slow_hits = self._misses = self._evictions = self._expirations = 0
        self.get = self.reader(self._look)

    def reader(self, miss: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        """A function of (key, default=None) that answers a hit by itself, in one call of Python.

        All else is the answer of `miss(key, default)`, which looks again, under the lock. (A
        closure, because it finds its names faster than a method finds its attributes.)
        """
        if not self._lock_free:
            return lambda key, default=None: miss(key, default)
        entries, clock, move = self._entries, self._clock, self._entries.move_to_end
        hits = 0

        def read(key: Hashable, default: Any = None) -> Any:
            nonlocal hits
            try:
                value, expires, stored = entries[key]
                if clock() < expires:
                    move(stored)
                    hits += 1  # no call in it, so the interpreter changes no threads here
                    return value
            except (KeyError, TypeError):  # not there, evicted in between, or no key at all
                pass
            return miss(key, default)

        self._hits.append(lambda: hits)
        return read

    def _look(self, key: Hashable, default: Any) -> Any:
        found = self.entry(key)
        return default if found is None else found.value

    def entry(self, key: Hashable) -> Entry | None:
        """The value and the seconds that it has left, or None; counts as a lookup."""
        require_key(key)
        with self._lock:
            now = self._clock()  # not before the lock: an entry might be set while waiting for it
            found = self._entries.get(key)
            if found is None:
                self._misses += 1
                return None
            value, expires, stored = found  # these keep the value until the lock is released
            if expires <= now:
                del self._entries[stored]
                self._expirations += 1
                self._misses += 1
                return None
            self._entries.move_to_end(stored)
            self._slow_hits += 1
        return Entry(value, expires - now)

    def set(self, key: Hashable, value: V, ttl: float | None = None) -> None:
        """Keep the value for `ttl` seconds from now, never for longer than the tier's own TTL."""
        require_key(key)
        require(ttl is None or is_seconds(ttl), "ttl", ttl, "seconds > 0, or None")
        expires = self._clock() + (self.ttl if ttl is None else min(ttl, self.ttl))
        dropped = []  # let go after the lock
        with self._lock:
            if self._lock_free and not _is_plain(key):
                self._leave_the_fast_path()
            dropped.append(self._entries.pop(key, None))
            self._entries[key] = (value, expires, key)
            while len(self._entries) > self.max_entries:
                dropped.append(self._entries.popitem(last=False)[1])
                self._evictions += 1

    def _leave_the_fast_path(self) -> None:
        """Everything moves to a dictionary that no reader knows; theirs is empty from now on."""
        known, self._entries = self._entries, self._entries.copy()
        self._lock_free = False
        known.clear()

    def delete(self, key: Hashable) -> bool:
        """Forget the key; whether there was anything to forget."""
        require_key(key)
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                del self._entries[found[2]]
        return found is not None

    def clear(self) -> None:
        """Forget everything; the counts stay."""
        with self._lock:
            dropped = list(self._entries.values())
            self._entries.clear()
        del dropped

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def stats(self) -> MemoryStats:
        """Counts since the beginning, and what is held now."""
        with self._lock:
            return MemoryStats(
                entries=len(self._entries),
                hits=self._slow_hits + sum(count() for count in self._hits),
                misses=self._misses,
                evictions=self._evictions,
                expirations=self._expirations,
            )


def require_key(key: Hashable) -> None:
    """ValueError for what cannot be a key."""
    try:
        hash(key)
    except TypeError:
        require(False, "key", key, "hashable")
