"""What must hold of a pipeline: all comes out, in order and bounded; a stop or a failure is told.

Under test is a function `start(source, *steps)`: it sets a pipeline of these steps to work on an
iterable and returns an `Output`. `on_iterators` makes one of classes like ours, `on_channels` of
classes like the guide's.
"""

import threading
from contextlib import suppress

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.pipelineflow import (
    bounded,
    bounded_reordering,
    end_waits,
    like_a_loop,
    nothings,
    order,
    order_inside,
    prompt,
    width,
)
from perflab.contracts.parts.pipelinestops import (
    accounted,
    forgotten,
    source_closed,
    stop_again,
    stop_overtakes,
    stop_wakes,
    stopped,
    stopped_is_told,
)
from perflab.contracts.parts.pipelining import (
    SOON,
    Failing,
    Source,
    Start,
    Step,
    Threads,
    ends,
    fails_at,
    on_channels,
    on_iterators,
    same,
    says,
)

__all__ = [
    "Step",
    "on_iterators",
    "on_channels",
    # what comes out
    "like_a_loop",
    "nothings",
    "end_waits",
    "width",
    "order",
    "order_inside",
    "bounded",
    "bounded_reordering",
    "prompt",
    # stopped, or forgotten
    "forgotten",
    "stopped",
    "source_closed",
    "stop_overtakes",
    "stopped_is_told",
    "accounted",
    "stop_wakes",
    "stop_again",
    # failed
    "stage_fails",
    "before_the_error",
    "source_fails",
    "nothing_left",
]


def _with_item(error: BaseException | None, item: object) -> bool:
    """Whether the error tells the item, and what was raised on it."""
    cause = getattr(error, "__cause__", None)
    return getattr(error, "item", None) == item and isinstance(cause, ArithmeticError)


@check(
    "a stage fails on one of 100: the error arrives with its item",
    "The thread dies, its output ends, and that looks like the end. Catch what the stage raises, "
    "pass it on in the item's place and raise it where the results are read.",
    may_hang=True,
)
def stage_fails(start: Start) -> Evidence:
    Threads()
    bad, said = fails_at(5), ""
    for step in (Step(bad), Step(lambda n: bad(n) + 1, filters=True), Step(bad, workers=4)):
        end = ends(start(range(100), Step(same), step, Step(same)))
        said = says(end, 0, 100)
        if not _with_item(end[1], 5):
            return Evidence(False, said)
    return Evidence(True, said)


@check(
    "what comes before the item that fails is delivered first",
    "An error that overtakes leaves open what was done and what was not. In its item's place it "
    "says: everything up to here.",
    may_hang=True,
)
def before_the_error(start: Start) -> Evidence:
    Threads()
    failed = threading.Event()
    found: list[int] = []

    def call(item: int) -> int:
        if item == 0:
            failed.wait(5 * SOON)
        elif item == 3:
            failed.set()
            raise ArithmeticError("overtakes the first")
        return item

    with suppress(Exception):  # that it comes is another check's business
        found.extend(start(range(100), Step(call, workers=4), Step(same)))
    return Evidence(found == [0, 1, 2], f"{found} came before"[:60])


@check(
    "the source fails: what it gave is delivered, then the error",
    "An exception in the thread that reads the source ends that thread and looks like the end. "
    "Send it behind the last item.",
    may_hang=True,
)
def source_fails(start: Start) -> Evidence:
    Threads()
    end = ends(start(Failing(20), Step(same), Step(same, workers=2)))
    told = isinstance(getattr(end[1], "__cause__", None), ArithmeticError)
    return Evidence(told and end[0] == 20, says(end, 0, 20))


@check(
    "after a failure no thread is left, and the source is read no more",
    "The stages before the one that failed wait for ever to pass on what they have. A failure "
    "stops the whole pipeline.",
    may_hang=True,
)
def nothing_left(start: Start) -> Evidence:
    threads = Threads()
    output = start(Source(10**9), Step(same), Step(fails_at(5)), Step(same))
    ends(output)
    del output
    return threads.evidence()
