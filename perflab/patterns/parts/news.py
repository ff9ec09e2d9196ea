"""Telling a listener what has happened: outside the lock, in order, one at a time."""

import logging
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from perflab.errors import require


class News:
    """What was decided under the owner's lock and is to be told to `listener` outside it.

    A listener that is told under the lock may not use the owner, and keeps everybody waiting. Two
    threads that tell side by side would tell out of order. So one thread tells at a time, and what
    others add meanwhile it tells too; they do not wait for it.

    Its state, guarded by the owner's lock: `_untold`, and `_telling`, whether a thread is at it.
    """

    def __init__(
        self, listener: Callable[..., object] | None, lock: AbstractContextManager[Any]
    ) -> None:
        told = listener is None or callable(listener)
        require(told, "on_change", listener, "a function of two states, or None")
        self._listener, self._lock = listener, lock
        self._untold: deque[tuple[object, ...]] = deque()
        self._telling = False

    def add(self, *what: object) -> None:
        """Under the lock: one more thing to tell."""
        if self._listener is not None:
            self._untold.append(what)

    def tell(self) -> None:
        """Without the lock. What the listener raises is logged: it is no affair of the caller."""
        while self._untold and self._listener is not None:
            with self._lock:
                if self._telling or not self._untold:
                    return
                self._telling = True
                what = self._untold.popleft()
            try:
                self._listener(*what)
            except Exception:
                logging.getLogger(__name__).exception("%r failed", self._listener)
            finally:
                with self._lock:
                    self._telling = False  # what was added meanwhile is found by the next turn
