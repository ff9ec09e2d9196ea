"""One dependency that hangs for a while, and services that call it, each guarded in its own way."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflab.experiments.guardedpages import GUARDS, guarded
from perflab.systems.loadgen import LoadResult, Open, Progress, Scenario, run_load
from perflab.systems.servers import HOST, Server
from perflab.systems.webapp import WebApp, webapp

Floats = NDArray[np.float64]
OWN, REMOTE = 0, 1  # positions of the two pages among a run's paths
BEFORE = 0.8  # seconds of load before it hangs


@dataclass(frozen=True, eq=False)
class Ordeal:
    """What one service went through. Times in seconds on an axis that all of them share."""

    run: LoadResult
    shift: float  # add it to the run's times
    held: tuple[Floats, Floats]  # when, and how many threads were at the dependency or in line
    calls: Floats  # when calls to the dependency began
    most: int  # of these under way at once
    states: tuple[tuple[float, str], ...]  # of the breaker: since when, and which

    def own(self) -> tuple[Floats, Floats]:
        """Of the page that needs no dependency: when each request was due, and its seconds."""
        mine = self.run.ok & (self.run.route == OWN)
        return self.run.intended_start[mine] + self.shift, self.run.response_time[mine]

    def thread_seconds(self, begin: float, end: float) -> float:
        """Threads held, added up over this time."""
        time, held = self.held
        edges = np.clip(np.append(time, np.inf), begin, end)
        return float((np.diff(edges) * held).sum())

    def called(self, begin: float, end: float) -> int:
        """Calls to the dependency that began in this time."""
        return int(((self.calls >= begin) & (self.calls < end)).sum())


def through_a_hang(
    guards: Sequence[str] = GUARDS, hang: float = 2.0, after: float = 1.0, rate: float = 60.0
) -> tuple[dict[str, Ordeal], tuple[float, float]]:
    """Services under one load, beside each other, while what they depend on hangs for so long.

    `rate` requests a second at random for each of the two pages. Returns what each went through,
    and from when until when the dependency hung.
    """
    scenario = Scenario(Open(2 * rate, BEFORE + hang + after, "poisson"), ["/own", "/remote"])
    with ExitStack() as stack:
        dependency = stack.enter_context(webapp(slots=100, service_ms=5))
        services = {guard: guarded(dependency, guard) for guard in guards}
        for service in services.values():
            stack.callback(service.stop)
        pool = stack.enter_context(ThreadPoolExecutor(len(guards)))
        list(pool.map(WebApp.start, services.values()))
        due = {guard: threading.Event() for guard in guards}
        runs = {
            guard: pool.submit(run_load, service, scenario, watch=_setting(due[guard]))
            for guard, service in services.items()
        }
        for event in due.values():
            event.wait(timeout=10)
        moments = _hang(dependency, hang)
        results = {guard: run.result() for guard, run in runs.items()}
        reports = {
            guard: json.loads(service.get("/report")[1]) for guard, service in services.items()
        }
    zero = min(run.t0 for run in results.values())
    found = {guard: _ordeal(run, reports[guard], zero) for guard, run in results.items()}
    return found, (moments[0] - zero, moments[1] - zero)


def _setting(due: threading.Event) -> Callable[[Progress], None]:
    """Watches a run until it has gone on for BEFORE seconds."""

    def watch(progress: Progress) -> None:
        if progress.elapsed >= BEFORE:
            due.set()

    return watch


def _hang(dependency: WebApp, seconds: float) -> tuple[float, float]:
    """Let it hang for so long; returns from when until when it did."""
    dependency.set_remote("stuck")
    began = time.perf_counter()
    threading.Event().wait(seconds)
    dependency.set_remote("serving")
    return began, time.perf_counter()


def _ordeal(run: LoadResult, report: dict[str, Any], zero: float) -> Ordeal:
    moments, counts = np.array(report["held"]).T
    return Ordeal(
        run=run,
        shift=run.t0 - zero,
        held=(moments - zero, counts),
        calls=np.array(report["calls"]) - zero,
        most=report["most"],
        states=tuple((moment - zero, state) for moment, state in report["states"]),
    )


# ── a crowd that comes at once


def at_once(execute: Callable[[Callable[[], None]], None], server: Server, callers: int) -> Floats:
    """So many threads call the server's /pay through `execute` at the same moment; the seconds
    until each had its answer, in order."""
    barrier = threading.Barrier(callers)

    def pay(connection: HTTPConnection) -> None:
        connection.request("GET", "/pay")
        connection.getresponse().read()

    def caller(_: int) -> float:
        connection = HTTPConnection(HOST, server.port, timeout=30)
        connection.connect()
        barrier.wait()
        began = time.perf_counter()
        try:
            execute(lambda: pay(connection))
        finally:
            connection.close()
        return time.perf_counter() - began

    with ThreadPoolExecutor(callers) as pool:
        return np.sort(np.array(list(pool.map(caller, range(callers)))))
