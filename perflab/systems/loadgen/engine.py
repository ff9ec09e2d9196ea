"""The load generator's process: `python -m perflab.systems.loadgen.engine`.

It runs apart from the caller, whose plots and threads would otherwise hold the interpreter's lock
when a request is due. Settings come in on stdin, samples go out on stdout (see wire.py); when
either pipe breaks the caller is gone, and so is this process.
"""

import array
import gc
import json
import os
import resource
import sys
import time
from collections import deque
from typing import Any

import pycurl

from perflab.systems.loadgen.client import CUT_SHORT, Slot, error_code
from perflab.systems.loadgen.gauge import Gauge
from perflab.systems.loadgen.outlet import Outlet
from perflab.systems.loadgen.plan import NEVER, ClosedPlan, Draw, OpenPlan, Plan
from perflab.systems.loadgen.poller import best_poller
from perflab.systems.loadgen.wire import MOST_BYTES, SAMPLE

STARTS_AT_ONCE = 8  # requests sent before answers are looked at again
SPIN = 0.00005  # a wait shorter than this is not worth going to sleep for
READ_EVERY = 0.05  # seconds between two looks at memory and CPU, which take 0.1 ms …
QUIET = 0.0005  # … and are therefore taken where nothing is due for this long,
PATIENCE = 0.1  # or when this much time has passed without such a moment
FLUSH_BYTES = 32_768  # samples handed on at once, half of what the smallest pipe takes
HEADSTART = 0.005  # seconds from the end of set-up to the first request


SIZE_DOWNLOAD = getattr(pycurl, "SIZE_DOWNLOAD_T", pycurl.SIZE_DOWNLOAD)
STDIN, STDOUT = 0, 1


