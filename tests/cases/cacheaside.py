"""Services that read through a cache: ours, the guide's, and wrong ones."""

import math
import threading

from perflab.contracts import cacheaside as contract
from perflab.contracts.cacheaside import as_printed, over_tiers
from perflab.contracts.parts.orders import schedules
from perflab.guide.cache import CacheAsideService, DeletableCache, MultiLevelCache
from perflab.patterns import CacheAside, MemoryTier, TieredCache
from perflab.patterns.parts.flight import AbandonedError, Flight, Flights

CONTRACT = contract


def flying(flights):
    """Ours, with other rules for the loads under way."""

    class Flying(CacheAside):
        def __init__(self, *positional, **named):
            super().__init__(*positional, **named)
            self._flights = flights()

    return Flying


class EachForItself(Flights):
    """Every caller who misses loads."""

    def board(self, mine, ended):
        mine.begun = True
        with self.lock:
            self._by_key[mine.key] = mine
        return mine


class OneAtATime(CacheAside):
    """Single-flight by one lock around every load."""

    def __init__(self, *positional, **named):
        super().__init__(*positional, **named)
        self._one, quick = threading.RLock(), self.get

        def get(key):
            with self._one:
                return quick(key)

        self.get = get


class EachTriesAgain(Flights):
    """Who waited for a load that failed makes one of its own."""

    def land(self, flight, error, value=None):
        failed = isinstance(error, ConnectionError)
        super().land(flight, AbandonedError() if failed else error, value)


class StaleRefill(CacheAside):
    """Stores what it has loaded, whatever was invalidated meanwhile."""

    def _store(self, flight, value):
        super()._store(Flight(self._flights, flight.key), value)


class LooksThenStores(CacheAside):
    """Asks whether the key was invalidated, and stores after that: two steps."""

    def _store(self, flight, value):
        if not flight.stale:
            super()._store(Flight(self._flights, flight.key), value)


class JoinsTheStale(Flights):
    """Who comes after an invalidation waits for the load from before it."""

    def board(self, mine, ended):
        return self.of(mine.key) or super().board(mine, ended)


class DeletesFirst(CacheAside):
    """Deletes, and only then tells the load under way."""

    def invalidate(self, key):
        self._cache.delete(key)
        flight = self._flights.of(key)
        if flight is not None:
            flight.stale = True


class LeadsAtOnce(Flights):
    """Does not ask whether a load has ended since the look."""

    def board(self, mine, ended):
        return super().board(mine, self.ended)


class LeavesItInTheAir(Flights):
    """An interrupted load stays on the list."""

    def drop(self, flight):
        pass


class _Trusting(Flight):
    __slots__ = ()

    def leads_to(self, others):
        return False


class WaitsForItself(Flights):
    """Does not know what the code that asks runs inside of."""

    def board(self, mine, ended):
        flight = super().board(mine, ended)
        if flight is not None:
            flight.__class__ = _Trusting
        return flight


class _Nowhere(list):
    def append(self, flight):
        pass

    def remove(self, flight):
        pass


class KnowsItsOwnOnly(Flights):
    """Sees that a load asks for itself, not that two ask for each other."""

    def board(self, mine, ended):
        mine.waits_for = _Nowhere()
        return super().board(mine, ended)


class NoneIsAMiss(CacheAside):
    def _store(self, flight, value):
        if value is not None:
            super()._store(flight, value)


class NoneForLong(CacheAside):
    def __init__(self, *positional, negative_ttl, **named):
        super().__init__(*positional, **named)


class AllAtOnce(CacheAside):
    def __init__(self, *positional, jitter, **named):
        super().__init__(*positional, **named)


def ours(aside):
    return over_tiers(aside, TieredCache, MemoryTier)


ORDERS = "no order of a read and an update leaves an old value"
CREATIONS = "no order of a read and a creation leaves «does not exist»"
OVERTAKEN = "who asks after an update does not get what was loaded before it"
STAMPEDE = "fifty callers who miss at once cost one load"
FAILING = "a load that fails fails once for all who wait, and is not kept"
REPEATED = "a load that ends while somebody looks is not repeated"
INTERRUPTED = "who is interrupted while loading leaves nobody waiting"
REENTRANT = "a load that asks for its own key does not wait for itself"
CROSSED = "two loads that ask for each other's key do not wait for ever"
ABSENT = "who does not exist is asked for once"
SPREAD = "keys stored together are not all loaded again together"
OF_THE_GUIDE = {
    "what one process has read, another finds in the cache",
    "and so it does with a user that the drivers can store",
    "reading writes nothing into the database",
    ABSENT,
    "a change made past the service is seen within the TTL",
    "the memory of a process is bounded",
    "every caller has a user of its own",
    SPREAD,
    ORDERS,
    OVERTAKEN,
    STAMPEDE,
    REPEATED,
    FAILING,
}
FAILS = [
    (ours(CacheAside), set()),
    (
        as_printed(CacheAsideService, MultiLevelCache),
        OF_THE_GUIDE | {"after an update the new value is read", CREATIONS},
    ),
    (as_printed(CacheAsideService, DeletableCache), OF_THE_GUIDE),
    (ours(flying(EachForItself)), {STAMPEDE, FAILING, REPEATED}),
    (ours(OneAtATime), {"keys do not wait for each other", FAILING, CROSSED, OVERTAKEN}),
    (ours(flying(EachTriesAgain)), {FAILING}),
    (ours(StaleRefill), {ORDERS, CREATIONS, OVERTAKEN}),
    (ours(LooksThenStores), {ORDERS, CREATIONS}),
    (ours(flying(JoinsTheStale)), {OVERTAKEN}),
    (ours(DeletesFirst), {ORDERS, CREATIONS}),
    (ours(flying(LeadsAtOnce)), {REPEATED}),
    (ours(flying(LeavesItInTheAir)), {INTERRUPTED}),
    (ours(flying(WaitsForItself)), {REENTRANT, CROSSED}),
    (ours(flying(KnowsItsOwnOnly)), {CROSSED}),
    (ours(NoneIsAMiss), {ABSENT}),
    (ours(NoneForLong), {"and is found soon after being created elsewhere"}),
    (ours(AllAtOnce), {SPREAD}),
]
NOT_A_TIME = [None, "x", [], True, math.nan, -1, 0, 10**400]


def _aside(**more):
    return CacheAside(MemoryTier(1, 60), str, ttl=60, **more)


NONSENSE = {
    "CacheAside(cache)": (lambda bad: CacheAside(bad, str, ttl=1), [None, 1, "x", object()]),
    "CacheAside(load)": (
        lambda bad: CacheAside(MemoryTier(1, 60), bad, ttl=1),
        [None, 1, "x"],
    ),
    "CacheAside(ttl)": (lambda bad: CacheAside(MemoryTier(1, 60), str, ttl=bad), NOT_A_TIME),
    "CacheAside(negative_ttl)": (
        lambda bad: _aside(negative_ttl=bad),
        ["x", [], True, False, math.nan, -1, 10**400],
    ),
    "CacheAside(jitter)": (
        lambda bad: _aside(jitter=bad),
        [None, "x", [], True, False, math.nan, -0.1, 1, math.inf],
    ),
    "CacheAside(rng)": (lambda bad: _aside(rng=bad), [1, "x", [], 0]),
    "CacheAside.get(key)": (lambda bad: _aside().get(bad), [[], {}, ([],)]),
    "CacheAside.invalidate(key)": (lambda bad: _aside().invalidate(bad), [[], {}, ([],)]),
    "schedules(steps)": (lambda bad: list(schedules(a=bad)), [None, "x", -1, 1.5, True, math.nan]),
}
