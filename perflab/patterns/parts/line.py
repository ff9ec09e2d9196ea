"""A line of threads and tasks that wait for a slot, served in the order in which they came.

What is free is handed to the first in line, under the lock; it is never offered to whoever comes
by. So a caller that gives up is, under the lock, either still in line or it has its slot.
"""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Protocol


class Waiter(Protocol):
    """One caller in line."""

    served: bool  # it has its slot; written under the lock

    def wake(self) -> bool:
        """Tell it that it was served, outside the lock; false where nobody is there any more."""


class ThreadWaiter:
    """A thread; it sleeps on a lock that is released once, by whoever serves it."""

    def __init__(self) -> None:
        self.served = False
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wake(self) -> bool:
        self._asleep.release()
        return True

    def sleep(self, seconds: float | None) -> None:
        """Until it is woken, or so many seconds."""
        self._asleep.acquire(timeout=-1 if seconds is None else seconds)


class TaskWaiter:
    """An asyncio task, woken from any thread."""

    def __init__(self) -> None:
        self.served = False
        self._loop = asyncio.get_running_loop()
        self._woken = self._loop.create_future()

    def wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # its loop was closed with the task still in it
            return False
        return True

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    async def sleep(self, seconds: float | None) -> None:
        """Until it is woken, or so many seconds; CancelledError where its task is cancelled."""
        await asyncio.wait({self._woken}, timeout=seconds)


class Line:
    """Free slots and who waits for them.

    Its state: `free`, as many things as slots are free, which anybody may pop and append without
    the lock; and, guarded by `lock`, `waiting`, in the order in which they came, and the counters.

    Who pops from `free` has looked that nobody is in line, who waits stands in line before it
    looks at `free` again, and who appends to `free` looks at the line afterwards. So one of the
    two sees the other, whichever comes first.
    """

    def __init__(self, slots: int, careful: bool) -> None:
        self.free: deque[None] = deque([None] * slots)
        self.waiting: deque[Waiter] = _NeverEmpty() if careful else deque()
        self.served = 0  # callers that got their slot from the line
        self.waited = 0  # of these: not as soon as they stood in it
        self.rejected = 0  # callers that left because their time was over
        # entered again by its thread where the collector closes a generator that holds a slot
        self.lock = threading.RLock()

    def join(self, waiter: Waiter) -> bool:
        """Stand in line; true where that gave it a slot at once."""
        with self.lock:
            self.waiting.append(waiter)
        self.serve(but=waiter)
        return waiter.served

    def leave(self, waiter: Waiter, *, rejected: bool = False) -> bool:
        """Out of the line, unserved; false where it had been served, and has a slot."""
        with self.lock:
            if waiter.served:
                return False
            with suppress(ValueError):  # interrupted before it stood in line, or after it had left
                self.waiting.remove(waiter)
            self.rejected += rejected
            return True

    def give_back(self) -> None:
        """A slot is free, for whoever is first."""
        self.free.append(None)
        if self.waiting:
            self.serve()

    def serve(self, but: Waiter | None = None) -> None:
        """Hand what is free to the first in line, then wake them (`but` the one that is awake)."""
        with self.lock:
            served = []
            while len(self.waiting):
                try:
                    self.free.pop()
                except IndexError:
                    break
                try:
                    first = self.waiting.popleft()
                except IndexError:  # served in between: the collector came in here, see `lock`
                    self.free.append(None)
                    break
                first.served = True
                served.append(first)
            self.served += len(served)
            self.waited += sum(waiter is not but for waiter in served)
        for waiter in served:
            if waiter is not but and not waiter.wake():
                self.give_back()


class _NeverEmpty(deque[Waiter]):
    """Looks as if somebody were in line, so that everybody comes to the lock."""

    def __bool__(self) -> bool:
        return True
