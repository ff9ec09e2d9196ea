"""The guide's cache and its service do what the port's docstring says of them, defects included."""

import pytest

from perflab.contracts.parts.cache import StorableUser, User, World
from perflab.contracts.threads import at_once
from perflab.guide.cache import CacheAsideService, DeletableCache, MultiLevelCache, NoRowsError


def world_of(user_type=StorableUser):
    return World(user_type=user_type)


def service_of(world, cache=MultiLevelCache):
    own = cache(world.remote, world.table, world.ttl)
    return CacheAsideService(own, world.users.read, world.users.write, world.user_type)


def test_levels_are_asked_one_after_the_other_and_filled_on_the_way_back():
    """Text goes through all three; what no level has is the database's error."""
    world = world_of()
    cache = MultiLevelCache(world.remote, world.table, 60)
    cache.set("a", "text")
    assert (len(world.remote), world.table.writes) == (1, 1)
    other = MultiLevelCache(world.remote, world.table, 60)
    assert (other.get("a"), world.table.reads) == ("text", 0)
    world.remote.delete("a")
    assert MultiLevelCache(world.remote, world.table, 60).get("a") == "text"
    assert (len(world.remote), world.table.reads) == (1, 1)
    with pytest.raises(NoRowsError):
        cache.get("b")


def test_a_number_comes_back_as_text():
    """What the server gives is text, whatever it was."""
    world = world_of()
    MultiLevelCache(world.remote, world.table, 60).set("a", 7)
    assert MultiLevelCache(world.remote, world.table, 60).get("a") == "7"


def test_the_dict_grows_with_every_key_and_forgets_none():
    """No bound and no TTL: after a day everything is still there."""
    world = world_of()
    cache = MultiLevelCache(world.remote, world.table, 60)
    for number in range(2_000):
        cache.set(str(number), "x")
    world.clock.advance(86_400)
    world.remote.up = world.table.up = False
    assert len(cache.l1_cache) == 2_000
    assert cache.get("0") == "x"


def test_under_cpython_the_unsynchronised_dict_survives_threads():
    """Where Go ends the program, a dict with the interpreter's lock goes on."""
    world = world_of()
    cache = MultiLevelCache(world.remote, world.table, 60)

    def use(number):
        for turn in range(100):
            cache.set(str(turn % 10), str(turn % 10))
            assert cache.get(str(turn % 10)) == str(turn % 10)

    for thread in at_once(4, use):
        thread.result(30)


def test_a_plain_user_reaches_neither_lower_level_and_nobody_is_told():
    """Both drivers refuse it, the service looks at neither error."""
    world = world_of(User)
    service = service_of(world)
    assert service.get_user(*world.users.add(1)) == User("0", "old")
    assert len(world.remote) == 0
    assert world.table.execute("SELECT count(*) FROM cache WHERE 1 OR ?", (0,)).fetchone() == (0,)
    assert list(service.cache.l1_cache) == ["user:0"]


def test_every_read_miss_of_a_storable_user_writes_the_database():
    """1,000 users read once: 1,000 writes."""
    world = world_of()
    service = service_of(world)
    for user_id in world.users.add(1_000):
        service.get_user(user_id)
    assert world.table.writes == 1_000


def test_the_second_process_takes_no_user_from_the_server():
    """Each first read gets text there, is no user, and asks the database."""
    world = world_of()
    ids = world.users.add(100)
    for user_id in ids:
        service_of(world).get_user(user_id)
    before = world.users.reads
    second = service_of(world)
    for user_id in ids:
        second.get_user(user_id)
    assert world.users.reads - before == 100


def test_an_update_writes_the_database_and_then_fails_on_the_missing_method():
    """The database has the new name; the cache keeps the old one for good."""
    world = world_of()
    service = service_of(world)
    service.get_user(*world.users.add(1))
    with pytest.raises(AttributeError, match="delete"):
        service.update_user(StorableUser("0", "new"))
    assert world.users.read("0").name == "new"
    assert service.get_user("0").name == "old"


def test_with_the_method_added_an_update_reaches_this_process_and_no_other():
    """The other process's dict keeps what it has."""
    world = world_of()
    one, other = (service_of(world, DeletableCache) for _ in range(2))
    world.users.add(1)
    one.get_user("0"), other.get_user("0")
    one.update_user(StorableUser("0", "new"))
    assert (one.get_user("0").name, other.get_user("0").name) == ("new", "old")


def test_a_user_who_does_not_exist_is_asked_of_every_level_each_time():
    """Ten reads: ten questions to the server, to the table and to the database."""
    world = world_of()
    service = service_of(world)
    for _ in range(10):
        with pytest.raises(LookupError):
            service.get_user("nobody")
    assert (world.remote.sent["get"], world.table.reads, world.users.reads) == (10, 10, 10)
