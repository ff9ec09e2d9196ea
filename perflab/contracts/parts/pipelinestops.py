"""What must hold of a pipeline that is stopped, or that its consumer forgets."""

import gc
import threading
from collections.abc import Iterator

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.pipelining import (
    MANY,
    SOON,
    Source,
    Start,
    Step,
    Threads,
    ends,
    same,
    says,
)
from perflab.contracts.threads import Running, eventually


@check(
    "forgotten by its consumer it leaves no thread behind",
    "Each stage waits for ever to pass on what it has, the producer too. Whoever sends has to "
    "learn that nobody will receive: stop when the output is given up.",
    may_hang=True,
)
def forgotten(start: Start) -> Evidence:
    threads = Threads()
    output = start(Source(), Step(same), Step(same), Step(same))
    for _ in range(3):
        next(output)
    del output
    gc.collect()
    return threads.evidence()


@check(
    "stopped midway it leaves no thread behind",
    "The stages end, and with them whoever received from the producer. It has to be told too.",
    may_hang=True,
)
def stopped(start: Start) -> Evidence:
    threads = Threads()
    output = start(Source(), Step(same), Step(same), Step(same))
    for _ in range(3):
        next(output)
    output.close()
    return threads.evidence()


@check(
    "stopped midway it closes its source",
    "A generator with a file open waits in its yield. Close it, and its `finally` runs.",
    may_hang=True,
)
def source_closed(start: Start) -> Evidence:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(MANY)
        finally:
            closed.set()

    kept = source()  # so that it is not closed for want of anybody who holds it
    output = start(kept, Step(same))
    next(output)
    output.close()
    return Evidence(closed.wait(1.0), f"closed: {closed.is_set()}")


@check(
    "after a stop no call begins",
    "What waits in front of a stage is worked off before the stop gets there. Let the stop "
    "overtake it, or ask for it before each call.",
    may_hang=True,
)
def stop_overtakes(start: Start) -> Evidence:
    gate = threading.Event()
    calls: list[int] = []

    def call(item: int) -> int:
        calls.append(item)
        gate.wait()
        return item

    source, threads = Source(), Threads()
    output = start(source, Step(call), Step(calls.append))
    begun = eventually(lambda: len(calls) == 1 and source.taken > 1)
    consumer, stopper = Running(lambda: ends(output)), Running(output.close)
    told = consumer.join(1.0)  # so the stop has come through, and the gate may open
    gate.set()
    ended = stopper.join(0.3) and eventually(lambda: threads.left <= 1, 0.3)
    good = begun and told and ended and len(calls) == 1
    return Evidence(good, f"{len(calls) - 1} calls began after it")


@check(
    "stopped midway it does not look complete",
    "The consumer reads on and finds an end like any other, after half of the items. Say that it "
    "was stopped: an error of its own.",
    may_hang=True,
)
def stopped_is_told(start: Start) -> Evidence:
    output = start(Source(), Step(same), Step(same))
    half = sum(1 for _, _ in zip(range(MANY // 2), output, strict=False))
    output.close()
    end = ends(output)
    return Evidence(half == MANY // 2 and end[1] is not None, says(end, half, MANY))


@check(
    "stopped midway: items in = out + reported",
    "Some had been taken from the source and had not come out. They are lost, but how many there "
    "are is known: say it.",
    may_hang=True,
)
def accounted(start: Start) -> Evidence:
    source, threads = Source(), Threads()
    output = start(source, Step(same), Step(same, workers=2))
    for _ in range(100):
        next(output)
    lost = eventually(lambda: source.taken > 101)
    output.close()
    eventually(lambda: not threads.left, SOON)
    reported = output.stats().unfinished
    good = lost and source.taken == 100 + reported
    return Evidence(good, f"{source.taken} in, 100 out, {reported} reported")


@check(
    "a stop wakes who waits for an item, though the source sleeps on",
    "The consumer waits for the last stage, that one for its input, and so on up to a source that "
    "may never come back. Nobody may wait for that one.",
    may_hang=True,
)
def stop_wakes(start: Start) -> Evidence:
    never = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        never.wait()

    output = start(source(), Step(same), Step(same, workers=2))
    next(output)
    consumer = Running(lambda: ends(output))
    stopper = Running(output.close)
    ended = consumer.join(1.0) and stopper.join(0.5)
    return Evidence(ended, "both came back" if ended else "still waiting")


@check(
    "stopped twice, or after its end: nothing happens",
    "Closing what is closed already must be allowed: a `with` block does it after every error.",
    may_hang=True,
)
def stop_again(start: Start) -> Evidence:
    output = start(range(5), Step(same))
    came = sum(1 for _ in output)
    output.close()
    output.close()
    end = ends(output)
    return Evidence(came == 5 and end == (0, None), says(end, came, 5))
