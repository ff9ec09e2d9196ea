"""Runs a load test: gives the engine its settings, and makes a result of what it says."""

from collections.abc import Callable
from typing import Any

from perflab.errors import require
from perflab.measure.machine import Machine
from perflab.systems.loadgen.process import follow
from perflab.systems.loadgen.progress import Progress, Tracker
from perflab.systems.loadgen.result import LoadResult
from perflab.systems.loadgen.scenario import Scenario, scenario_of
from perflab.systems.loadgen.target import origin
from perflab.systems.loadgen.workload import Workload, whole


def run_load(
    target: Any,
    workload: Workload | Scenario,
    *,
    watch: Callable[[Progress], object] | None = None,
    server_pid: int | None = None,
    allow_remote: bool = False,
    **options: Any,
) -> LoadResult:
    """Put a load on a server and return every request's times and the memory of both sides.

        run_load(shop, Open(rate=400), route="/pay", warm_up=0.5)

    `target` is a URL, or an object with `.url` and, for memory and CPU of the server, `.pid`
    (else give `server_pid`); with an `.authority`, a file, that certificate is trusted over TLS.
    `options` are the fields of a `Scenario`: route, warm_up, timeout,
    grace, connections, max_bytes, seed; a Scenario in place of the workload has them itself.

    `watch` is called with a Progress about five times a second, in this thread. The load itself
    comes from a child process: a running event loop or a busy interpreter here do not disturb it.

    Raises ValueError for a target that is not this machine (unless `allow_remote`) and for
    numbers that make no sense; LoadError if the generator itself failed. Whatever the server
    does is a result.
    """
    scenario = scenario_of(workload, options)
    base = origin(target, allow_remote)
    require(watch is None or callable(watch), "watch", watch, "a function of a Progress, or None")
    if server_pid is None:
        server_pid = getattr(target, "pid", None) or None  # 0: a server that never ran
    settings, times = scenario.settings(base), scenario.times()
    settings["scheduled"] = times.size
    authority = getattr(target, "authority", None)
    settings["authority"] = None if authority is None else str(authority)
    settings["server_pid"] = (
        None if server_pid is None else whole("server_pid", server_pid, 1, 1 << 31)
    )
    tracker = Tracker(scenario.workload, scenario.warm_up)
    facts = follow(settings, times, tracker, watch)
    return result_of(scenario, base, tracker, facts)


def result_of(
    scenario: Scenario, target: str, tracker: Tracker, facts: dict[str, Any]
) -> LoadResult:
    """The result of a run that is over: what was gathered, and the engine's last word."""
    return LoadResult(
        target=target,
        paths=tuple(route.name for route in scenario.routes),
        workload=scenario.workload,
        settings={
            name: getattr(scenario, name) for name in ("warm_up", "timeout", "connections", "seed")
        },
        samples=tracker.samples(),
        readings=tracker.readings(),
        not_sent=int(facts["not_sent"]),
        t0=float(facts["t0"]),
        machine=Machine.here(),
    )
