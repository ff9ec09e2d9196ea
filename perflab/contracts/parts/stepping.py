"""Races forced between any two instructions: a thread stopped there while another one acts.

A thread switch may come between any two instructions of Python. Here it comes at the one that is
asked for, by tracing: no luck, and every place of the code under test can be tried. Python's own
modules run through, their locks are what they say; and so does what stands in the contracts.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from perflab.contracts.threads import Running

GRACE = 0.002  # seconds for the other thread, which may have to wait for a lock held here

Scene = Callable[[], tuple[Callable[[], Any], Callable[[], Any]]]


def switch_at_each_instruction(scene: Scene, grace: float = GRACE) -> int:
    """How many instructions `run` has, with a switch of threads before each of them in turn.

    `scene()` sets the stage for one turn and returns `run` and `meanwhile`: `run()` is stopped
    before one instruction, and `meanwhile()` acts in another thread. If that waits for something
    that `run` holds, `run` goes on after `grace` seconds. Raises what either raised.
    """
    _rehearse(scene)
    step = 1
    while switch_at(step, *scene(), grace):
        step += 1
    return step - 1


def look_at_each_instruction(scene: Scene, grace: float) -> int:
    """How many looks at one `run()` did not end within `grace` seconds.

    `scene()` returns `run` and `look`: when `run()` comes to an instruction for the first time,
    `look()` is called in another thread. One at a time: while one waits for a lock that `run`
    holds, `run` goes on without. Raises what either raised.
    """
    _rehearse(scene)
    run, look = scene()
    seen: set[tuple[int, int]] = set()
    looks: list[Running] = []
    late = 0

    def before_each(frame: FrameType) -> None:
        nonlocal late
        place = id(frame.f_code), frame.f_lasti
        if place not in seen and (not looks or looks[-1].ended):
            seen.add(place)
            looks.append(Running(look))
            late += not looks[-1].join(grace)

    with _traced(before_each):
        run()
    for one in looks:
        one.result()
    return late


def switch_at(
    step: int, run: Callable[[], Any], meanwhile: Callable[[], Any], grace: float = GRACE
) -> bool:
    """`run()`, and before its instruction number `step` `meanwhile()` in another thread.

    False where `run` has fewer instructions.
    """
    left = step
    other: Running | None = None

    def before_each(frame: FrameType) -> None:
        nonlocal left, other
        left -= 1
        if left == 0:
            other = Running(meanwhile)
            other.join(grace)

    with _traced(before_each):
        run()
    if other is not None:
        other.result()
    return other is not None


def _rehearse(scene: Scene) -> None:
    """Once for nothing: Python 3.13 may trace the instructions of code from its second run on."""
    run, _ = scene()
    with _traced(lambda frame: None):
        run()


@contextmanager
def _traced(before_each: Callable[[FrameType], None]) -> Iterator[None]:
    """Call this before each instruction of what this thread calls now."""

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if _runs_through(str(frame.f_globals.get("__name__"))):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            before_each(frame)
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 has to be told before it traces
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def _runs_through(module: str) -> bool:
    """Whether it is no code under test."""
    own = module.startswith(__name__.rpartition(".")[0])
    return own or module.partition(".")[0] in sys.stdlib_module_names
