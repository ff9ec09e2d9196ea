"""A program as a script, to try profilers on: what runs when, and whether it holds the lock.

The true shares are known, and what a profiler makes of it is the same on every machine.
"""

import cProfile
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType, SimpleNamespace
from typing import cast

import psutil

from perflab.errors import require
from perflab.measure.sampler import Profile, Sampler
from perflab.measure.virtual import VirtualClock


@dataclass(frozen=True, slots=True)
class Piece:
    """One function that runs for so many seconds; nobody looks while it `holds` the lock."""

    function: str
    seconds: float
    holds: bool = False


Look = tuple[float, str]  # when, and the function that was seen


def true_shares(script: Sequence[Piece]) -> dict[str, float]:
    """The part of all time that each function took, 0–1."""
    took: Counter[str] = Counter()
    for piece in script:
        took[piece.function] += piece.seconds  # type: ignore[assignment]  # a Counter adds floats
    total = sum(took.values())
    return {name: seconds / total for name, seconds in took.items()}


def looks(script: Sequence[Piece], interval: float) -> list[Look]:
    """The looks of a sampler that waits `interval` seconds after each one.

    A look that comes due while the lock is held comes when it is let go, and sees who held it.
    """
    require(interval > 0, "interval", interval, "seconds above 0")
    seen: list[Look] = []
    now, due = 0.0, interval
    for piece in script:
        end = now + piece.seconds
        while due < end:
            moment = end if piece.holds else due
            seen.append((moment, piece.function))
            due = moment + interval
        now = end
    return seen


def profile_of(script: Sequence[Piece], interval: float) -> Profile:
    """What our `Sampler` makes of these looks."""
    clock, running = VirtualClock(), [""]
    sampler = Sampler(clock=clock, frames=lambda: {-1: _frame(running[0])})
    for moment, function in looks(script, interval):
        clock.now, running[0] = moment, function
        sampler.look()
    return sampler.profile


def traced_shares(script: Sequence[Piece], cost: float) -> dict[str, float]:
    """The shares that cProfile finds, each piece a call, with a clock that takes `cost` to read."""
    clock = VirtualClock()
    functions = {piece.function: _function(piece.function, clock) for piece in script}
    profile = cProfile.Profile(lambda: clock.advance(cost), builtins=False)
    profile.enable()
    for piece in script:
        functions[piece.function](piece.seconds)
    profile.disable()
    found = {one.code: one.totaltime for one in profile.getstats()}
    took = {name: found[function.__code__] for name, function in functions.items()}
    total = sum(took.values())
    return {name: seconds / total for name, seconds in took.items()}


@dataclass(frozen=True, slots=True)
class Sampled:
    """A function's share of a program's time, in truth and as a sampler beside it saw it."""

    true: float
    by_looks: float
    by_seconds: float
    latency: float  # seconds of a round, the mean
    resident: int  # bytes of the process, at the end


def sampled(
    first: Callable[[], object],
    second: Callable[[], object],
    every: float,
    rounds: int,
    switch: float = 0.0005,
) -> Sampled:
    """Run two functions by turns under a sampler; the shares are the first one's.

    `every` and `switch` are seconds: between two looks, and after how long Python code lets go of
    the lock when somebody waits for it (5 ms by default, which would make looks rarer than asked).
    """
    took = [0.0, 0.0]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(switch)
    try:
        with Sampler(every, thread=threading.get_ident()) as sampler:
            for _ in range(rounds):
                began = time.perf_counter()
                first()
                between = time.perf_counter()
                second()
                took[0] += between - began
                took[1] += time.perf_counter() - between
    finally:
        sys.setswitchinterval(usual)
    by = {by: sampler.profile.share(first.__name__, by) for by in ("looks", "seconds")}
    resident = psutil.Process().memory_info().rss
    total = sum(took)
    return Sampled(took[0] / total, by["looks"], by["seconds"], total / rounds, resident)


def _function(name: str, clock: VirtualClock) -> Callable[[float], None]:
    """A function of its own for each name: cProfile tells them apart by their code."""

    def runs(seconds: float) -> None:
        clock.now += seconds

    runs.__code__ = runs.__code__.replace(co_name=name)
    return runs


def _frame(function: str) -> FrameType:
    code = SimpleNamespace(co_qualname=function)
    frame = SimpleNamespace(f_code=code, f_globals={"__name__": "script"}, f_back=None)
    return cast(FrameType, frame)
