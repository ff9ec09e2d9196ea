"""Cache-aside beyond its contract: asyncio, readers in memory, and the orders of chapter 4."""

import asyncio
import random
import threading

import pytest

from perflab.contracts.parts.orders import Turns, play, schedules
from perflab.contracts.threads import Running, at_once, eventually
from perflab.errors import DeadlockError, ReentrantLoadError
from perflab.measure import VirtualClock, run_virtual
from perflab.patterns import CacheAside, MemoryTier, TieredCache

BOTH = pytest.mark.parametrize("lock_free", [True, False], ids=["lock-free", "locked"])


def memory(bound=10, lock_free=None, clock=None):
    return MemoryTier(bound, 60, clock=clock or VirtualClock(), _lock_free=lock_free)


@BOTH
def test_a_hit_in_memory_is_answered_by_the_tier_itself(lock_free):
    """Every lookup is counted once, and the source is asked once a key."""
    tier, asked = memory(lock_free=lock_free), []
    aside = CacheAside(tier, lambda key: asked.append(key) or key * 2, ttl=60)
    assert [aside.get(key) for key in (1, 2, 1, 1)] == [2, 4, 2, 2]
    assert asked == [1, 2]
    assert (tier.stats().hits, tier.stats().misses) == (2, 2)
    assert (aside.stats().loads, aside.stats().loading) == (2, 0)


@BOTH
def test_none_is_kept_for_its_own_time(lock_free):
    """What does not exist is asked for once in `negative_ttl`; 0 keeps no None."""
    clock = VirtualClock()
    asked = []
    aside = CacheAside(memory(3, lock_free, clock), asked.append, ttl=50, negative_ttl=5)
    for _ in range(3):
        assert aside.get("a") is None
    assert len(asked) == 1
    clock.advance(5)
    aside.get("a")
    assert len(asked) == 2
    forgetful = CacheAside(memory(3, lock_free, clock), asked.append, ttl=50, negative_ttl=0)
    forgetful.get("a"), forgetful.get("a")
    assert len(asked) == 4


def test_a_value_evicted_while_others_wait_for_it_reaches_them_all():
    """With room for one entry each of four keys is loaded once for all who wait."""
    gate = threading.Event()
    loads = []

    def load(key):
        loads.append(key)
        gate.wait(5)
        return key

    aside = CacheAside(memory(1), load, ttl=60)
    callers = at_once(12, lambda number: aside.get(number % 4))
    assert eventually(lambda: aside.stats().joined == 8)
    gate.set()
    assert [caller.result() for caller in callers] == [number % 4 for number in range(12)]
    assert sorted(loads) == [0, 1, 2, 3]


def test_jitter_makes_a_life_shorter_never_longer():
    """TTLs are drawn between 75 and 100 % of the asked one."""
    kept = []

    class Cache:
        def get(self, key, default=None):
            return default

        def set(self, key, value, ttl):
            kept.append(ttl)

        def delete(self, key):
            raise AssertionError

    aside = CacheAside(Cache(), str, ttl=100, jitter=0.25, rng=random.Random(1))
    for key in range(500):
        aside.get(key)
    assert 75 < min(kept) < 77
    assert 98 < max(kept) <= 100


def test_a_value_that_the_cache_refuses_is_an_error_and_blocks_no_key():
    """The error reaches the caller; the next load goes its own way."""
    cache = TieredCache([memory()], 60)
    values = iter([{1}, [1]])
    aside = CacheAside(cache, lambda key: next(values), ttl=60)
    with pytest.raises(TypeError):
        aside.get("a")
    assert aside.get("a") == [1]
    assert (aside.stats().failures, aside.stats().loading) == (1, 0)


def test_an_invalidation_waits_for_a_store_under_way():
    """When it returns, nobody can find the old value: the store has ended before the deletion."""
    turns, log = Turns(), []

    class Cache(dict):
        def set(self, key, value, ttl):
            turns.step()
            log.append("store")
            self[key] = value

        def delete(self, key):
            log.append("delete")
            self.pop(key, None)

    aside = CacheAside(Cache(), str, ttl=60)
    turns.run(
        ("writer", "reader"),
        reader=lambda: aside.get("a"),
        writer=lambda: (turns.step(), aside.invalidate("a")),
    )
    assert log == ["store", "delete"]


