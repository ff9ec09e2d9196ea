"""The guide's object pool, ported with its defects (guide, lines 653–724, Go).

Kept as they are:

- `bytes` returns the buffer's own memory: what a caller keeps after `put` shows what the next
  user of the buffer writes (in the guide's own example the result is used before `put`);
- a buffer that was put twice is given to two users, and one put from anywhere is taken;
- a buffer that has grown to any size goes back at that size;
- how much is kept has no bound of its own. Go's collector gives it back: what lay in the pool
  through two of its cycles is gone, and that is a rule of `sync.Pool`, ported here too.

What is otherwise in Python, and no defect of the guide's:

- Go's `data[:0]` keeps the capacity, and so does this port, whose array and length are separate.
  `bytearray.clear()`, which looks the same, throws the memory away;
- a slice shares its array in Go; here a memoryview does. A growing `append` takes another array
  in both, and older slices keep theirs;
- Go keeps a pool per processor, so `get` may return any buffer that is not in use or make one.
  Here it is the one put last, which Go too does as long as a goroutine stays where it is;
- `put(nil)` panics in `Reset` before the pool sees it; so does None here, with AttributeError;
- Go collects by itself when the heap has doubled. Python runs its oldest generation's collection
  seldom, and not for the sake of bytes.
"""

import gc
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
FIRST_CAPACITY = 1024  # bytes


class SyncPool(Generic[T]):
    """Go's sync.Pool: `get` what somebody has put, or a new one; emptied by collections.

    Its state: `_primary`, what was put since the last collection, and `_victim`, what was there
    before it. A full collection drops the victims, and the primaries become the next.
    """

    def __init__(self, new: Callable[[], T]) -> None:
        self.new = new
        self._primary: list[T] = []
        self._victim: list[T] = []
        _follow_collections(self)

    def get(self) -> T:
        for place in (self._primary, self._victim):
            try:
                return place.pop()
            except IndexError:
                continue
        return self.new()

    def put(self, thing: T) -> None:
        self._primary.append(thing)

    def collected(self) -> None:
        """Go's runtime calls this at the start of each of its cycles."""
        self._primary, self._victim = [], self._primary


def _follow_collections(pool: "SyncPool[T]") -> None:
    """Tell the pool of each full collection for as long as somebody has the pool."""

    def told(phase: str, info: dict[str, int]) -> None:
        alive = following()
        if alive is not None and phase == "start" and info["generation"] == 2:
            alive.collected()

    def forget(gone: object) -> None:
        # Not by `told` itself: CPython would skip the listener after one that leaves meanwhile.
        with suppress(ValueError):  # the listeners may be set aside just now
            gc.callbacks.remove(told)

    following = weakref.ref(pool, forget)
    gc.callbacks.append(told)


class Buffer:
    """Go's byte slice in a struct. State: the array, and how much of it is written."""

    def __init__(self) -> None:
        self._array = bytearray(FIRST_CAPACITY)
        self._length = 0

    def reset(self) -> None:
        self._length = 0

    def write(self, data: bytes) -> int:
        end = self._length + len(data)
        if end > len(self._array):  # Go's append: a larger array, the old one stays as it was
            larger = bytearray(max(end, 2 * len(self._array)))
            larger[: self._length] = memoryview(self._array)[: self._length]
            self._array = larger
        memoryview(self._array)[self._length : end] = data  # without a copy in between
        self._length = end
        return len(data)

    def bytes(self) -> memoryview:
        return memoryview(self._array)[: self._length]


class ObjectPool:
    """Buffers to use again."""

    def __init__(self) -> None:
        self._pool = SyncPool(Buffer)

    def get(self) -> Buffer:
        return self._pool.get()

    def put(self, buffer: Buffer) -> None:
        buffer.reset()
        self._pool.put(buffer)
