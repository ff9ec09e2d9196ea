"""The guide's sharded database is ported faithfully, defects included."""

import pytest

from perflab.contracts.parts.shards import Databases, found, listed, made, share_moved
from perflab.contracts.sharding import KEYS
from perflab.guide.sharding import ShardConfig, ShardedDatabase, fnv1a_32

GO = {"": 2166136261 % 5, "a": 0, "user:1": 2, "7:7": 3, "é": 2}  # shard of 5, printed by Go 1.19


class Echo:
    """A database that answers with its question."""

    def __init__(self, config):
        self.name = config.database

    def query(self, query, *args):
        return self.name, query, args


def test_fnv_1a_is_the_published_one():
    """Test vectors of RFC 9923, and what Go's hash/fnv gives."""
    assert fnv1a_32(b"") == 0x811C9DC5
    assert fnv1a_32(b"a") == 0xE40C292C
    assert fnv1a_32(b"foobar") == 0xBF9CF968
    assert fnv1a_32(b"user:1") == 1830439627


def test_a_key_is_found_where_go_finds_it():
    """The same hash, the same modulus, the same shard."""
    database = ShardedDatabase(listed(5), Databases().new_database)
    assert {key: int(database.get_shard(key).name[-1]) for key in GO} == GO


@pytest.mark.parametrize(("few", "more", "moved"), [(4, 5, 8006), (16, 17, 9423)])
def test_one_more_shard_moves_as_many_keys_as_in_go(few, more, moved):
    """Counted by the guide's own code on the same 10,000 keys."""
    keys = KEYS[:10_000]
    before, after = (found(made(ShardedDatabase, listed(n)), keys) for n in (few, more))
    assert share_moved(before, after) == pytest.approx(100 * moved / len(keys))


def test_a_query_goes_to_the_shard_of_its_key_with_its_arguments():
    """The key routes, and is no argument of the query."""
    database = ShardedDatabase([ShardConfig("h", 1, "a"), ShardConfig("h", 1, "b")], Echo)
    name = database.get_shard("user:1").name
    assert database.query("user:1", "SELECT ?", 7) == (name, "SELECT ?", (7,))


def test_a_list_without_shards_is_found_out_by_the_first_lookup():
    """Making it raises nothing; Go panics with the same division."""
    with pytest.raises(ZeroDivisionError):
        ShardedDatabase([], Echo).get_shard("user:1")
