"""The guide's two looks at memory, ported with their defects.

(guide, lines 97–121, Node; 202–218, Go.) Kept as they are:

- Node's compares with what the process held when it was started, so whatever a warm program holds
  beyond 100 MB is a leak to it: a cache that fills, a table loaded once, garbage not yet collected;
- a slow leak is told when it has reached 100 MB, however many hours that takes;
- Go's is a fixed line at 100 MB and knows no growth: a program that needs more is always above it;
- both look at the heap, so what grows beside it (buffers, a C library) is not seen;
- neither ends: what was told once is told at every later look, also when the growth has stopped.

In Go and Node each look is driven by a timer of 30 s; here the caller's, so that a test need not
wait. `heap_used` and `alloc` are what process.memoryUsage and runtime.MemStats call so.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

LOOK = 30.0  # seconds between two looks
LIMIT = 100 * 1024 * 1024  # bytes


class MemoryUsage(Protocol):
    """What Node's process.memoryUsage() returns; bytes."""

    @property
    def heap_used(self) -> int: ...


class MemoryLeakDetector:
    """Node's: `check_memory_usage` is called every LOOK seconds and may call `warn`.

    `warn` gets what was held at first, what is held now, and the difference.
    """

    def __init__(
        self, memory_usage: Callable[[], MemoryUsage], warn: Callable[[int, int, int], object]
    ) -> None:
        self._memory_usage, self._warn = memory_usage, warn
        self.initial_memory = memory_usage()

    def check_memory_usage(self) -> None:
        current_memory = self._memory_usage()
        initial, current = self.initial_memory.heap_used, current_memory.heap_used
        if current - initial > LIMIT:
            self._warn(initial, current, current - initial)


class MemStats(Protocol):
    """What Go's runtime.ReadMemStats fills in, as far as it decides; bytes."""

    @property
    def alloc(self) -> int: ...


def monitor_memory(
    ticker: Iterable[object],
    read_mem_stats: Callable[[], MemStats],
    log: Callable[[int], object],
) -> None:
    """Go's: at each tick read the heap, and `log` it where it is high.

    The line that the guide writes at every tick, high or not, is left out.
    """
    for _ in ticker:
        stats = read_mem_stats()
        if stats.alloc > LIMIT:
            log(stats.alloc)
