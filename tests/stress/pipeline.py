"""Pipelines of all shapes, ended in every way, from many threads at once."""

import random
import sys
import threading
import time
from collections import Counter

from perflab.errors import ClosedError, StageError
from perflab.patterns import Pipeline, filter_by, transform
from perflab.patterns.parts.bell import Bell, LockedBell

ENDINGS = ("read to its end", "closed", "forgotten", "stage failed", "source failed")


class OfEither(Pipeline):
    """On the path of the GIL or on the locked one."""

    def __init__(self, *stages, bell, **options):
        super().__init__(*stages, **options)
        self._bell = bell


class Width:
    """A stage that knows how many of its calls are under way, and fails on one item."""

    def __init__(self, workers, bad):
        self.workers, self.bad = workers, bad
        self._now, self._lock = 0, threading.Lock()

    def __call__(self, item):
        with self._lock:
            self._now += 1
            assert self._now <= self.workers, "more calls at once than workers"
        try:
            if item == self.bad:
                raise ArithmeticError(item)
            return item
        finally:
            with self._lock:
                self._now -= 1


class Source:
    """Numbers from 0, never more ahead of `came` than there are places and one being handed over;
    closes over `bad`, at which it fails."""

    def __init__(self, size, places, bad):
        self.size, self.places, self.bad = size, places, bad
        self.taken = self.came = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.taken == self.bad:
            raise ArithmeticError(self.bad)
        if self.taken == self.size:
            raise StopIteration
        self.taken += 1
        assert self.taken - self.came <= self.places + 1, "more under way than places"
        return self.taken - 1


def one(rng):
    """A pipeline of some shape, brought to one of the ends. Returns the end and the items read."""
    ending = rng.choice(ENDINGS)
    size, queue_size, ordered = rng.randrange(1, 400), rng.randrange(1, 12), rng.random() < 0.7
    bad = rng.randrange(size)
    widths = [rng.choice((1, 1, 2, 4)) for _ in range(rng.randrange(1, 4))]
    failing = rng.randrange(len(widths)) if ending == "stage failed" else -1
    stages = [
        transform(Width(width, bad if at == failing else -1), workers=width)
        for at, width in enumerate(widths)
    ]
    stages.append(filter_by(lambda item: item is not None, workers=rng.choice((1, 2))))
    places = queue_size + sum(stage.workers for stage in stages)
    source = Source(size, places, bad if ending == "source failed" else -1)
    pipeline = OfEither(
        *stages, queue_size=queue_size, ordered=ordered, bell=rng.choice((Bell, Bell, LockedBell))
    )
    found, results = [], pipeline.process(source)
    failed = right = None
    stop_at = bad if ending in ("closed", "forgotten") else size + 1
    try:
        for item in results:
            found.append(item)
            source.came += 1
            if len(found) > stop_at:
                break
    except StageError as error:
        failed = error.item, type(error.__cause__)
        right = (bad, ArithmeticError) if ending == "stage failed" else (None, ArithmeticError)
    assert failed == right, f"{ending}: {failed}"
    assert (failed is None) == (not ending.endswith("failed")), f"{ending}: {failed}"
    check(ending, found, results, source, ordered, bad)
    return ending, source.taken


def check(ending, found, results, source, ordered, bad):
    """Nothing twice, nothing lost, order kept, every item accounted for."""
    assert len(set(found)) == len(found), "an item came twice"
    if ordered:
        assert found == list(range(len(found))), "out of order"
    if ending == "read to its end":
        assert len(found) == source.size
    elif ending == "source failed" or (ending == "stage failed" and ordered):
        assert len(found) == bad
    if ending == "forgotten":
        return
    results.close()
    stats = results.stats()
    assert stats.delivered == len(found)
    assert stats.taken == source.taken
    assert stats.taken == stats.delivered + stats.dropped + stats.failed + stats.unfinished
    if ending == "closed":
        try:
            next(results)
        except ClosedError:
            return
        raise AssertionError("closed, and it gives more or an end")


def stress(seconds: float, threads: int, seed: int) -> str:
    """`threads` at once, each with one pipeline after the other.

    Half of the time threads change places 500 times as often as usual, which shakes races out.
    """
    usual = sys.getswitchinterval()
    try:
        first = hammer(seconds / 2, threads, seed)
        sys.setswitchinterval(usual / 500)
        return f"{first}; switching often: {hammer(seconds / 2, threads, seed + 1)}"
    finally:
        sys.setswitchinterval(usual)


def hammer(seconds: float, threads: int, seed: int) -> str:
    end, ends, errors = time.monotonic() + seconds, Counter(), []
    items = Counter()

    def consume(number):
        rng = random.Random(f"{seed}/{number}")
        try:
            while time.monotonic() < end and not errors:
                ending, taken = one(rng)
                ends[number, ending] += 1
                items[number] += taken
        except BaseException as error:
            errors.append(error)

    consumers = [
        threading.Thread(target=consume, args=(number,), daemon=True) for number in range(threads)
    ]
    for thread in consumers:
        thread.start()
    for thread in consumers:
        thread.join(seconds + 120)
        assert not thread.is_alive(), "a consumer waits for ever"
    if errors:
        raise errors[0]
    assert {ending for _, ending in ends} == set(ENDINGS), "too short for every ending"
    return f"{sum(items.values()):,} items in {sum(ends.values()):,} pipelines"


def growth(operations: int) -> str:
    """So many items through pipelines, a tenth of them in short ones; blocks held do not grow."""
    stages = transform(abs), filter_by(lambda n: n % 2), transform(abs, workers=2)
    pipeline = Pipeline(*stages, queue_size=64)

    def through(items):
        return sum(1 for _ in pipeline.process(range(items)))

    for _ in range(20):
        through(1_000)
    before = sys.getallocatedblocks()
    for _ in range(max(1, operations // 10 // 1_000)):
        through(1_000)
    through(operations * 9 // 10)
    grown = sys.getallocatedblocks() - before
    assert grown < 2_000, f"{grown:,} blocks more after {operations:,} items"
    return f"{operations:,} items, {max(grown, 0):,} blocks more"
