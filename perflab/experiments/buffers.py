"""Requests that each fill a buffer: a new one, one from a pool that empties with clear(), one from
the guide's pool, one from ours. Run it apart: what an allocator does depends on what was freed."""

import gc
import random
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from perflab.guide.objectpool import Buffer as GuidesBuffer
from perflab.guide.objectpool import ObjectPool as GuidesPool
from perflab.measure.compare import effects_of
from perflab.patterns.objectpool import Buffer, ObjectPool

Request = Callable[[], object]
ROUNDS, OF_LARGE = 40, 12  # with three variants beside the first an interval needs eleven


def buffer_requests(size: int) -> dict[str, Request]:
    """Functions by name, each one request that writes `size` bytes into a buffer."""
    data = bytes(size)
    idle, guides_pool = [bytearray()], GuidesPool()
    our_pool = ObjectPool(Buffer, Buffer.reset, max_idle=4)

    def fresh() -> None:
        buffer = bytearray()
        buffer += data

    def cleared() -> None:
        buffer = idle.pop()
        buffer += data
        buffer.clear()
        idle.append(buffer)

    def guides() -> None:
        buffer = guides_pool.get()
        buffer.write(data)
        guides_pool.put(buffer)

    def ours() -> None:
        with our_pool.acquire() as buffer:
            buffer.write(data)

    return {"a new one": fresh, "clear()": cleared, "guide's": guides, "ours": ours}


def buffer_costs(size: int) -> dict[str, dict[str, float]]:
    """What a request of each kind costs: seconds (median), the ratio to `a new one` with its
    interval, page faults (0 on Windows) and bytes newly taken; and all collections meanwhile."""
    requests = buffer_requests(size)
    for request in reversed(requests.values()):  # the pools have their buffers before one is freed
        request()
    before = _collections()
    rounds = ROUNDS if size <= 1_000_000 else OF_LARGE
    times = max(1, min(1_000, 2_000_000 // size))
    seconds = _by_turns(list(requests.values()), times, rounds)
    collections = _collections() - before
    effects = [None, *effects_of(seconds)]
    costs = {}
    for column, (name, request) in enumerate(requests.items()):
        effect = effects[column]
        costs[name] = {
            "seconds": float(np.median(seconds[:, column])),
            "ratio": effect.ratio if effect else 1.0,
            "low": effect.low if effect else 1.0,
            "high": effect.high if effect else 1.0,
            "faults": page_faults(request),
            "new_bytes": new_bytes(request),
            "collections": collections,
        }
    return costs


def _by_turns(
    requests: list[Request], times: int, rounds: int
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Seconds a request, a row a round. Unlike compare() it does not collect in between, which
    would empty the guide's pool; the first of a turn, who meets what others left, is not timed."""
    rng, seconds = random.Random(1), np.zeros((rounds, len(requests)))
    for row in seconds:
        for column in rng.sample(range(len(requests)), len(requests)):
            request = requests[column]
            request()
            began = perf_counter()
            for _ in range(times):
                request()
            row[column] = (perf_counter() - began) / times
    return seconds


def _collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


def page_faults(request: Request, calls: int = 10) -> float:
    """Pages that the system had to find for each call, on average, after two more calls; 0 on
    Windows, which does not tell."""
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:
        return 0.0
    for _ in range(2):
        request()
    before = getrusage(RUSAGE_SELF).ru_minflt
    for _ in range(calls):
        request()
    return (getrusage(RUSAGE_SELF).ru_minflt - before) / calls


def new_bytes(request: Request) -> int:
    """The most that a call allocates above what was held before it, after one more call."""
    tracemalloc.start()
    try:
        request()
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        request()
        return tracemalloc.get_traced_memory()[1] - held
    finally:
        tracemalloc.stop()


class ListPool:
    """The pool that everybody writes first: a list of what came back, with the guide's buffers.
    What Go's collector takes out of its pool again stays in here for ever."""

    def __init__(self) -> None:
        self._free: list[GuidesBuffer] = []

    def get(self) -> GuidesBuffer:
        return self._free.pop() if self._free else GuidesBuffer()

    def put(self, buffer: GuidesBuffer) -> None:
        buffer.reset()
        self._free.append(buffer)


def after_burst(
    make: Callable[[], Any], collections: int = 5, users: int = 40, size: int = 1_000_000
) -> list[int]:
    """Bytes that an idle pool holds after a burst of users with `size` bytes each: at once, and
    after each of so many full collections."""
    data = bytes(size)
    gc.collect()
    gc.disable()  # only those that are counted
    tracemalloc.start()
    try:
        pool = make()
        buffers = [pool.get() for _ in range(users)]
        for buffer in buffers:
            buffer.write(data)
        while buffers:
            pool.put(buffers.pop())
        del buffer
        held = [tracemalloc.get_traced_memory()[0]]
        for _ in range(collections):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
        return held
    finally:
        tracemalloc.stop()
        gc.enable()
