"""Read-through and cache-aside: the cache asks the source for what it lacks, once.

    users = CacheAside(MemoryTier(10_000, ttl=60), load=read_user, ttl=60)
    users.get("7")                            # from threads
    await users.aget("7")                     # from asyncio; `load` may be async then
    write_user(ada); users.invalidate("7")    # update first, then invalidate

What it promises beyond «look, load, store»:

- **A miss costs one load**, however many ask (single-flight: `flight.py`), and a load that fails
  fails for all who waited; the next to come tries anew. Different keys never wait for each other.
- **What does not exist is cached too**: a load that returns None says so, and None is kept for
  `negative_ttl`.
- **An update leaves nothing stale.** A load that began before the update may come home after the
  invalidation with the old value. It gives it to those who asked before, and does not store it;
  who asks after the invalidation starts a load of its own.
- **Keys stored together need not expire together**: with `jitter=0.1` each gets a TTL drawn
  between 90 and 100 % of `ttl`, so that they are loaded again one by one.

The races that it must win:

- *Store against invalidate.* «Not invalidated, so store» is two steps. The load's own lock holds
  them together, and an invalidation takes the same lock before it deletes.
- *Look, then lead.* Between a miss and becoming the leader another load of the key may have begun,
  stored and ended. Loads that end are counted; if the count has moved since before the look, look
  again.
- *A leader that vanishes* (interrupt, cancelled task, a loop that ends): the flight is landed all
  the same, and one of those who wait leads.

This holds within one process. A load in another may still store an old value in a tier that both
share; there only the server can refuse it (leases: Nishtala et al., NSDI 2013), and the TTL is the
bound.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from perflab.errors import require
from perflab.patterns.parts.flight import AbandonedError, Flight, Flights
from perflab.patterns.tiers import is_seconds, require_key

K = TypeVar("K")
V = TypeVar("V")
_NOTHING: Any = object()  # what a cache without the key returns: None is a value


class Cache(Protocol):
    """What values are kept in: a MemoryTier, a TieredCache."""

    def get(self, key: Any, default: Any = None) -> Any: ...
    def set(self, key: Any, value: Any, ttl: float) -> None: ...
    def delete(self, key: Any) -> object: ...


@dataclass(frozen=True)
class AsideStats:
    """A snapshot of a CacheAside; hits and misses are counted by its cache."""

    loads: int  # loads that have ended, well or not
    failures: int  # loads that raised, interrupted ones included
    joined: int  # callers who waited for another's load instead of loading
    discarded: int  # loaded values not stored because the key was invalidated meanwhile
    loading: int  # loads under way now


class CacheAside(Generic[K, V]):
    """`cache` in front of `load(key)`: see the top of the file.

    `ttl`, `negative_ttl` in seconds; `negative_ttl=0` keeps no None, and None keeps it for `ttl`.

    State: `_flights`, the loads under way, which have a lock of their own.

    `get(key)` is the value, or raises what the load raised, or ReentrantLoadError for a load that
    asks for its own key. Before a MemoryTier it is the tier's own reader: a hit is one call.
    """

    def __init__(
        self,
        cache: Cache,
        load: Callable[[K], Any],
        *,
        ttl: float,
        negative_ttl: float | None = None,
        jitter: float = 0.0,
        rng: random.Random | None = None,
    ) -> None:
        usable = all(callable(getattr(cache, name, None)) for name in ("get", "set", "delete"))
        require(usable, "cache", cache, "a cache with get, set and delete")
        require(callable(load), "load", load, "a function of a key")
        require(is_seconds(ttl), "ttl", ttl, "seconds > 0")
        negative = negative_ttl is None or is_seconds(negative_ttl) or negative_ttl == 0
        negative = negative and not isinstance(negative_ttl, bool)
        require(negative, "negative_ttl", negative_ttl, "seconds ≥ 0, or None")
        share = jitter == 0 or (is_seconds(jitter) and jitter < 1)
        require(share and not isinstance(jitter, bool), "jitter", jitter, "a share from 0 below 1")
        drawn = rng is None or callable(getattr(rng, "random", None))
        require(drawn, "rng", rng, "a random.Random, or None")
        self._cache, self._load, self._look = cache, load, cache.get
        self._ttl, self._jitter = ttl, jitter
        self._negative_ttl = ttl if negative_ttl is None else negative_ttl
        self._draw = random.random if rng is None else rng.random
        self._flights = Flights()
        reader = getattr(cache, "reader", None)
        self.get: Callable[[K], V] = reader(self._read) if reader else self._read

    def _read(self, key: K, _: object = None) -> V:
        ended = self._flights.ended
        found: V = self._look(key, _NOTHING)
        return self._load_once(key, ended) if found is _NOTHING else found

    def _load_once(self, key: K, ended: int) -> V:
        """Lead, or wait for the load that is under way, until there is a value or an error."""
        mine = Flight(self._flights, key)
        try:
            while True:
                flight = self._flights.board(mine, ended)
                if flight is mine:
                    return self._fly(mine)
                if flight is not None:
                    with suppress(AbandonedError):
                        return cast(V, flight.result())
                ended = self._flights.ended
                found = self._look(key, _NOTHING)
                if found is not _NOTHING:
                    return cast(V, found)
        finally:
            self._flights.drop(mine)

    async def aget(self, key: K) -> V:
        """The value, from asyncio: other tasks run while it is loaded.

        The load runs in a task of its own: who is cancelled while waiting takes nobody along.
        """
        while True:
            ended = self._flights.ended
            found: V = self._look(key, _NOTHING)
            if found is not _NOTHING:
                return found
            mine = Flight(self._flights, key)
            try:
                flight = self._flights.board(mine, ended)
                if flight is mine:
                    mine.task = asyncio.ensure_future(self._fly_async(mine))
                    mine.task.add_done_callback(lambda _, flown=mine: self._flights.drop(flown))
                if flight is not None:
                    with suppress(AbandonedError), flight.awaited():
                        return cast(V, await asyncio.wrap_future(flight.outcome))
            finally:
                if mine.task is None:
                    self._flights.drop(mine)

    def _fly(self, mine: Flight) -> V:
        try:
            with mine:
                value: V = self._load(mine.key)
                if hasattr(value, "__await__"):
                    getattr(value, "close", bool)()  # so that it is not called forgotten, too
                    raise TypeError("load is asynchronous: await aget(key)")
                self._store(mine, value)
        except Exception as error:
            self._flights.land(mine, error)
            raise
        self._flights.land(mine, None, value)
        return value

    async def _fly_async(self, mine: Flight) -> None:
        try:
            with mine:
                value = self._load(mine.key)
                if hasattr(value, "__await__"):
                    value = await value
                self._store(mine, value)
        except Exception as error:
            self._flights.land(mine, error)  # whoever waits raises it
        else:
            self._flights.land(mine, None, value)
        finally:
            self._flights.drop(mine)

    def _store(self, flight: Flight, value: V) -> None:
        ttl = self._negative_ttl if value is None else self._ttl
        with flight.lock:
            if flight.stale:
                with self._flights.lock:
                    self._flights.discarded += 1
            elif ttl > 0:
                self._cache.set(flight.key, value, ttl * (1 - self._jitter * self._draw()))

    def invalidate(self, key: K) -> None:
        """Forget the key, after its update: no load that began before this call is stored.

        Waits for a store of this key that is under way, never for a load.
        """
        require_key(key)
        flight = self._flights.of(key)
        if flight is not None:
            with flight.lock:
                flight.stale = True
        self._cache.delete(key)

    def stats(self) -> AsideStats:
        """Counts since the beginning."""
        flights = self._flights
        with flights.lock:
            return AsideStats(
                loads=flights.ended,
                failures=flights.failures,
                joined=flights.joined,
                discarded=flights.discarded,
                loading=len(flights),
            )
