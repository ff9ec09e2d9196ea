"""Caches of several tiers: ours, the guide's, and wrong ones."""

import functools
import json
import math

from perflab.contracts import tiered as contract
from perflab.contracts.tiered import as_printed, over_tiers
from perflab.guide.cache import DeletableCache, MultiLevelCache
from perflab.patterns import MemoryTier, TieredCache
from perflab.patterns.parts.guardedtier import GuardedTier
from tests.solutions.cache import Mended

CONTRACT = contract


class FreshTtl(TieredCache):
    """A copy begins a life of its own."""

    def _copy_up(self, key, data, expires, depth, version):
        super()._copy_up(key, data, math.inf, depth, version)


class CopiesUnasked(TieredCache):
    """Copies upwards whatever was written since."""

    def _copy_up(self, key, data, expires, depth, version):
        stripe = hash(key) % len(self._versions)
        with self._locks[stripe]:
            super()._copy_up(key, data, expires, depth, self._versions[stripe])


class CountsAtTheBeginning(TieredCache):
    """The version is new as soon as a write begins."""

    def _write(self, key, change):
        stripe = hash(key) % len(self._versions)
        with self._locks[stripe]:
            self._versions[stripe] += 1
            for tier in reversed(self._tiers):
                change(tier)


class NearestFirst(TieredCache):
    def _write(self, key, change):
        self._tiers.reverse()
        try:
            super()._write(key, change)
        finally:
            self._tiers.reverse()


class NearestOnly(TieredCache):
    """An invalidation that does not leave the process."""

    def delete(self, key):
        self._tiers[0].delete(key)


class OneObject(TieredCache):
    """Saves itself the decoding of what it has decoded before."""

    def __init__(self, tiers, ttl, **more):
        super().__init__(tiers, ttl, decode=functools.cache(json.loads), **more)


class TruthOfValues(TieredCache):
    """What is false is not there."""

    def get(self, key, default=None):
        return super().get(key, default) or default


class _Forgetful(GuardedTier):
    def _write(self, key, command):
        self._try(key, command)


class _Stubborn(GuardedTier):
    def _may_try(self):
        return True


class _GivesUp(GuardedTier):
    def __init__(self, tier, ttl, retry_after, clock):
        super().__init__(tier, ttl, math.inf, clock)


class _Silent(GuardedTier):
    def stats(self):
        self._errors = 0
        return super().stats()


class _Raises(GuardedTier):
    def _try(self, key, command):
        return True, command()


def guarded_by(guard):
    """Our cache, its tiers guarded by another class."""

    class Guarded(TieredCache):
        def __init__(self, tiers, ttl, **more):
            super().__init__(tiers, ttl, **more)
            self._tiers = [guard(tier, ttl, 1.0, self._clock) for tier in tiers]

    return over_tiers(Guarded, MemoryTier)


def ours(tiered):
    return over_tiers(tiered, MemoryTier)


DELETED = "what is deleted is deleted in every tier"
RETURNS = "what was changed while the server was down is not served old"
RESTS = "a dead server is not asked every time, and is tried again"
COUNTED = "the errors of a dead server are counted"
OF_THE_GUIDE = {
    "what one process stores another reads, equal and of its type",
    "None, 0 and empty text are values like any other",
    "what cannot be stored is refused aloud, and changes nothing",
    "the memory of a process is bounded",
    "another process's change is seen within the near TTL",
    "copied upwards, a value lives no longer than where it came from",
    "every caller has a value of its own",
    "an old value read before a write is not copied above it",
    "evicted on the server while written, the old value does not return",
    COUNTED,
    RESTS,
    RETURNS,
    "bytes of somebody else on the server are a miss, not an error",
}
FAILS = [
    (ours(TieredCache), set()),
    (as_printed(MultiLevelCache), OF_THE_GUIDE | {DELETED}),
    (as_printed(DeletableCache), OF_THE_GUIDE),
    (as_printed(Mended), set()),
    (
        ours(FreshTtl),
        {"copied upwards, a value lives no longer than where it came from"},
    ),
    (
        ours(CopiesUnasked),
        {
            "an old value read before a write is not copied above it",
            "nor one that is read while the new one is being written",
        },
    ),
    (
        ours(CountsAtTheBeginning),
        {"nor one that is read while the new one is being written"},
    ),
    (
        ours(NearestFirst),
        {"evicted on the server while written, the old value does not return"},
    ),
    (ours(NearestOnly), {DELETED, RETURNS}),
    (ours(OneObject), {"every caller has a value of its own"}),
    (
        ours(TruthOfValues),
        {
            "None, 0 and empty text are values like any other",
            "what one process stores another reads, equal and of its type",
        },
    ),
    (guarded_by(_Forgetful), {RETURNS}),
    (guarded_by(_Stubborn), {RESTS}),
    (guarded_by(_GivesUp), {RESTS}),
    (guarded_by(_Silent), {COUNTED}),
    (
        guarded_by(_Raises),
        {RETURNS, RESTS, COUNTED, "a dead server fails no call: the tiers below it serve"},
    ),
]
NOT_A_TIME = [None, "x", [], True, math.nan, -1, 0, math.inf, 10**400]
NOT_A_KEY = [None, 1, b"x", [], ("a",)]


def _cache(**more):
    return TieredCache([MemoryTier(1, 60)], 60, **more)


NONSENSE = {
    "TieredCache(tiers)": (
        lambda bad: TieredCache(bad, 60),
        [None, [], 1, "x", [1], MemoryTier(1, 60), {}],
    ),
    "TieredCache(ttl)": (lambda bad: TieredCache([MemoryTier(1, 60)], bad), NOT_A_TIME),
    "TieredCache(retry_after)": (lambda bad: _cache(retry_after=bad), NOT_A_TIME),
    "TieredCache(encode)": (lambda bad: _cache(encode=bad), [None, 1, "x"]),
    "TieredCache(decode)": (lambda bad: _cache(decode=bad), [None, 1, "x"]),
    "TieredCache(clock)": (lambda bad: _cache(clock=bad), [None, 1, "x"]),
    "TieredCache.set(ttl)": (lambda bad: _cache().set("a", 1, bad), ["x", [], True, math.nan, 0]),
    "TieredCache.get(key)": (lambda bad: _cache().get(bad), NOT_A_KEY),
    "TieredCache.set(key)": (lambda bad: _cache().set(bad, 1), NOT_A_KEY),
    "TieredCache.delete(key)": (lambda bad: _cache().delete(bad), NOT_A_KEY),
}
