"""Object pools: ours, the guide's, and wrong ones."""

import math

from perflab.contracts import objectpool as contract
from perflab.guide.objectpool import ObjectPool as GuidesPool
from perflab.patterns.objectpool import Buffer, ObjectPool

CONTRACT = contract


class Cleared(Buffer):
    """Emptied as Python suggests: the memory is given back too."""

    def reset(self):
        self._array = bytearray(1)
        self._length = 0


class Shared(Buffer):
    """Emptied without a look at who still has a view."""

    def reset(self):
        self._length = 0


class Stale(Buffer):
    """Not emptied at all."""

    def reset(self):
        pass


class Hoards(ObjectPool):
    """Keeps everything, as a list does."""

    def __init__(self, factory, reset, max_idle):
        super().__init__(factory, reset, 1_000_000)


class KeepsNine(ObjectPool):
    """Bounded, and far too generously."""

    def __init__(self, factory, reset, max_idle):
        super().__init__(factory, reset, 9)


class Fresh(ObjectPool):
    """Keeps nothing."""

    def __init__(self, factory, reset, max_idle):
        super().__init__(factory, reset, 0)


class Swapped(ObjectPool):
    """Two threads at once get the same: it is looked at first, and taken afterwards."""

    def acquire(self, timeout=None):
        if self._idle:
            slot = self._idle[-1]
            self._idle.append(slot)
        return super().acquire(timeout)


def with_buffers(pool=ObjectPool, buffer=Buffer):
    return contract.with_buffers(pool, buffer)


AGAIN = "what was put is used again, and comes back empty"
CAPACITY = "a buffer that is used again needs no new memory"
ALIASED = "what one request keeps does not change when another writes"
TWICE = "a buffer that is put twice is not given to two users"
FAILS = [
    (with_buffers(), set()),
    (GuidesPool, {ALIASED, TWICE, "what does not come from the pool is not taken"}),
    (with_buffers(buffer=Cleared), {CAPACITY}),
    (with_buffers(buffer=Shared), {ALIASED}),
    (with_buffers(buffer=Stale), {AGAIN, CAPACITY}),
    (with_buffers(Hoards), {"a burst leaves at most a few buffers behind"}),
    (with_buffers(KeepsNine), {"a burst leaves at most a few buffers behind"}),
    (with_buffers(Fresh), {AGAIN, CAPACITY}),
    (with_buffers(Swapped), {"eight users at once have eight buffers", TWICE}),
]
COUNTS = [-1, 1.5, "x", True, math.nan, [], 10**400]
NONSENSE = {
    "ObjectPool(factory)": (ObjectPool, [None, 1, "x"]),
    "ObjectPool(reset)": (lambda bad: ObjectPool(list, bad), [1, "x", True]),
    "ObjectPool(max_idle)": (lambda bad: ObjectPool(list, max_idle=bad), [None, *COUNTS]),
    "ObjectPool(max_open)": (lambda bad: ObjectPool(list, max_open=bad), [0, *COUNTS]),
    "ObjectPool(clock)": (lambda bad: ObjectPool(list, clock=bad), [None, 1, "x"]),
    "ObjectPool.acquire(timeout)": (
        ObjectPool(list).acquire,
        [-1, "x", True, math.nan, math.inf, 10**400, []],
    ),
    "Buffer(capacity)": (Buffer, [None, 0, *COUNTS]),
    "Buffer.write(data)": (Buffer().write, [None, 1, "x", [1]]),
}
