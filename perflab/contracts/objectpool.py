"""What must hold of a pool of buffers that are used again.

Under test is a maker of a pool with `get()`, a buffer that is the caller's own, and
`put(buffer)`, which gives it back. A buffer has `write(data)` and `bytes()`, what was written.
`with_buffers` makes one of perflab's ObjectPool and Buffer. Pools in which callers wait for a
limited number of things have a contract of their own, `perflab.contracts.waiting`.
"""

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.threads import at_once
from perflab.errors import DoubleReleaseError
from perflab.measure.memory import allocations

Maker = Callable[[], Any]
MEGABYTE = 1 << 20
KEPT = 4  # buffers that an idle pool may keep; a burst of BURST is far beyond
BURST = 40
WRITTEN = 100_000  # bytes into each buffer of it


def with_buffers(object_pool: Callable[..., Any], buffer: Any) -> Maker:
    """A maker of pools with the guide's `get` and `put`: the leases are kept in between."""

    class Pool:
        def __init__(self) -> None:
            self._pool = object_pool(buffer, buffer.reset, max_idle=KEPT)
            self._leases: dict[int, Any] = {}

        def get(self) -> Any:
            lease = self._pool.acquire()
            thing = lease.__enter__()
            self._leases[id(thing)] = lease
            return thing

        def put(self, thing: Any) -> None:
            lease = self._leases.pop(id(thing), None)
            if lease is None:
                raise DoubleReleaseError("not lent by this pool, or given back before")
            lease.release()

    return Pool


def _read(kept: Any) -> bytes:
    """What a caller sees who kept the bytes of a buffer; b"" where it may look no longer."""
    try:
        return bytes(kept)
    except ValueError:  # a released view
        return b""


@check(
    "what was put is used again, and comes back empty",
    "Get from what was put before you make a new one; forget the old content when it is put, or "
    "the next user sends it out with its own.",
)
def used_again(make: Maker) -> Evidence:
    pool, seen, full = make(), {}, 0
    for number in range(100):
        buffer = pool.get()
        seen[id(buffer)] = buffer
        full += len(buffer.bytes())
        buffer.write(b"%d" % number)
        pool.put(buffer)
    right = len(seen) <= KEPT and not full
    return Evidence(right, f"{len(seen)} buffers for 100 requests, {full} old bytes in them")


@check(
    "eight users at once have eight buffers",
    "Take one out in one step: whoever looks first whether there is one, and takes it afterwards, "
    "may take the same as another thread. An empty pool makes new ones.",
)
def own(make: Maker) -> Evidence:
    pool = make()
    for buffer in [pool.get() for _ in range(3)]:
        pool.put(buffer)
    users = at_once(8, lambda _: pool.get())
    buffers = [user.result() for user in users]
    distinct = len({id(buffer) for buffer in buffers})
    return Evidence(distinct == 8, f"{distinct} buffers for 8 users")


@check(
    "a buffer that is used again needs no new memory",
    "Emptying must keep the capacity. Python's bytearray.clear() gives the memory back, and each "
    "request allocates it anew: keep the array and set the length to 0. And array[a:b] = data "
    "copies the data once more; memoryview(array)[a:b] = data does not.",
)
def capacity(make: Maker) -> Evidence:
    pool, data = make(), bytes(MEGABYTE)

    def request() -> None:
        buffer = pool.get()
        buffer.write(data)
        pool.put(buffer)

    request()
    took = allocations(request).peak_bytes
    return Evidence(took < MEGABYTE / 10, f"{took / 1e3:,.0f} kB for a second MB")


@check(
    "what one request keeps does not change when another writes",
    "bytes() shows the buffer's own memory, and after put that is somebody else's. Copy what is to "
    "be kept, or take another array where somebody still looks at this one.",
)
def aliased(make: Maker) -> Evidence:
    pool, seen = make(), 0
    for _ in range(10):
        buffer = pool.get()
        buffer.write(b"my answer")
        kept = buffer.bytes()
        pool.put(buffer)
        other = pool.get()
        other.write(b"not yours")
        seen += _read(kept) == b"not yours"
        pool.put(other)
    return Evidence(not seen, f"{seen} of 10 answers hold another's bytes")


@check(
    "a buffer that is put twice is not given to two users",
    "The second put adds the same buffer once more. Remember which are lent; refuse what is not.",
)
def put_twice(make: Maker) -> Evidence:
    pool = make()
    buffer = pool.get()
    pool.put(buffer)
    try:
        pool.put(buffer)
    except Exception:
        said = "refused"
    else:
        said = "taken"
    shared = pool.get() is pool.get()
    return Evidence(not shared, f"{said}{', one buffer for two users' * shared}")


@check(
    "what does not come from the pool is not taken",
    "A foreign buffer is of any size, and its owner may go on to write into it. Remember which are "
    "lent, and refuse the others.",
)
def foreign(make: Maker) -> Evidence:
    pool, stranger = make(), make().get()
    try:
        pool.put(stranger)
    except Exception:
        return Evidence(True, "refused")
    same = pool.get() is stranger
    return Evidence(not same, "lent to the next user" if same else "dropped")


@check(
    "a burst leaves at most a few buffers behind",
    "What a list of free ones has grown to it keeps for ever. Cap it: what comes back to a full "
    "pool is dropped. (Go's pool is emptied by the collector.)",
)
def burst(make: Maker) -> Evidence:
    """40 users with 100 kB each, all at the same time; then nothing but two collections.

    What one user alone leaves behind is the measure of a buffer: one that doubled as it grew takes
    twice what was written.
    """

    def used_by(users: int) -> Any:
        pool, data = make(), bytes(WRITTEN)
        buffers = [pool.get() for _ in range(users)]
        for buffer in buffers:
            buffer.write(data)
        for buffer in buffers:
            pool.put(buffer)
        del buffers, buffer, data
        gc.collect()
        gc.collect()
        return pool

    alone, held = (allocations(partial(used_by, users)).held_bytes for users in (1, BURST))
    left = held / max(alone, WRITTEN)
    few = left < 2 * KEPT and held < 2.5 * KEPT * WRITTEN
    return Evidence(few, f"{left:.0f} of {BURST} are kept")
