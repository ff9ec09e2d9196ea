"""A sampling profiler: looks at every thread's stack now and then, and adds up where time went.

A look is a thread of its own, so it needs the GIL: while a C function holds it, there is no look,
and the next one sees what ran afterwards. Counted by looks such a function almost vanishes;
weighted by the time since the look before, each look stands for all the time it was late.
(Mytkowicz, Diwan, Hauswirth and Sweeney, «Evaluating the Accuracy of Java Profilers», PLDI 2010,
tell the same of profilers that wait for a safe point.)
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Self

from perflab.errors import is_number, is_whole, require

if TYPE_CHECKING:
    import pandas as pd

Stack = tuple[str, ...]  # names of functions, outermost first
Frames = Callable[[], Mapping[int, FrameType]]
DEEPEST = 200  # frames of a stack that are kept, the innermost ones


@dataclass(frozen=True)
class Profile:
    """Where time went: seconds and looks by stack, summed over all threads that were seen."""

    seconds: Mapping[Stack, float]  # each look weighted by the time since the one before
    looks: Mapping[Stack, int]  # how often each stack was seen

    def share(self, function: str, by: str = "seconds") -> float:
        """The part of all time in which the function was on the stack, 0–1; nan without a look.

        `by` "seconds" weights each look by its time, "looks" counts them alike.
        """
        require(by in ("seconds", "looks"), "by", by, "'seconds' or 'looks'")
        weights: Mapping[Stack, float] = self.seconds if by == "seconds" else self.looks
        total = sum(weights.values())
        inside = sum(weight for stack, weight in weights.items() if _has(stack, function))
        return inside / total if total else float("nan")

    def folded(self) -> str:
        """A line for each stack, «outer;inner microseconds», as flame graph tools read it."""
        lines = sorted((";".join(stack), seconds) for stack, seconds in self.seconds.items())
        return "".join(f"{stack} {round(1e6 * seconds)}\n" for stack, seconds in lines)

    def to_frame(self) -> "pd.DataFrame":
        """A row for each function: seconds on top of the stack, seconds anywhere in it."""
        import pandas as pd

        own: Counter[str] = Counter()
        within: Counter[str] = Counter()
        for stack, seconds in self.seconds.items():
            own[stack[-1]] += seconds  # type: ignore[assignment]  # a Counter adds floats as well
            for name in set(stack):
                within[name] += seconds  # type: ignore[assignment]  # likewise
        table = pd.DataFrame({"own s": own, "total s": within}).fillna(0.0)
        return table.sort_values(["own s", "total s"], ascending=False)


def read_folded(text: str) -> Profile:
    """A profile from the text that `folded` writes; ValueError for a line that is none."""
    seconds: dict[Stack, float] = {}
    for line in text.splitlines():
        stack, _, weight = line.rpartition(" ")
        require(bool(stack) and weight.isdigit(), "line", line, "«outer;inner microseconds»")
        seconds[tuple(stack.split(";"))] = int(weight) / 1e6
    return Profile(seconds, {})


class Sampler:
    """Looks at all threads but its own every `interval` seconds, while it is entered.

        with Sampler() as sampler:
            work()
        sampler.profile.share("parse")

    State, touched by the looking thread alone while it runs: both counts, and the time of the last
    look. Only threads that run Python code can be seen; one that waits is seen where it waits.
    """

    def __init__(
        self,
        interval: float = 0.005,
        *,
        thread: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
        frames: Frames = sys._current_frames,
    ) -> None:
        positive = is_number(interval) and 0 < interval <= 3600
        require(positive, "interval", interval, "seconds above 0, an hour at most")
        whole = thread is None or is_whole(thread)
        require(whole, "thread", thread, "a thread's identifier, or None for all")
        require(callable(clock), "clock", clock, "a function that returns seconds")
        self._interval, self._only, self._clock, self._frames = interval, thread, clock, frames
        self._seconds: Counter[Stack] = Counter()
        self._looks: Counter[Stack] = Counter()
        self._last = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def profile(self) -> Profile:
        """What was seen so far."""
        return Profile(dict(self._seconds), dict(self._looks))

    def start(self) -> None:
        """Begin to look; a second time goes on from there."""
        require(self._thread is None, "start", "a second time", "called once, until it is stopped")
        self._stop.clear()
        self._last = self._clock()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; nothing where it does not look."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def look(self) -> None:
        """One look now; each thread's stack is charged with the time since the last one."""
        now = self._clock()
        passed, self._last = now - self._last, now
        own = threading.get_ident()
        for ident, frame in self._frames().items():
            if ident != own if self._only is None else ident == self._only:
                stack = _stack(frame)
                self._looks[stack] += 1
                self._seconds[stack] += passed  # type: ignore[assignment]  # a Counter adds floats as well

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.look()


def _stack(frame: FrameType | None) -> Stack:
    names: list[str] = []
    while frame is not None and len(names) < DEEPEST:
        code = frame.f_code
        module = frame.f_globals.get("__name__", "?")
        names.append(f"{module}.{code.co_qualname}")
        frame = frame.f_back
    return tuple(reversed(names))


def _has(stack: Stack, function: str) -> bool:
    """Whether a function of that name, with or without its module, is in the stack."""
    return any(name == function or name.endswith(f".{function}") for name in stack)
