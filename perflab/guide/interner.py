"""The guide's string interner, ported with its defects (guide, lines 726–773, Go).

Kept as they are:

- the map has no bound and no way out: what was interned once is held for good (lines 731–734,
  758), in Go together with the whole buffer that the string was cut from;
- a known string costs two steps on a lock that all callers share, and waits for every writer
  (lines 743–748);
- the proof of its usage, `s1 == s2`, compares by value: it is true of any two strings with the
  same letters, interned or not (lines 766–771);
- nothing is counted: whether it saves or costs memory, nobody learns.

What Python itself removes: a slice is a copy, so no buffer is held. What it adds: Go's types let
only a string in, a dict takes `1`, `True` and `1.0` for one key and keeps a subclass of str, with
all that hangs on it. The port checks as little as the guide does.
"""

import threading
from typing import Protocol


class RWMutex:
    """Go's sync.RWMutex: many readers or one writer, and a writer who waits holds new readers back.

    Its state, guarded by `_changed`: `_readers`, how many read; `_writing`, whether one writes;
    `_waiting`, how many want to write.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._readers = 0
        self._waiting = 0
        self._writing = False

    def r_lock(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._writing and not self._waiting)
            self._readers += 1

    def r_unlock(self) -> None:
        with self._changed:
            self._readers -= 1
            self._changed.notify_all()

    def lock(self) -> None:
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._writing and not self._readers)
            self._waiting -= 1
            self._writing = True

    def unlock(self) -> None:
        with self._changed:
            self._writing = False
            self._changed.notify_all()


class StringInterner:
    """Its state, guarded by `_mutex`: `_strings`, each string that ever came, by itself."""

    def __init__(self) -> None:
        self._strings: dict[str, str] = {}
        self._mutex = RWMutex()

    def intern(self, s: str) -> str:
        self._mutex.r_lock()
        interned = self._strings.get(s)
        if interned is not None:
            self._mutex.r_unlock()
            return interned
        self._mutex.r_unlock()

        self._mutex.lock()
        try:
            interned = self._strings.get(s)  # once more: it may have come in between
            if interned is not None:
                return interned
            self._strings[s] = s
            return s
        finally:
            self._mutex.unlock()


class Interner(Protocol):
    def intern(self, s: str, /) -> str: ...


def usage(interner: Interner) -> bool:
    """What the guide's main prints as the proof that two strings are one reference."""
    s1 = interner.intern("hello")
    s2 = interner.intern("hello")
    return s1 == s2
