"""A cached thing that is changed twice in a row, while somebody reads it all the time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from perflab.experiments.calls import Calls, calling
from perflab.measure.memory import MemoryTrace, trace_memory

PATIENCE = 5.0  # seconds for a load to begin


@dataclass(frozen=True, slots=True)
class Changed:
    """What a reader saw of pairs of changes."""

    calls: Calls  # of the reader; the value is by how many changes an answer was behind
    memory: MemoryTrace  # of this process
    left: tuple[int, ...]  # by how many changes it was behind some time after each pair


def changed_twice(
    read: Callable[[], int],
    change: Callable[[int], object],
    loading: threading.Event,
    pairs: int,
    rest: float = 0.15,
) -> Changed:
    """Make pairs of changes, the second while the first one is being loaded.

    `read()` tells the version that is served, `change(version)` makes a version the current one:
    1, 2, … `loading` is set by whoever loads, after it has read the old version. `rest` seconds
    lie between two pairs, in which the reader goes on.
    """
    version, left, resting = 0, [], threading.Event()

    def behind() -> int:
        known = version  # before the question: what is newer than this is not behind
        return max(0, known - read())

    with trace_memory() as memory:
        change(1)
        version = 1
        with calling({"reader": behind}, pause=0.001) as callers:
            for _ in range(pairs):
                loading.clear()
                change(version + 1)
                version += 1
                loading.wait(PATIENCE)
                change(version + 1)
                version += 1
                resting.wait(rest)
                left.append(behind())
    return Changed(callers["reader"], memory.trace, tuple(left))