class Engine:
    """One run. All times are seconds since `t0`, the beginning of the measurement.

    State: `_free`, the idle handles in the order in which they became idle, each with that time;
    `_busy`, how many are not idle; `_made`, how many exist; the plan, which knows what is due.
    """

    def __init__(self, settings: dict[str, Any], plan: Plan, outlet: Outlet) -> None:
        self._settings, self._plan, self._outlet = settings, plan, outlet
        self._urls: list[str] = settings["urls"]
        self._draw = Draw(settings["weights"], settings["seed"])
        self._most: int = settings["connections"]
        self._free: deque[tuple[float, Slot]] = deque()
        self._busy = self._made = 0
        self._poller = best_poller()
        self._poller.watch(STDIN, 1)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_MAXCONNECTS, self._most)
        self._gauge = Gauge(settings["server_pid"])
        self._next_reading, self._libcurl_due = -NEVER, NEVER
        self.t0 = time.perf_counter() + HEADSTART + settings["warm_up"]

    def not_sent(self) -> int:
        return self._plan.not_sent()

    def run(self) -> None:
        """Send what the plan says until it is over and every answer is in or given up."""
        while True:
            now = time.perf_counter() - self.t0
            due = self._send_due(now)
            if due == NEVER and not self._busy:
                self._outlet.readings += self._gauge.read(now)
                return
            now = time.perf_counter() - self.t0
            self._keep_books(now, due)
            for fd, bits in self._poller.wait(self._pause(due)):
                if fd == STDIN:
                    os._exit(1)  # the caller is gone: it says nothing more in its lifetime
                self._act(fd, bits)
                self._send_due(time.perf_counter() - self.t0)  # before other answers are read
            if time.perf_counter() - self.t0 >= self._libcurl_due:
                self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _send_due(self, now: float) -> float:
        """Send what is due and may be sent; the time of the next request that can be sent."""
        plan, due = self._plan, self._plan.next_due()
        for _ in range(STARTS_AT_ONCE):
            if now >= plan.deadline or due == NEVER:
                return NEVER
            if not self._free and self._made >= self._most:
                return plan.deadline  # the next free handle will be an event
            if due > now:
                return due
            self._start(plan.take(), now)
            due, now = plan.next_due(), time.perf_counter() - self.t0
        return due if due < plan.deadline else NEVER

    def _start(self, intended: float, now: float) -> None:
        # The handle idle for longest tells since when the limit on connections was no hindrance.
        free_since = self._free[0][0] if self._made == self._most else -NEVER
        if self._free:
            slot = self._free.pop()[1]
        else:
            slot = Slot(self._settings)
            self._made += 1
        route = self._draw()
        if route != slot.route:
            slot.curl.setopt(pycurl.URL, self._urls[route])
            slot.route = route
        slot.intended = intended
        slot.start = start = time.perf_counter() - self.t0
        slot.lateness = start - max(intended, free_since)
        self._busy += 1
        self._multi.add_handle(slot.curl)
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, fd: int, bits: int) -> None:
        """Let libcurl work on a socket, and take in what that has finished."""
        _, running = self._multi.socket_action(fd, bits)
        if running < self._busy:
            end = time.perf_counter() - self.t0
            _, good, bad = self._multi.info_read(self._busy)
            for curl in good:
                self._finish(curl.slot, 0, end)
            for curl, code, _ in bad:
                self._finish(curl.slot, code, end)

    def _finish(self, slot: Slot, failure: int, end: float) -> None:
        if slot.intended >= 0:  # else warm-up
            self._record(slot, failure, end)
        self._multi.remove_handle(slot.curl)
        self._busy -= 1
        self._free.append((end, slot))
        self._plan.ended(end)

    def _record(self, slot: Slot, failure: int, end: float) -> None:
        info = slot.curl.getinfo
        status, size = info(pycurl.RESPONSE_CODE), int(info(SIZE_DOWNLOAD))
        error = error_code(failure, info(pycurl.OS_ERRNO) if failure else 0, status)
        if not (error or size or slot.headers_ended()):
            error = CUT_SHORT
        self._outlet.samples += SAMPLE.pack(
            slot.intended, slot.start, end, slot.lateness,
            info(pycurl.CONNECT_TIME), info(pycurl.APPCONNECT_TIME),
            info(pycurl.STARTTRANSFER_TIME), min(size, MOST_BYTES),
            slot.route, status, error, min(info(pycurl.NUM_CONNECTS), 255),
        )  # fmt: skip

    def _pause(self, due: float) -> float:
        """Seconds to wait for sockets: until the next request, reading, or time-out of libcurl."""
        now = time.perf_counter() - self.t0
        libcurl_ms = self._multi.timeout()  # -1: no time-out is set
        self._libcurl_due = now + libcurl_ms / 1000 if libcurl_ms >= 0 else NEVER
        # A reading that is due and was put off waits for the request that was too near.
        reading = self._next_reading if self._next_reading > now else NEVER
        until = min(due, reading, self._libcurl_due) - now
        return until if until > SPIN else 0.0

    def _keep_books(self, now: float, due: float) -> None:
        """Read memory and hand samples on, where no request is near or it cannot wait longer."""
        late = now - self._next_reading
        if late >= 0 and (due - now > QUIET or late > PATIENCE):
            self._outlet.readings += self._gauge.read(now)
            self._next_reading = now + READ_EVERY
            self._outlet.flush()
        elif len(self._outlet.samples) > FLUSH_BYTES:
            self._outlet.flush()

    def _on_socket(self, what: int, fd: int, multi: Any, data: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            self._poller.forget(fd)
        else:
            self._poller.watch(fd, what)  # POLL_IN 1, POLL_OUT 2, POLL_INOUT 3


def make_plan(settings: dict[str, Any], times: "array.array[float]") -> Plan:
    if settings["users"] is None:
        return OpenPlan(times, settings["deadline"])
    deadline = NEVER if settings["deadline"] is None else settings["deadline"]
    begin = -settings["warm_up"]
    return ClosedPlan(
        settings["users"], settings["think_time"], begin, deadline, settings["requests"]
    )


def allow_descriptors(wanted: int) -> None:
    """Raise this process's own limit on open files as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    outlet = Outlet(STDOUT)
    try:
        settings = json.loads(sys.stdin.buffer.readline())
        times = array.array("d")
        times.frombytes(sys.stdin.buffer.read(8 * settings["scheduled"]))
        allow_descriptors(settings["connections"] + 64)
        gc.disable()  # nothing here makes reference cycles, and a collection is a pause
        engine = Engine(settings, make_plan(settings, times), outlet)
        engine.run()
        outlet.end({"t0": engine.t0, "not_sent": engine.not_sent()})
    except Exception as error:  # whatever it is, the caller is to know it
        outlet.fail(f"{type(error).__name__}: {error}")
    os._exit(0)  # without tidying up thousands of handles


if __name__ == "__main__":
    main()
