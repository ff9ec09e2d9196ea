"""A remote party that the shop depends on, modelled: so many places, each busy for a while."""

import asyncio
import random
import time
from array import array
from collections import deque
from collections.abc import Callable

from perflab.errors import require


def constant(seconds: float) -> Callable[[], float]:
    """Every call takes `seconds`."""
    return lambda: seconds


def exponential(seconds: float, seed: int) -> Callable[[], float]:
    """Calls take `seconds` on average, exponentially distributed; the same sequence each run."""
    draws = random.Random(seed)
    return lambda: seconds * draws.expovariate(1.0)


MODES = ("serving", "stuck", "failing")


class RemoteFailedError(Exception):
    """The remote party answered a call with an error, at once."""


class RemoteParty:
    """Serves `slots` callers at once and lets the others wait, first come first served.

    This is a model: it stands for a party whose computer is not ours, so a call takes its time
    and none of our processor. How long a place is held is decided by `draw` in order of arrival.
    The event loop's timers tick in whole milliseconds, so what a call really took is measured.

    A place is handed on at the clock reading at which it became free: on the trace no place is
    ever free while somebody waits, and none holds two callers at once.

    State: `_free` places; `_waiting`, a future for each caller without one, in order of arrival;
    `_calls`, three clock readings in nanoseconds for each call that has ended (arrival, start,
    finish), at most `capacity` of them; `dropped`, how many more ended; `_since`, when it was
    reset; `mode`, and `_moving`, set unless it is stuck. Used by one event loop; no locks.
    """

    def __init__(
        self,
        slots: int,
        draw: Callable[[], float],
        *,
        capacity: int = 200_000,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        require(slots >= 1, "slots", slots, "at least 1")
        self.dropped = 0
        self.mode = "serving"
        self._moving = asyncio.Event()
        self._moving.set()
        self._free = slots
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._calls = array("q")
        self._capacity = capacity
        self._draw = draw
        self._clock_ns = clock_ns
        self._since = clock_ns()

    def set_mode(self, mode: str) -> None:
        """One of MODES; calls under way feel it too."""
        require(mode in MODES, "mode", mode, f"one of {', '.join(MODES)}")
        self.mode = mode
        if mode == "stuck":
            self._moving.clear()
        else:
            self._moving.set()

    async def call(self) -> None:
        """Wait for a place and hold it; RemoteFailedError while it is failing."""
        if self.mode == "failing":
            raise RemoteFailedError
        arrival = self._clock_ns()
        hold_ns = int(self._draw() * 1e9)
        started = await self._place(arrival)
        try:
            await self._moving.wait()
            # The party began at `started`, even if our loop heard of it only now.
            await asyncio.sleep(max(0, started + hold_ns - self._clock_ns()) / 1e9)
        finally:
            finished = self._clock_ns()
            self._hand_on(finished)
        if arrival >= self._since:
            self._record(arrival, started, finished)

    async def _place(self, arrival: int) -> int:
        """Take a place; the clock reading from which it is ours."""
        if self._free:
            self._free -= 1
            return arrival
        place: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was handed to us, and we are leaving
                self._hand_on(self._clock_ns())
            raise

    def _hand_on(self, now: int) -> None:
        """Give our place to the first who still waits, or free it."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.cancelled():
                place.set_result(now)
                return
        self._free += 1

    def trace(self) -> bytes:
        """Native int64, three for each call in order of finish: arrival, start, finish."""
        return self._calls.tobytes()

    def reset(self) -> None:
        """Forget the past; calls that are under way are left out too."""
        self._calls = array("q")
        self.dropped = 0
        self._since = self._clock_ns()

    def _record(self, *times: int) -> None:
        if len(self._calls) < 3 * self._capacity:
            self._calls.extend(times)
        else:
            self.dropped += 1
