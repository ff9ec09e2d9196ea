"""The guide's circuit breaker, ported with its defects (guide, lines 1216–1281, Go).

Kept as they are:

- it holds its mutex while it calls (lines 1255–1266): calls go one after another, so a hang is
  waited for in line, and whoever comes during a probe waits for its end to hear «open»;
- a call of the breaker within a call of it waits for itself for ever;
- only an error that is returned counts (line 1267): a panic passes the counting by, so a
  dependency that crashes its callers is called again and again;
- one success forgets all failures (line 1278): a dependency that fails every second time is never
  left alone;
- and nothing else does: failures that are hours apart are «in a row».

Python has exceptions for both of Go's errors and panics. The port takes an OSError for an error,
which is what a dependency raises that cannot be reached (ConnectionError and TimeoutError are
among them), and any other exception for a panic. In Go a panic that nobody recovers ends the
program; here it ends the thread.

Since calls go one after another, two defects have no room to show: a herd of probes, and a late
success from before the trip. They come in when the lock is taken away from around the call.
"""

import enum
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from perflab.errors import CircuitOpenError

T = TypeVar("T")


class CircuitState(enum.Enum):
    """The guide's three constants."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class CircuitBreaker:
    """Its state: `state`, `failures` and `last_fail_time`, guarded by `_mutex`."""

    def __init__(
        self,
        max_failures: int,
        reset_timeout: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_failures, self.reset_timeout = max_failures, reset_timeout
        self.state = CircuitState.CLOSED
        self.failures = 0
        self.last_fail_time = 0.0
        self._clock = clock
        self._mutex = threading.Lock()

    def execute(self, fn: Callable[[], T]) -> T:
        """Call `fn`; return what it returns (in Go nothing) and raise what it raises."""
        with self._mutex:
            if self.state is CircuitState.OPEN:
                if self._clock() - self.last_fail_time > self.reset_timeout:
                    self.state = CircuitState.HALF_OPEN
                else:
                    raise CircuitOpenError("circuit breaker is open")
            try:
                result = fn()
            except OSError:
                self.failures += 1
                self.last_fail_time = self._clock()
                if self.failures >= self.max_failures:
                    self.state = CircuitState.OPEN
                raise
            self.failures = 0
            self.state = CircuitState.CLOSED
            return result
