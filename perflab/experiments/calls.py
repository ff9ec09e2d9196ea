"""Functions called over and over, each in a thread of its own, while something else happens."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from perflab.errors import is_number, require

PATIENCE = 30.0  # seconds for a call under way when the block ends


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one function, in order; one entry a call."""

    time: NDArray[np.float64]  # when it ended, in seconds since the block began
    seconds: NDArray[np.float64]  # how long it took
    value: NDArray[np.float64]  # what it returned; nan where it raised
    errors: tuple[str, ...]  # the kinds of errors that were raised, by name


class calling:  # noqa: N801  # reads as a verb: with calling({...}) as callers
    """Call each function again and again in a thread until the `with` block ends.

    A function takes nothing and returns a number. An exception is counted, not raised: the call
    has failed and the next one follows. `pause` seconds lie between two calls of one function.

        with calling({"reads": read}, pause=0.002) as callers:
            server.kill()
        callers["reads"].seconds

    State: a list of (ended, seconds, value, error) for each function, appended to by its thread
    alone and read when that has ended.
    """

    def __init__(self, functions: Mapping[str, Callable[[], float]], pause: float = 0.0) -> None:
        usable = isinstance(functions, Mapping) and len(functions) > 0
        usable = usable and all(callable(one) for one in functions.values())
        require(usable, "functions", functions, "functions by name")
        require(is_number(pause) and 0 <= pause < 3600, "pause", pause, "seconds ≥ 0")
        self._pause, self._leaving = pause, threading.Event()
        self._seen: dict[str, list[tuple[float, float, float, str]]] = {
            one: [] for one in functions
        }
        self._threads = [
            threading.Thread(target=self._run, args=pair, daemon=True) for pair in functions.items()
        ]

    def __enter__(self) -> "calling":
        self.started = perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leaving.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, name: str, function: Callable[[], float]) -> None:
        seen = self._seen[name]
        while not self._leaving.is_set():
            began = perf_counter()
            try:
                value, failed = float(function()), ""
            except Exception as error:  # counted: the callers of a service go on, too
                value, failed = np.nan, type(error).__name__
            ended = perf_counter()
            seen.append((ended - self.started, ended - began, value, failed))
            if self._pause:
                self._leaving.wait(self._pause)

    def __getitem__(self, name: str) -> Calls:
        rows = list(self._seen[name])
        numbers = np.array([row[:3] for row in rows], float).reshape(-1, 3).T
        errors = sorted({row[3] for row in rows} - {""})
        return Calls(numbers[0], numbers[1], numbers[2], tuple(errors))