def test_one_key_in_two_caches_is_no_reentrance():
    """A load may ask another cache for the same key."""
    names = CacheAside(memory(), lambda key: f"name {key}", ttl=60)
    users = CacheAside(memory(), lambda key: {"name": names.get(key)}, ttl=60)
    assert users.get(7) == {"name": "name 7"}


def test_a_load_that_invalidates_its_own_key_and_asks_again_is_told_so():
    """Nor does an invalidation in between hide that it would load itself."""

    def load(key):
        aside.invalidate(key)
        return aside.get(key)

    aside = CacheAside(memory(), load, ttl=60)
    with pytest.raises(ReentrantLoadError, match="'a'"):
        aside.get("a")
    assert aside.stats().loading == 0


def test_fifty_tasks_cost_one_load():
    """Single-flight in an event loop: the others wait, and other tasks run meanwhile."""
    loads = []

    async def load(key):
        loads.append(key)
        await asyncio.sleep(3)
        return [key]

    async def main():
        aside = CacheAside(memory(), load, ttl=60)
        found = await asyncio.gather(*(aside.aget("a") for _ in range(50)), aside.aget("b"))
        assert asyncio.get_running_loop().time() == 3
        return found, await aside.aget("a")

    found, again = run_virtual(main())
    assert found == [["a"]] * 50 + [["b"]]
    assert (again, loads) == (["a"], ["a", "b"])


def test_a_failed_load_fails_for_every_task_and_is_tried_anew():
    """One error, told to all who waited."""
    failing = [True]

    async def load(key):
        await asyncio.sleep(1)
        if failing.pop() if failing else False:
            raise OSError("lost")
        return key

    async def main():
        aside = CacheAside(memory(), load, ttl=60)
        first = await asyncio.gather(*(aside.aget("a") for _ in range(5)), return_exceptions=True)
        return first, await aside.aget("a"), aside.stats()

    first, again, stats = run_virtual(main())
    assert [str(error) for error in first] == ["lost"] * 5
    assert again == "a"
    assert (stats.loads, stats.failures, stats.joined) == (2, 1, 4)


def test_a_cancelled_task_takes_nobody_along():
    """The first caller is cancelled; the load goes on for the second."""
    loads = []

    async def load(key):
        loads.append(key)
        await asyncio.sleep(2)
        return key

    async def main():
        aside = CacheAside(memory(), load, ttl=60)
        first = asyncio.create_task(aside.aget("a"))
        second = asyncio.create_task(aside.aget("a"))
        await asyncio.sleep(1)
        first.cancel()
        return await second, first.cancelled()

    assert run_virtual(main()) == ("a", True)
    assert loads == ["a"]


def test_a_task_that_asks_for_its_own_key_is_told_so():
    """Directly, through another key, and crosswise: an error, never a deadlock."""

    async def load(key):
        await asyncio.sleep(1)
        return await aside.aget({"a": "a", "b": "c", "c": "b", "d": "e", "e": "d"}[key])

    async def main(*keys):
        return await asyncio.gather(*map(aside.aget, keys), return_exceptions=True)

    for keys in (("a",), ("b",), ("d", "e")):
        aside = CacheAside(memory(), load, ttl=60)
        try:
            errors = run_virtual(main(*keys))
        except DeadlockError:
            pytest.fail(f"{keys} wait for each other")
        assert {type(error) for error in errors} == {ReentrantLoadError}


def test_a_task_left_behind_by_a_load_may_ask_for_its_key_later():
    """It runs no longer inside of the load, although it began there."""
    left = []

    async def late():
        await asyncio.sleep(5)
        aside.invalidate("a")
        return await aside.aget("a")

    async def load(key):
        if not left:
            left.append(asyncio.create_task(late()))
        return len(left)

    async def main():
        await aside.aget("a")
        return await left[0]

    aside = CacheAside(memory(), load, ttl=60)
    assert run_virtual(main()) == 1


def test_a_thread_and_a_task_share_one_load():
    """A thread waits for what a task loads."""
    loads, gate = [], threading.Event()

    async def load(key):
        loads.append(key)
        await asyncio.to_thread(gate.wait, 5)
        return key

    aside = CacheAside(memory(), load, ttl=60)
    task = Running(lambda: asyncio.run(aside.aget("a")))
    assert eventually(lambda: loads == ["a"])
    thread = Running(lambda: aside.get("a"))
    assert eventually(lambda: aside.stats().joined == 1)
    gate.set()
    assert (task.result(), thread.result()) == ("a", "a")
    assert loads == ["a"]


