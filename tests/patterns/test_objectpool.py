"""An object pool and its buffer, ours: what the contracts do not ask."""

import gc
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from perflab.contracts import judge, objectpool, waiting
from perflab.errors import AcquireTimeoutError, ClosedError, DoubleReleaseError
from perflab.patterns import Buffer, ObjectPool
from perflab.patterns.parts import lending


@pytest.fixture(params=[True, False], ids=["lock-free", "locked"], autouse=True)
def _path(request, monkeypatch):
    """Each test runs with the GIL's path and with the locked one."""
    monkeypatch.setattr(lending, "LOCK_FREE", request.param)


@pytest.mark.parametrize(
    ("contract", "thing"),
    [(objectpool, objectpool.with_buffers(ObjectPool, Buffer)), (waiting, ObjectPool)],
    ids=["buffers", "waiting"],
)
def test_the_contracts_hold_on_either_path(contract, thing):
    """With the lock at each call too, where there is no GIL to rely on."""
    found = judge(contract, thing)
    assert {name: seen.found for name, seen in found.items() if not seen.holds} == {}


class Thing:
    """What the pool under test lends. State: `resets`, and whether the next one `breaks`."""

    def __init__(self):
        self.resets, self.breaks = 0, False

    def reset(self):
        if self.breaks:
            raise OSError("broken")
        self.resets += 1


class Model(RuleBasedStateMachine):
    """Any calls in any order, against a stack of what is idle; one thread, no waiting."""

    @initialize(max_idle=st.integers(0, 3), max_open=st.none() | st.integers(1, 4))
    def start(self, max_idle, max_open):
        self.pool = ObjectPool(Thing, Thing.reset, max_idle, max_open=max_open)
        self.max_open = 1_000 if max_open is None else max_open
        self.max_idle = min(max_idle, self.max_open)
        self.lent, self.idle = [], []
        self.known = []
        self.acquired = self.surplus = self.broken = self.leaked = self.timeouts = 0
        self.closed = False

    @rule()
    def acquire(self):
        if self.closed:
            with pytest.raises(ClosedError):
                self.pool.acquire(0)
            return
        if len(self.lent) == self.max_open:
            with pytest.raises(AcquireTimeoutError):
                self.pool.acquire(0)
            self.timeouts += 1
            return
        lease = self.pool.acquire(0)
        thing = lease.__enter__()
        assert thing is self.idle.pop() if self.idle else thing not in self.known
        if thing not in self.known:
            self.known.append(thing)
        self.acquired += 1
        self.lent.append((lease, thing))

    @precondition(lambda self: self.lent)
    @rule(which=st.integers(0, 3))
    def release(self, which):
        lease, thing = self.lent.pop(which % len(self.lent))
        resets = thing.resets
        lease.release()
        assert thing.resets == resets + 1
        if not self.closed and len(self.idle) < self.max_idle:
            self.idle.append(thing)
        else:
            self.surplus += not self.closed
        with pytest.raises(DoubleReleaseError):
            lease.release()

    @precondition(lambda self: self.lent)
    @rule()
    def cannot_be_reset(self):
        lease, thing = self.lent.pop()
        thing.breaks = True
        with pytest.raises(OSError, match="broken"):
            lease.release()
        self.broken += 1

    @precondition(lambda self: self.lent)
    @rule()
    def forget(self):
        self.lent.pop()
        gc.collect(0)
        self.leaked += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.pool.stats()

    @precondition(lambda self: self.acquired > 8)
    @rule()
    def close(self):
        self.pool.close()
        self.closed = True
        self.idle.clear()

    @invariant()
    def the_books_agree(self):
        seen = self.pool.stats()
        assert (seen.in_use, seen.idle) == (len(self.lent), len(self.idle))
        assert (seen.made, seen.acquired) == (len(self.known), self.acquired)
        found = (seen.surplus, seen.broken, seen.leaked, seen.timeouts)
        assert found == (self.surplus, self.broken, self.leaked, self.timeouts)
        assert (seen.expired, seen.failed, seen.waiting) == (0, 0, 0)


def test_any_sequence_of_calls_does_what_the_rules_say():
    """Which thing is lent, which are kept, and every counter."""
    run_state_machine_as_test(Model)


def test_a_pool_without_limit_never_waits():
    """A hundred at once are made; as many as it may keep stay."""
    pool = ObjectPool(list, list.clear, 10)
    leases = [pool.acquire(0) for _ in range(100)]
    assert pool.stats().in_use == 100
    for lease in leases:
        lease.release()
    seen = pool.stats()
    assert (seen.open, seen.idle, seen.surplus, seen.waits) == (10, 10, 90, 0)


def test_what_a_block_raises_comes_out_and_the_thing_goes_back():
    """Reset, and lent again."""
    pool = ObjectPool(list, list.clear)
    with pytest.raises(IndexError), pool.acquire() as first:
        first.append([].pop())
    with pool.acquire() as second:
        assert second is first
        assert second == []


@given(st.lists(st.lists(st.binary(max_size=40), max_size=4), max_size=6), st.data())
def test_a_buffer_holds_what_was_written_and_a_view_keeps_it(rounds, data):
    """Whatever is written in whatever pieces, and however long views of earlier rounds are kept."""
    buffer, kept = Buffer(data.draw(st.integers(1, 16))), []
    for pieces in rounds:
        for piece in pieces:
            assert buffer.write(piece) == len(piece)
        whole = b"".join(pieces)
        assert bytes(buffer.bytes()) == whole
        if data.draw(st.booleans()):
            kept.append((buffer.bytes(), whole))
        buffer.reset()
        assert bytes(buffer.bytes()) == b""
    assert all(bytes(view) == whole for view, whole in kept)


def test_a_buffer_keeps_its_array_unless_somebody_looks_at_it():
    """The same memory again, until a view of it is alive when it is reset; no view may write."""
    buffer = Buffer(10)
    buffer.write(b"x" * 100)
    capacity, array = buffer.capacity, buffer._array
    buffer.reset()
    assert buffer._array is array
    buffer.write(b"mine")
    view = buffer.bytes()[1:3]
    with pytest.raises(TypeError):
        view[0] = 1
    buffer.reset()
    assert buffer._array is not array
    assert buffer.capacity == capacity >= 100
    assert bytes(view) == b"in"


def test_a_buffer_that_is_filled_byte_by_byte_grows_a_few_times_only():
    """Twice as large each time: else a long answer would be copied once for each piece."""
    buffer, capacities = Buffer(1), set()
    for _ in range(10_000):
        buffer.write(b"x")
        capacities.add(buffer.capacity)
    assert len(capacities) <= 15
