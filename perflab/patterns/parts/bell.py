"""Waking a thread that waits, without a lock as long as nobody does.

The race to win is the *lost wake-up*: a thread finds nothing, another brings something and sees
nobody asleep, and then the first lies down for ever. Therefore

- who waits registers as a sleeper first, then looks again, and only then sleeps;
- who brings something leaves it where it will be found first, and then looks for sleepers.

Whichever comes first, one of the two sees the other. That holds where steps of two threads have
one order for all, which the interpreter's lock (GIL) gives; without one, `LockedBell` rings under
a lock. (The argument is that of Dekker's mutual exclusion, 1962; Linux has it in the shape of
`prepare_to_wait`.)
"""

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")


class Bell:
    """Wakes who waits for something that another thread brings.

    Its state: `sleepers`, a held lock for each thread that sleeps or is about to; whoever pops
    it releases it, and so exactly one wakes one.
    """

    def __init__(self) -> None:
        self.sleepers: deque[Any] = deque()

    def ring(self) -> None:
        """Wake one. Worth calling only where `sleepers` is true."""
        try:
            bed = self.sleepers.popleft()
        except IndexError:  # they are awake by now
            return
        bed.release()

    def ring_all(self) -> None:
        while self.sleepers:
            self.ring()

    def wait_for(self, attempt: Callable[[], Found | None]) -> Found:
        """What `attempt` returns as soon as it is not None; tried again at each ring."""
        while True:
            bed: Any = threading.Lock()
            bed.acquire()
            try:
                self.sleepers.append(bed)
                if (found := attempt()) is None:
                    bed.acquire()  # until it is released by a ring
                    bed = None
                    found = attempt()
            finally:  # found at the second look, or interrupted
                if bed is not None:
                    self._get_up(bed)
            if found is not None:
                return found

    def _get_up(self, bed: Any) -> None:
        """Out of the list; a ring that came in the meantime is for somebody else, so pass it on."""
        try:
            self.sleepers.remove(bed)
        except ValueError:
            self.ring()


class LockedBell(Bell):
    """The same without a GIL: what was brought before a ring is seen by whoever waits, because
    both take the lock. `sleepers` is always true, since a look at it would prove nothing."""

    def __init__(self) -> None:
        self.sleepers = deque([True])
        self._rung = threading.Condition()

    def ring(self) -> None:
        with self._rung:
            self._rung.notify()

    def ring_all(self) -> None:
        with self._rung:
            self._rung.notify_all()

    def wait_for(self, attempt: Callable[[], Found | None]) -> Found:
        with self._rung:
            while (found := attempt()) is None:
                self._rung.wait()
            return found


def gil_enabled() -> bool:
    """Whether steps of two threads have one order for all."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()