def test_when_a_loop_ends_in_the_middle_of_a_load_a_waiting_thread_loads():
    """The cancelled task lands its load, whether it had begun or not."""
    begun = threading.Event()

    async def never():
        begun.set()
        await asyncio.sleep(1000)

    def load(key):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return "from the thread"
        return never()

    async def main():
        asking = asyncio.create_task(aside.aget("a"))
        while not asking.done() and not aside.stats().joined:
            await asyncio.sleep(0)

    aside = CacheAside(memory(), load, ttl=60)
    loop = Running(lambda: asyncio.run(main()))
    begun.wait(5)
    waiting = Running(lambda: aside.get("a"))
    loop.result()
    assert waiting.result() == "from the thread"
    assert aside.stats().loading == 0


def test_a_load_whose_task_never_began_is_made_anew():
    """The task is cancelled between its making and its first step; who waits asks again."""
    asked = []

    async def main():
        asking = asyncio.create_task(aside.aget("a"))
        await asyncio.sleep(0)
        (load,) = asyncio.all_tasks() - {asking, asyncio.current_task()}
        load.cancel()
        return await asking

    aside = CacheAside(memory(), lambda key: asked.append(key) or key, ttl=60)
    assert run_virtual(main()) == "a"
    assert asked == ["a"]
    assert aside.stats().loads == 2


def test_an_asynchronous_load_asked_for_by_a_thread_is_an_error_that_says_what_to_do():
    """`get` cannot await; the key stays usable."""

    async def load(key):
        return key

    aside = CacheAside(memory(), load, ttl=60)
    with pytest.raises(TypeError, match="await aget"):
        aside.get("a")
    assert run_virtual(aside.aget("a")) == "a"


def test_a_loop_that_would_wait_for_itself_is_told_so():
    """`get` in the loop that is loading the key would stop the load it waits for."""

    async def load(key):
        await asyncio.sleep(1)
        return key

    async def main():
        loading = asyncio.create_task(aside.aget("a"))
        await asyncio.sleep(0.5)
        with pytest.raises(ReentrantLoadError, match="await aget"):
            aside.get("a")
        return await loading

    aside = CacheAside(memory(), load, ttl=60)
    assert run_virtual(main()) == "a"


def test_aget_serves_a_plain_load_too():
    """A load that returns at once needs no coroutine."""
    aside = CacheAside(memory(), str.upper, ttl=60)
    assert run_virtual(aside.aget("a")) == "A"


def left_stale(reader, writer, steps):
    """In how many of all orders the cache keeps the old value."""
    stale = tried = 0
    for schedule in schedules(reader=3, writer=steps):
        world = {"db": "old", "lease": 0}
        play(schedule, {"reader": reader(world), "writer": writer(world)})
        stale += world.get("cache") == "old"
        tried += 1
    return stale, tried


def reads(world):
    """Look, load, store."""
    missed = "cache" not in world
    yield
    value = world["db"] if missed else None
    yield
    if missed:
        world["cache"] = value
    yield


def leases(world):
    """Look and take a lease, load, store if the lease still holds."""
    lease = world["lease"]
    yield
    value = world["db"]
    yield
    if world["lease"] == lease:
        world["cache"] = value
    yield


def writes(*steps):
    """A writer that updates («u») and deletes («d») in this order."""

    def program(world):
        for step in steps:
            if step == "u":
                world["db"] = "new"
            else:
                world.pop("cache", None)
                world["lease"] += 1
            yield

    return program


@pytest.mark.parametrize(
    ("reader", "writer", "stale", "orders"),
    [
        (reads, "ud", 1, 10),
        (reads, "du", 6, 10),
        (reads, "dud", 3, 20),
        (leases, "ud", 0, 10),
    ],
    ids=["update, delete", "delete, update", "delete twice", "lease"],
)
def test_in_how_many_orders_a_stale_value_stays(reader, writer, stale, orders):
    """Every interleaving of a reader's three steps with a writer's, counted."""
    assert left_stale(reader, writes(*writer), len(writer)) == (stale, orders)
