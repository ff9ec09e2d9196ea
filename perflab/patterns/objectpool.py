"""An object pool: things that are dear to make are used again.

In CPython it does not pay for things that are cheap to make: the allocator is a pool already. It
pays for a large buffer, whose pages the operating system would have to clear anew each time, and
for what takes long to construct. The price is what chapter 5 shows: what comes from a pool is
yours only until you give it back.

State and races are those of lending.py; `max_idle` caps what a burst leaves behind, which a plain
list would keep for ever.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from perflab.errors import require
from perflab.patterns.parts.lending import LendingPool, whole_number

T = TypeVar("T")


class ObjectPool(LendingPool[T]):
    """Lends objects that `factory()` makes; `with pool.acquire() as thing`.

    `reset(thing)` is called when a thing comes back (None: nothing is). At most `max_idle` are
    kept for the next caller. There are never more than `max_open`, and who finds them all lent
    waits for one (None: no limit, and nobody waits).

    What `reset` raises comes out of the `with`, and that thing is not used again. ValueError
    names an argument that is none.
    """

    def __init__(
        self,
        factory: Callable[[], T],
        reset: Callable[[T], object] | None = None,
        max_idle: int = 32,
        *,
        max_open: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        require(callable(factory), "factory", factory, "a function that makes a thing")
        right = reset is None or callable(reset)
        require(right, "reset", reset, "a function of one thing, or None")
        super().__init__(factory, max_open, whole_number("max_idle", max_idle, 0), clock)
        self._reset = reset

    def _tidy_for(self, value: T) -> Callable[[], object] | None:
        return None if self._reset is None else partial(self._reset, value)


class Buffer:
    """Bytes to write into again and again: the array stays as large as it ever was.

    State: `_array`, allocated once and then only replaced by a larger one; `_length`, how much of
    it is written. `bytes()` is a view without a copy. Who still has one when the buffer is reset
    keeps the array, and the buffer takes a new one: a view never shows what another has written.
    """

    __slots__ = ("_array", "_length")

    def __init__(self, capacity: int = 1024) -> None:
        self._array = bytearray(whole_number("capacity", capacity, 1))
        self._length = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append; returns how many bytes were written."""
        fits = isinstance(data, bytes | bytearray | memoryview)
        require(fits, "data", data, "bytes, a bytearray or a memoryview")
        source = memoryview(data).cast("B")
        end = self._length + len(source)
        if end > len(self._array):
            larger = bytearray(max(end, 2 * len(self._array)))
            memoryview(larger)[: self._length] = memoryview(self._array)[: self._length]
            self._array = larger
        # through a view: a bytearray's own slice assignment makes a copy of bytes first
        memoryview(self._array)[self._length : end] = source
        self._length = end
        return len(source)

    def bytes(self) -> memoryview:
        """What was written, read only, without a copy."""
        return memoryview(self._array).toreadonly()[: self._length]

    def reset(self) -> None:
        """Forget what was written. The array is kept, unless somebody still looks at it."""
        try:
            self._array.append(self._array.pop())  # refused while a view exists; moves nothing
        except BufferError:
            self._array = bytearray(len(self._array))
        self._length = 0

    @property
    def capacity(self) -> int:
        """Bytes that fit without another allocation."""
        return len(self._array)
