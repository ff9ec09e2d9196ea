"""A string interner: of all equal strings one is kept, and the copies are let go.

It pays where few values come again and again as new objects: columns of a file, keys of messages.
Where values hardly repeat it costs, for it keeps each once more in a table. `stats()` tells which
of the two it is.

How it is fast: a string that is known is found by one call that C makes on its own, without a lock
and without a line of Python. The standard library has two such tables, and each is used for what
it can do:

- `functools.lru_cache` counts its hits, and with a bound it forgets what was not used for longest;
- a dict with `__missing__` is faster by what the count costs, has no bound, and counts no hits.

The race: two threads bring one new string at once, and both find nothing. Both must get the same
object. The dict settles it with `setdefault`, which is one step. `lru_cache` does not, it calls
its function for both and keeps what returned last: so the function asks the cache once more under
a lock, and only who still finds nothing adds (double-checked locking; Schmidt and Harrison, 1996).

`sys.intern` is as fast and forgets a string with its last user; but its table is shared by the
whole process, and neither bounded nor counted.
"""

import functools
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from perflab.errors import is_whole, require

# Whether one call of the cache is one step. Without the GIL it is made under the lock.
LOCK_FREE: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


@dataclass(frozen=True)
class InternerStats:
    """What an interner did until now."""

    hits: int | None  # calls that were given a string already kept; None where hits are not counted
    misses: int  # calls whose string was not kept, and then was
    size: int  # strings kept now
    forgotten: int  # strings that the bound pushed out

    @property
    def hit_ratio(self) -> float | None:
        """The part of all calls that saved a copy; None before the first, or without a count."""
        if self.hits is None or self.hits + self.misses == 0:
            return None
        return self.hits / (self.hits + self.misses)


class StringInterner:
    """Gives every equal string as one object.

        interner = StringInterner(max_size=10_000)
        interner.intern(row["country"]) is interner.intern(other["country"])  # True

    With `max_size` it keeps that many, and forgets the one not used for longest: asked for it
    again, it gives a new object. Without, it never forgets. `count_hits=False` makes a known string
    cheaper and allows no bound.

    ValueError for anything but a str, and for a subclass of it, which would be kept with all that
    hangs on it (TypeError for what has no hash). Without counts a subclass that equals a known
    string is given that string instead.

    Its state, guarded by `_adding`: the table behind `intern`; `_misses`; and `_asking`, whether
    the thread that holds the lock is asking the table once more.
    """

    intern: Callable[[str], str]  # the table's own call, so that nothing of ours stands before it

    def __init__(self, max_size: int | None = None, *, count_hits: bool = True) -> None:
        whole = is_whole(max_size) and max_size > 0
        require(max_size is None or whole, "max_size", max_size, "a whole number above 0, or None")
        require(isinstance(count_hits, bool), "count_hits", count_hits, "True or False")
        require(count_hits or max_size is None, "max_size", max_size, "None with count_hits=False")
        self._adding = threading.RLock()
        self._misses = 0
        self._asking = False
        self._table: _Table | None = None
        if count_hits:
            self._cached = functools.lru_cache(max_size)(self._add)
            self.intern = self._cached if LOCK_FREE else self._locked
        else:
            self._table = _Table()
            self.intern = self._table.__getitem__  # a dict keeps itself whole without the GIL too

    def intern_many(self, strings: Iterable[str]) -> list[str]:
        """Each of them interned, in their order, faster than one at a time."""
        iterable = isinstance(strings, Iterable) and not isinstance(strings, str)
        require(iterable, "strings", strings, "an iterable of strings")
        return list(map(self.intern, strings))

    def stats(self) -> InternerStats:
        """The counts at one moment: hits and misses are all the calls that have returned."""
        if self._table is not None:
            size = len(self._table)
            return InternerStats(hits=None, misses=size, size=size, forgotten=0)
        with self._adding:
            seen = self._cached.cache_info()
            forgotten = max(self._misses - seen.currsize, 0)
            return InternerStats(seen.hits, self._misses, seen.currsize, forgotten)

    def _locked(self, text: str, /) -> str:
        with self._adding:
            return self._cached(text)

    def _add(self, text: str, /) -> str:
        """Called by the cache for what it has not; it keeps what this returns."""
        require(type(text) is str, "text", text, "a str, and no subclass of it")
        with self._adding:
            # 1 This is the second question, and again the cache had nothing: this one is kept.
            if self._asking:
                self._misses += 1
                return text
            # 2 The first: another thread may have added it since. The second question finds that,
            #   or comes back here for case 1; either way the cache holds it before the lock opens.
            try:
                self._asking = True
                return self._cached(text)
            finally:
                self._asking = False


class _Table(dict[str, str]):
    """Strings by themselves; only one that is new reaches Python."""

    def __missing__(self, text: str) -> str:
        require(type(text) is str, "text", text, "a str, and no subclass of it")
        return self.setdefault(text, text)  # one step: the first of two threads wins
