"""String interners: ours, by each of its paths, the guide's, and wrong ones."""

import functools
import itertools

from perflab.contracts import checks_of
from perflab.contracts import interner as contract
from perflab.guide.interner import StringInterner as Guides
from perflab.patterns import interner as pattern
from perflab.patterns.interner import InternerStats, StringInterner

CONTRACT = contract
ANOTHER_OBJECT = "two threads that bring one new string at once get one object"
WAITS = "a known string is found while another is being added"
NO_STRINGS = "1, True and 1.0 are refused, not taken for one another"
SUBCLASS = "a subclass of str leaves nothing of its own behind"
REDEFINED = "a subclass that redefines == is not taken for another text"
BOUND = "of 10,000 strings at most the bound of 100 is kept"
IN_USE = "a string in use outlives all that are seen once"
COUNTS = "hits and misses are all the calls, with four threads at once"


def locked(max_size=None):
    """Ours as it is where the interpreter runs without the GIL."""
    before, pattern.LOCK_FREE = pattern.LOCK_FREE, False
    try:
        return StringInterner(max_size)
    finally:
        pattern.LOCK_FREE = before


def without_counts(max_size=None):
    return StringInterner(count_hits=False)


class Table(StringInterner):
    """Wrong ones on a dict: `known` finds, `new` adds."""

    def __init__(self, max_size=None):
        super().__init__(max_size)
        self.max_size, self.calls, self.table = max_size, itertools.count(), {}
        self.intern = self.find

    def find(self, text):
        if type(text) is not str:
            raise ValueError(text)
        next(self.calls)
        known = self.table.get(text)
        return self.new(text) if known is None else known

    def stats(self):
        size = len(self.table)
        return InternerStats(next(self.calls) - size, size, size, 0)


class CheckThenAdd(Table):
    """Adds without looking once more, and without a bound."""

    def new(self, text):
        self.table[text] = text
        return text


class FirstInFirstOut(Table):
    """Forgets what came first, though it may be in use."""

    def new(self, text):
        found = self.table.setdefault(text, text)
        if self.max_size and len(self.table) > self.max_size:
            del self.table[next(iter(self.table))]
        return found


class AnyStr(StringInterner):
    """Takes what isinstance calls a str, and keeps it as it is."""

    def _add(self, text, /):
        with self._adding:
            if self._asking or type(text) is not str:
                self._misses += 1
                return text
            return super()._add(text)


class CacheAlone(StringInterner):
    """`lru_cache` on its own: two threads that both found nothing keep what each brought."""

    def __init__(self, max_size=None):
        super().__init__(max_size)
        self.intern = functools.lru_cache(max_size)(lambda text: text)

    def stats(self):
        seen = self.intern.cache_info()
        calls = seen.hits + seen.misses
        return InternerStats(calls - seen.currsize, seen.currsize, seen.currsize, 0)


FAILS = [
    (StringInterner, set() if pattern.LOCK_FREE else {WAITS}),
    (locked, {WAITS}),
    (without_counts, {REDEFINED, BOUND, COUNTS}),  # what its speed costs, as its docstring says
    (
        contract.without_bound(Guides),
        {one.statement for one in checks_of(contract)}
        - {"equal strings come back as one object, others as themselves", ANOTHER_OBJECT, IN_USE},
    ),
    (CheckThenAdd, {ANOTHER_OBJECT, BOUND}),
    (FirstInFirstOut, {IN_USE}),
    (AnyStr, {NO_STRINGS, SUBCLASS}),
    (CacheAlone, {ANOTHER_OBJECT, NO_STRINGS, SUBCLASS}),
]

NO_STR = [None, 1, True, 1.0, b"x", (), contract.Tagged("x")]
NONSENSE = {
    "StringInterner(max_size)": (StringInterner, [0, -1, True, 1.5, "x", [], float("nan")]),
    "StringInterner(count_hits)": (
        lambda bad: StringInterner(count_hits=bad),
        [None, 1, "no"],
    ),
    "StringInterner, a bound without counts": (
        lambda bad: StringInterner(bad, count_hits=False),
        [1, 100],
    ),
    "StringInterner.intern": (StringInterner().intern, NO_STR),
    "StringInterner.intern, bounded": (StringInterner(2).intern, NO_STR),
    "StringInterner.intern, without counts": (StringInterner(count_hits=False).intern, NO_STR),
    "StringInterner.intern_many": (
        StringInterner().intern_many,
        [None, 1, "abc", [1], ["a", None]],
    ),
}
