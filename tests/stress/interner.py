"""String interners under many threads: one object a text, every call counted, the bound kept."""

import random
import sys
import time

from perflab.contracts.interner import copy
from perflab.contracts.threads import at_once
from perflab.patterns.interner import StringInterner

TEXTS, BOUND = 500, 64


def stress(seconds: float, threads: int, seed: int) -> str:
    """Copies of the same texts from all threads, to an interner of each kind."""
    counted, bounded = StringInterner(), StringInterner(BOUND)
    every = [counted, bounded, StringInterner(count_hits=False)]
    first: list[dict[str, str]] = [{}, {}, {}]
    end = time.monotonic() + seconds

    def hammer(number: int) -> int:
        rng, calls = random.Random(seed + number), 0
        while time.monotonic() < end:
            for _ in range(100):
                text = f"text {rng.randrange(TEXTS)}"
                for interner, known in zip(every, first, strict=True):
                    came = interner.intern(copy(text))
                    assert came == text
                    if interner is not bounded:
                        assert known.setdefault(text, came) is came, f"two objects for {text}"
                calls += 1
            assert bounded.stats().size <= BOUND
        return calls

    calls = sum(one.result(seconds + 60) for one in at_once(threads, hammer))
    for interner in (counted, bounded):
        seen = interner.stats()
        assert seen.hits + seen.misses == calls, f"{calls} calls, counted: {seen}"
    assert counted.stats().misses == TEXTS == every[2].stats().misses
    return f"{3 * calls:,} strings; {bounded.stats().forgotten:,} forgotten; one object each"


def growth(operations: int) -> str:
    """Strings that never come again, to a bounded interner."""
    interner = StringInterner(BOUND)
    for number in range(10 * BOUND):
        interner.intern(f"warm {number}")
    before = sys.getallocatedblocks()
    for number in range(operations):
        interner.intern(f"once {number}")
    grown = sys.getallocatedblocks() - before
    assert grown < 1_000, f"{grown:,} blocks more"
    return f"{operations:,} strings seen once: {grown:+} blocks"
