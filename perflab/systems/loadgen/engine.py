"""The load generator's process: `python -m perflab.systems.loadgen.engine`.

It runs apart from the caller, whose plots and threads would otherwise hold the interpreter's lock
when a request is due. Settings come in on stdin, samples go out on stdout (see wire.py); when
either pipe breaks the caller is gone, and so is this process.

Clock and transport are arguments of the engine, so that model.py runs it on virtual time.
"""

import array
import gc
import json
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from perflab.systems.loadgen.outlet import Outlet
from perflab.systems.loadgen.plan import NEVER, ClosedPlan, Draw, OpenPlan, Plan
from perflab.systems.loadgen.transport import Done, Slot, Transport
from perflab.systems.loadgen.wire import SAMPLE

STARTS_AT_ONCE = 8  # requests sent before answers are looked at again
READ_EVERY = 0.05  # seconds between two looks at memory and CPU, which take 0.1 ms …
QUIET = 0.0005  # … and are therefore taken where nothing is due for this long,
PATIENCE = 0.1  # or when this much time has passed without such a moment
FLUSH_BYTES = 32_768  # samples handed on at once, half of what the smallest pipe takes
HEADSTART = 0.005  # seconds from the end of set-up to the first request
STDIN, STDOUT = 0, 1


class Sink(Protocol):
    """Takes packed samples and readings."""

    samples: bytearray
    readings: bytearray

    def flush(self) -> None:
        """A good moment to pass on what has gathered."""


class Reader(Protocol):
    """Looks at memory and CPU time."""

    def read(self, now: float) -> bytes:
        """A packed reading."""


class Engine:
    """One run. All times are seconds since `t0`, the beginning of the measurement.

    State: `_free`, the idle slots in the order in which they became idle, each with that time;
    `_busy`, how many are not idle; `_made`, how many exist; the time of the next reading; the
    plan, which knows what is due.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        plan: Plan,
        sink: Sink,
        transport: Transport,
        gauge: Reader | None,
        clock: Callable[[], float] = time.perf_counter,
        headstart: float = HEADSTART,
    ) -> None:
        self._plan, self._sink, self._transport = plan, sink, transport
        self._gauge, self._clock = gauge, clock
        self._draw = Draw([route["weight"] for route in settings["routes"]], settings["seed"])
        self._most: int = settings["connections"]
        self._free: deque[tuple[float, Slot]] = deque()
        self._busy = self._made = 0
        self._next_reading = -NEVER if gauge else NEVER
        self.t0 = clock() + headstart + settings["warm_up"]

    def not_sent(self) -> int:
        return self._plan.not_sent()

    def run(self) -> None:
        """Send what the plan says until it is over and every answer is in or given up."""
        clock, t0, wait = self._clock, self.t0, self._transport.wait
        while True:
            due = self._send_due(clock() - t0)
            if due == NEVER and not self._busy:
                self._read(clock() - t0)
                return
            now = clock() - t0
            self._keep_books(now, due)
            # A reading that is due and was put off waits for the request that was too near.
            reading = self._next_reading
            for done in wait(now, reading if now < reading < due else due):
                if done:
                    self._take_in(done)
                self._send_due(clock() - t0)  # before other answers are read

    def _send_due(self, now: float) -> float:
        """Send what is due and may be sent; the time of the next request that can be sent."""
        plan, due = self._plan, self._plan.next_due()
        for _ in range(STARTS_AT_ONCE):
            if now >= plan.deadline or due == NEVER:
                return NEVER
            if not self._free and self._made >= self._most:
                return plan.deadline  # the next free slot will be an event
            if due > now:
                return due
            self._start(plan.take())
            due, now = plan.next_due(), self._clock() - self.t0
        return due if due < plan.deadline else NEVER

    def _start(self, intended: float) -> None:
        # The slot idle for longest tells since when the limit on connections was no hindrance.
        free_since = self._free[0][0] if self._made == self._most else -NEVER
        if self._free:
            slot = self._free.pop()[1]
        else:
            slot = self._transport.slot()
            self._made += 1
        route = self._draw()
        if route != slot.route:
            self._transport.aim(slot, route)
            slot.route = route
        self._busy += 1
        slot.intended = intended
        slot.start = start = self._clock() - self.t0
        slot.lateness = start - max(intended, free_since)
        done = self._transport.send(slot)
        if done:
            self._take_in(done)

    def _take_in(self, done: Done) -> None:
        """Write down what has ended, and have its slots back."""
        end = self._clock() - self.t0
        for slot, failure in done:
            if slot.intended >= 0:  # else warm-up
                self._sink.samples += SAMPLE.pack(
                    slot.intended, slot.start, end, slot.lateness,
                    *self._transport.outcome(slot, failure),
                )  # fmt: skip
            self._transport.release(slot)
            self._busy -= 1
            self._free.append((end, slot))
            self._plan.ended(end)

    def _keep_books(self, now: float, due: float) -> None:
        """Read memory and hand samples on, where no request is near or it cannot wait longer."""
        late = now - self._next_reading
        if late >= 0 and (due - now > QUIET or late > PATIENCE):
            self._read(now)
            self._next_reading = now + READ_EVERY
            self._sink.flush()
        elif len(self._sink.samples) > FLUSH_BYTES:
            self._sink.flush()

    def _read(self, now: float) -> None:
        if self._gauge:
            self._sink.readings += self._gauge.read(now)


def make_plan(settings: dict[str, Any], times: "array.array[float]") -> Plan:
    """The plan of an engine's settings; `times` are those of an open workload."""
    if settings["users"] is None:
        return OpenPlan(times, settings["deadline"])
    deadline = NEVER if settings["deadline"] is None else settings["deadline"]
    begin = -settings["warm_up"]
    return ClosedPlan(
        settings["users"], settings["think_time"], begin, deadline, settings["requests"]
    )


def make_transport(settings: dict[str, Any]) -> Transport:
    """The cheapest transport that can do it, or the one that the settings name."""
    from perflab.systems.loadgen.connection import is_plain

    best = "sockets" if is_plain(settings) else "libcurl"
    if settings.get("transport", best) == "sockets":
        from perflab.systems.loadgen.sockets import SocketTransport

        return SocketTransport(settings)
    from perflab.systems.loadgen.client import CurlTransport

    return CurlTransport(settings)


def allow_descriptors(wanted: int) -> None:
    """Raise this process's own limit on open files as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    # Here alone, since the engine on virtual time needs neither libcurl nor a look at processes.
    from perflab.systems.loadgen.gauge import Gauge

    outlet = Outlet(STDOUT)
    try:
        settings = json.loads(sys.stdin.buffer.readline())
        times = array.array("d")
        times.frombytes(sys.stdin.buffer.read(8 * settings["scheduled"]))
        allow_descriptors(settings["connections"] + 64)
        gc.disable()  # nothing here makes reference cycles, and a collection is a pause
        plan, gauge = make_plan(settings, times), Gauge(settings["server_pid"])
        engine = Engine(settings, plan, outlet, make_transport(settings), gauge)
        engine.run()
        outlet.end({"t0": engine.t0, "not_sent": engine.not_sent()})
    except Exception as error:  # whatever it is, the caller is to know it
        outlet.fail(f"{type(error).__name__}: {error}")
    os._exit(0)  # without tidying up thousands of handles


if __name__ == "__main__":
    main()
