"""The guide's object pool: what Go did when it was tried, and what its pool is emptied by."""

import gc
import weakref

import pytest

from perflab.guide.objectpool import Buffer, ObjectPool, SyncPool


def test_what_is_put_survives_one_collection_and_not_two():
    """In Go 40 MB are held after the first, and nothing after the second."""
    pool = SyncPool(Buffer)
    for _ in range(40):
        pool.put(Buffer())
    gc.collect()
    assert len(pool._victim) == 40
    kept = pool.get()
    gc.collect()
    assert pool.get() is not kept
    assert (pool._primary, pool._victim) == ([], [])


def test_a_pool_that_is_gone_is_told_of_no_collection():
    """Nothing of it stays in the collector's list of callbacks."""
    gc.collect()  # pools of other tests
    pool = ObjectPool()
    told, dead = gc.callbacks[-1], weakref.ref(pool)
    del pool
    gc.collect()
    assert dead() is None
    assert told not in gc.callbacks


def test_a_slice_keeps_its_array_when_the_buffer_grows():
    """As after Go's append: what was taken before shows the old content."""
    buffer = Buffer()
    buffer.write(b"one")
    kept = buffer.bytes()
    buffer.write(bytes(2_000))
    buffer.reset()
    buffer.write(b"two")
    assert bytes(kept) == b"one"
    assert bytes(buffer.bytes()) == b"two"


def test_nothing_may_not_be_put():
    """Go's Reset panics with a nil pointer before the pool sees it."""
    pool = ObjectPool()
    with pytest.raises(AttributeError):
        pool.put(None)
    assert pool.get().bytes() == b""
