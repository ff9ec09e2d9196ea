"""Several tiers as one cache: ask the nearest first, and copy what a farther one had upwards.

What makes it more than a loop over tiers:

- **A copy lives no longer than what it was copied from.** It gets the time that was left, counted
  from before the question was sent. A fresh TTL in each tier would let a value live for the sum.
- **Bytes in every tier.** `encode` once, `decode` at each hit: another process can read what this
  one wrote, every caller has a value of its own, and what cannot be stored is refused aloud.
  JSON by default; nothing is ever unpickled.
- **A tier that fails is not an error of the cache.** `GuardedTier` counts it, leaves it alone for
  a while, tries it again, and remembers what could not be deleted there.

The race that it must win: a reader takes the old value from a far tier, a writer replaces or
deletes it everywhere, and then the reader copies the old value into the near tier. Every write
counts the key's version up, and a copy is made only under the version that was current before any
tier was asked. (A lease, in the words of Nishtala et al., «Scaling Memcache at Facebook», NSDI
2013; there the server keeps it and so holds for all processes, here it holds within this one. What
another process copied upwards there goes with its TTL.)
"""

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from perflab.errors import require
from perflab.patterns.parts.guardedtier import GuardedTier, TierStats
from perflab.patterns.tiers import Tier, is_seconds

STRIPES = 64  # keys that share a lock and a version: a false neighbour costs a copy or a wait


def to_json(value: Any) -> bytes:
    """JSON as bytes; TypeError for what JSON does not know."""
    return json.dumps(value, separators=(",", ":")).encode()


class TieredCache:
    """The tiers, nearest first, as one cache of text keys; nothing lives longer than `ttl`.

        cache = TieredCache([MemoryTier(1_000, ttl=5), valkey], ttl=60)
        cache.set("user:7", {"name": "Ada"})
        cache.get("user:7")
        cache.delete("user:7")

    State: `_versions`, for each stripe of keys the number of writes that have ended. Guarded by
    the stripe's lock in `_locks`, under which writes and upward copies of a key follow one
    another; a lookup takes no lock.
    """

    def __init__(
        self,
        tiers: Sequence[Tier],
        ttl: float,
        *,
        encode: Callable[[Any], bytes] = to_json,
        decode: Callable[[bytes], Any] = json.loads,
        retry_after: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        some = isinstance(tiers, Sequence) and len(tiers) > 0
        some = some and all(
            callable(getattr(tier, name, None)) for tier in tiers for name in ("entry", "set")
        )
        require(some, "tiers", tiers, "a sequence of one tier or more")
        finite = is_seconds(ttl) and ttl < math.inf
        require(finite, "ttl", ttl, "finite seconds > 0")
        finite = is_seconds(retry_after) and retry_after < math.inf
        require(finite, "retry_after", retry_after, "finite seconds > 0")
        for name, function in (("encode", encode), ("decode", decode), ("clock", clock)):
            require(callable(function), name, function, "a function")
        self.ttl, self._encode, self._decode, self._clock = ttl, encode, decode, clock
        self._tiers = [GuardedTier(tier, ttl, retry_after, clock) for tier in tiers]
        self._locks = [threading.RLock() for _ in range(STRIPES)]
        self._versions = [0] * STRIPES

    def get(self, key: str, default: Any = None) -> Any:
        """The value of the nearest tier that has it, or `default`."""
        stripe = _stripe(key)
        version, asked = self._versions[stripe], self._clock()
        for depth, tier in enumerate(self._tiers):
            entry = tier.entry(key)
            if entry is None:
                continue
            try:
                value = self._decode(entry.value)
            except Exception as error:
                tier.refuse(error)  # somebody else's bytes: a miss
                continue
            if depth:
                self._copy_up(key, entry.value, asked + entry.remaining, depth, version)
            return value
        return default

    def _copy_up(self, key: str, data: bytes, expires: float, depth: int, version: int) -> None:
        stripe = _stripe(key)
        with self._locks[stripe]:
            if self._versions[stripe] != version:
                return  # written since: what was read may be old
            for tier in self._tiers[:depth]:
                remaining = min(expires - self._clock(), self.ttl)
                if remaining > 0:
                    tier.fill(key, data, remaining)

    def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Keep the value in every tier for `ttl` seconds, at most for the cache's own TTL.

        Raises what `encode` raises for a value that it cannot store; nothing is changed then.
        """
        require(ttl is None or is_seconds(ttl), "ttl", ttl, "seconds > 0, or None")
        data = self._encode(value)
        expires = self._clock() + (self.ttl if ttl is None else min(ttl, self.ttl))

        def store(tier: GuardedTier) -> None:
            remaining = expires - self._clock()
            if remaining > 0:
                tier.set(key, data, remaining)
            else:  # the tiers before it were that slow; what was there must go all the same
                tier.delete(key)

        self._write(key, store)

    def delete(self, key: str) -> None:
        """Forget the key in every tier; where one is down it is owed."""
        self._write(key, lambda tier: tier.delete(key))

    def _write(self, key: str, change: Callable[[GuardedTier], None]) -> None:
        """The farthest tier first: nobody may find the old value below a new one and copy it."""
        stripe = _stripe(key)
        with self._locks[stripe]:
            try:
                for tier in reversed(self._tiers):
                    change(tier)
            finally:
                # Counted at the end: a reader that saw any tier before its change has an older
                # version in hand than this one. It cannot copy earlier, for want of the lock.
                self._versions[stripe] += 1

    def stats(self) -> tuple[TierStats, ...]:
        """How each tier was used, nearest first."""
        return tuple(tier.stats() for tier in self._tiers)


def _stripe(key: str) -> int:
    require(isinstance(key, str), "key", key, "text")
    return hash(key) % STRIPES
