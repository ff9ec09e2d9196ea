"""What must come out of a pipeline, in which order, and how much it may hold."""

import threading
from collections.abc import Callable, Iterator

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.pipelining import LIMIT, MANY, SOON, Source, Start, Step, same
from perflab.contracts.threads import PATIENCE, Running, eventually


def _first_is_last() -> Callable[[int], int]:
    """A function that holds item 0 until item 7 has come, and with four workers 1 to 4 have gone.

    A stage of one makes no call beside it: it goes on after a while, in order.
    """
    later = threading.Event()

    def call(item: int) -> int:
        if item == 0:
            later.wait(5 * SOON)
        elif item == 7:
            later.set()
        return item

    return call


@check(
    "all that a loop would give comes out",
    "Every item goes through every stage, and what a filter refuses gives its place to another. "
    "Where it hangs, look for a place that is never given back.",
    may_hang=True,
)
def like_a_loop(start: Start) -> Evidence:
    steps = (
        Step(lambda n: n % 3, filters=True, workers=2),
        Step(lambda n: n + 1, workers=4),
        Step(str),
        Step(lambda text: text != "99", filters=True),
    )
    true = [str(n + 1) for n in range(MANY) if n % 3 and n + 1 != 99]
    found = list(start(range(MANY), *steps))
    return Evidence(sorted(found) == sorted(true), f"{len(found)} of {len(true)} came out")


@check(
    "None is an item, and a source of nothing gives nothing",
    "No value may double as the sign for the end: an item that equals it would be one.",
    may_hang=True,
)
def nothings(start: Start) -> Evidence:
    items = [None, 0, "", False, (), StopIteration]
    found = list(start(items, Step(same), Step(same, workers=2)))
    nothing = list(start([], Step(same)))
    good = sorted(map(repr, found)) == sorted(map(repr, items)) and not nothing
    return Evidence(good, f"{len(found)} of {len(items)} items, {len(nothing)} of none")


@check(
    "the end waits for what is still under way",
    "The source has no more while a worker has an item in its hands. The end comes behind the "
    "last item, or after as many as were taken.",
    may_hang=True,
)
def end_waits(start: Start) -> Evidence:
    ended = threading.Event()

    def source() -> Iterator[int]:
        yield from range(4)
        ended.set()

    def slow(item: int) -> int:
        ended.wait(SOON)  # at a width of one it never comes: the next is taken after this one
        return item

    found = list(start(source(), Step(slow, workers=4)))
    return Evidence(len(found) == 4, f"{len(found)} of 4 came out")


@check(
    "a stage of four workers makes four calls at once, never five",
    "One thread reads the stage's input, calls and writes: give the stage so many of them. A "
    "pipeline runs at the pace of its slowest stage, and this is how that one is widened.",
    may_hang=True,
)
def width(start: Start) -> Evidence:
    begun, gate = [], threading.Event()

    def call(item: int) -> int:
        begun.append(item)
        gate.wait(PATIENCE + SOON)
        return item

    output = start(range(20), Step(call, workers=4))
    together = eventually(lambda: len(begun) >= 4, PATIENCE / 2)
    eventually(lambda: len(begun) > 4, SOON)
    at_once = len(begun)
    gate.set()
    came = sum(1 for _ in output)
    return Evidence(together and at_once == 4 and came == 20, f"{at_once} calls at once")


@check(
    "order is kept where a later item is ready first",
    "Several workers finish in any order. What is ready has to wait for its turn: give each item "
    "its place before the work begins, and read the places in order.",
)
def order(start: Start) -> Evidence:
    found = list(start(range(8), Step(_first_is_last(), workers=4)))
    return Evidence(found == list(range(8)), f"came as {found}"[:60])


@check(
    "a stage of one behind a stage of four sees the items in order",
    "It may keep a running sum, or drop what it has seen before. Restoring the order at the very "
    "end is too late for it.",
)
def order_inside(start: Start) -> Evidence:
    seen: list[int] = []

    def see(item: int) -> int:
        seen.append(item)
        return item

    for _ in start(range(8), Step(_first_is_last(), workers=4), Step(see)):
        pass
    return Evidence(seen == list(range(8)), f"saw {seen}"[:60])


@check(
    "nobody reads its output: it stops reading its source",
    "Without a bound the source is read into memory as fast as it gives. Let whoever takes an "
    "item wait for a free place first.",
    may_hang=True,
)
def bounded(start: Start) -> Evidence:
    source = Source()
    output = start(source, Step(same), Step(same))
    eventually(lambda: source.taken > 0)
    eventually(lambda: source.taken > LIMIT, SOON)
    taken = source.taken
    output.close()
    return Evidence(0 < taken <= LIMIT, f"{taken} of {MANY:,} taken")


@check(
    "one slow item: what is ready behind it is bounded too",
    "Results that wait for their turn take memory like items that wait for a worker. They need "
    "places of the same bound.",
)
def bounded_reordering(start: Start) -> Evidence:
    source, gate = Source(), threading.Event()
    came: list[int] = []
    output = start(source, Step(lambda n: gate.wait(PATIENCE) if n == 0 else n, workers=4))
    reader = Running(lambda: came.extend(output))
    eventually(lambda: source.taken - len(came) > LIMIT, SOON)
    most = source.taken - len(came)
    gate.set()
    reader.result()
    good = len(came) == MANY and most <= LIMIT
    return Evidence(good, f"{most} of {MANY:,} under way, {len(came):,} came out")


@check(
    "a slow source's item comes out before the next one is there",
    "Portions of a fixed size hold an item back until the portion is full. Hand over what is "
    "there; under load portions form by themselves.",
    may_hang=True,
)
def prompt(start: Start) -> Evidence:
    came, held = [threading.Event() for _ in range(5)], []

    def source() -> Iterator[int]:
        for item, event in enumerate(came):
            yield item
            if not event.wait(1.0):
                held.append(item)
                return

    for item in start(source(), Step(same), Step(same, workers=2)):
        came[item].set()
    out = sum(event.is_set() for event in came)
    return Evidence(not held and out == 5, f"{len(held)} held back, {out} of 5 came out")
