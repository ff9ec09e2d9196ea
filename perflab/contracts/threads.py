"""Threads that a check can force into a situation and ask about, without hoping for a sleep."""

import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 1.5  # seconds until something that did not come is called missing; under a check's 2 s


class StuckError(Exception):
    """A thread did not come to its end."""


class Running:
    """A function under way in a daemon thread; what it returned or raised, once it has ended."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._value: Any = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # it belongs to whoever asks for the result
            self.error = error

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def join(self, patience: float = PATIENCE) -> bool:
        """Wait for its end; false where it does not come."""
        self._thread.join(patience)
        return self.ended

    def result(self, patience: float = PATIENCE) -> Any:
        """What it returned; raises what it raised, or StuckError where it does not end."""
        if not self.join(patience):
            raise StuckError(f"a thread was still waiting after {patience:g} s")
        if self.error is not None:
            raise self.error
        return self._value


def at_once(count: int, function: Callable[[int], Any]) -> list[Running]:
    """`function(0)`, `function(1)`, … in threads that all pass one barrier before they call."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Callable[[], Any]:
        def run() -> Any:
            barrier.wait()
            return function(number)

        return run

    return [Running(one(number)) for number in range(count)]


def eventually(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Whether the condition becomes true; looked at a thousand times a second."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True
