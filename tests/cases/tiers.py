"""Tiers: the one in memory, with and without its lock, and wrong ones."""

import functools
import math

from perflab.contracts import tiers as contract
from perflab.contracts.parts.cache import Entry
from perflab.patterns.tiers import MemoryTier

CONTRACT = contract


class ByGet:
    """Lookups through `get`, the quick way, which takes no lock."""

    def __init__(self, tier=MemoryTier, **arguments):
        self.tier = tier(**arguments)
        self.set, self.delete = self.tier.set, self.tier.delete

    def entry(self, key):
        value = self.tier.get(key, self)
        if value is self:
            return None
        entry = self.tier.entry(key)
        return entry or Entry(value, 0.0)  # gone since


class HitProlongs(MemoryTier):
    def entry(self, key):
        with self._lock:
            found = super().entry(key)
            if found is not None:
                self._entries[key] = (found.value, self._clock() + self.ttl, key)
        return found


class FirstInFirstOut(MemoryTier):
    """A hit is no use: the entry stays where it was."""

    def entry(self, key):
        with self._lock:
            order = list(self._entries)
            found = super().entry(key)
            for other in order:
                if other in self._entries:
                    self._entries.move_to_end(other)
        return found


class OneTooMany(MemoryTier):
    def __init__(self, max_entries, ttl, **more):
        super().__init__(max_entries + 1, ttl, **more)


class AnyTtl(MemoryTier):
    """The TTL of the call counts, whatever the tier's own is."""

    def set(self, key, value, ttl=None):
        self.ttl = math.inf
        super().set(key, value, ttl)


class KeepsTheOldTtl(MemoryTier):
    def set(self, key, value, ttl=None):
        with self._lock:
            before = self._entries.get(key)
            super().set(key, value, ttl)
            if before is not None:
                self._entries[key] = (value, before[1], key)


class EmptyIsNothing(MemoryTier):
    def entry(self, key):
        found = super().entry(key)
        return found if found is not None and found.value else None


class MoveMustSucceed(MemoryTier):
    """A hit that takes no lock and expects that nobody else was there."""

    def __init__(self, *positional, **named):
        super().__init__(*positional, **named)
        self.get = self.trusting

    def trusting(self, key, default=None):
        if key in self._entries:
            value, expires, stored = self._entries[key]
            if self._clock() < expires:
                self._entries.move_to_end(stored)
                return value
        return default


class LocksForPlainKeys(MemoryTier):
    """Keeps the order in a list, and for other keys than text it takes no lock to search it."""

    order: list

    def __init__(self, *positional, **named):
        super().__init__(*positional, **named)
        self.order = []

    def set(self, key, value, ttl=None):
        super().set(key, value, ttl)
        self.order = list(self._entries)

    def entry(self, key):
        if type(key) is not str:
            self.order.remove(key)
            self.order.append(key)
        return super().entry(key)


def _by_get(tier):
    return functools.partial(ByGet, tier)


FAILS = [
    (MemoryTier, set()),
    (functools.partial(MemoryTier, _lock_free=False), set()),
    (ByGet, set()),
    (HitProlongs, {"a hit does not prolong the TTL"}),
    (
        FirstInFirstOut,
        {"the entry least recently used goes first, and a hit is a use"},
    ),
    (
        OneTooMany,
        {
            "it holds at most max_entries",
            "the entry least recently used goes first, and a hit is a use",
            "threads at once: nothing lost, nothing wrong, the bound held",
            "an entry evicted between finding and moving it is a miss",
            "a key compared by Python code may be interrupted there",
        },
    ),
    (AnyTtl, {"the tier's own TTL is the longest"}),
    (KeepsTheOldTtl, {"setting a key again replaces its value and its TTL"}),
    (EmptyIsNothing, {"what was set is found, byte for byte, and nothing else is"}),
    (
        _by_get(MoveMustSucceed),
        {"an entry evicted between finding and moving it is a miss"},
    ),
    (
        LocksForPlainKeys,
        {"a key compared by Python code may be interrupted there"},
    ),
]
NOT_A_NUMBER = [None, "x", [], {}, True, math.nan, -1, 0, object()]
NONSENSE = {
    "MemoryTier(max_entries)": (
        lambda bad: MemoryTier(bad, 60),
        [*NOT_A_NUMBER, 1.5, math.inf],
    ),
    "MemoryTier(ttl)": (lambda bad: MemoryTier(1, bad), [*NOT_A_NUMBER, -math.inf, 10**400]),
    "MemoryTier(clock)": (lambda bad: MemoryTier(1, 60, clock=bad), [None, 1, "x"]),
    "MemoryTier.set(ttl)": (lambda bad: MemoryTier(1, 60).set("a", 1, bad), NOT_A_NUMBER[1:]),
    "MemoryTier.set(key)": (lambda bad: MemoryTier(1, 60).set(bad, 1), [[], {}, ([],)]),
    "MemoryTier.get(key)": (lambda bad: MemoryTier(1, 60).get(bad), [[], {}, ([],)]),
    "MemoryTier.entry(key)": (lambda bad: MemoryTier(1, 60).entry(bad), [[], {}]),
    "MemoryTier.delete(key)": (lambda bad: MemoryTier(1, 60).delete(bad), [[], {}]),
}
