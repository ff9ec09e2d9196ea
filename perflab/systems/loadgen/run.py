"""Runs a load test: checks what is asked for, and makes a result of what the engine says."""

import resource
from collections.abc import Callable
from typing import Any

import numpy as np

from perflab.errors import require
from perflab.measure.machine import Machine
from perflab.systems.loadgen.process import follow
from perflab.systems.loadgen.progress import Progress, Tracker
from perflab.systems.loadgen.result import LoadResult
from perflab.systems.loadgen.target import origin
from perflab.systems.loadgen.wire import MOST_BYTES
from perflab.systems.loadgen.workload import (
    Closed,
    Floats,
    Open,
    Workload,
    arrival_times,
    number,
    weigh,
    whole,
)


def run_load(
    target: Any,
    workload: Workload,
    *,
    route: Any = "/",
    warm_up: float = 0.0,
    timeout: float = 10.0,
    grace: float = 1.0,
    connections: int | None = None,
    max_bytes: int = 64 << 20,
    server_pid: int | None = None,
    watch: Callable[[Progress], object] | None = None,
    seed: int = 1,
    allow_remote: bool = False,
) -> LoadResult:
    """Put a load on a server and return every request's times and the memory of both sides.

    `target` is a URL, or an object with `.url` and, for memory and CPU of the server, `.pid`
    (else give `server_pid`). `route` is a path, several paths of which each request takes one at
    random, or a mapping of paths to weights. For `warm_up` seconds the same load runs
    unrecorded. A request ends after `timeout` seconds or `max_bytes` of body as an error; bodies
    are read to their end, so that connections are kept, and not stored.

    At most `connections` requests are under way at once (closed: one for each user; open: 1,024,
    if the system allows so many open files). An open request that found none free is sent late,
    up to `grace` seconds after the workload's end; later it counts in `not_sent`.

    `watch` is called with a Progress about five times a second, in this thread. The load itself
    comes from a child process: a running event loop or a busy interpreter here do not disturb it.

    Raises ValueError for a target that is not this machine (unless `allow_remote`) and for
    numbers that make no sense; LoadError if the generator itself failed. Whatever the server
    does is a result.
    """
    weights = weigh(route)
    base = origin(target, allow_remote)
    require(watch is None or callable(watch), "watch", watch, "a function of a Progress, or None")
    if server_pid is None:
        server_pid = getattr(target, "pid", None) or None  # 0: a server that never ran
    settings: dict[str, Any] = {
        "urls": [base + path for path in weights],
        "weights": list(weights.values()),
        "warm_up": number("warm_up", warm_up, 0, 3600),
        "timeout": number("timeout", timeout, 0.001, 3600),
        "connections": connection_limit(workload, connections),
        "max_bytes": whole("max_bytes", max_bytes, 1, MOST_BYTES - (1 << 20)),
        "server_pid": None if server_pid is None else whole("server_pid", server_pid, 1, 1 << 31),
        "seed": whole("seed", seed, 0, 1 << 62),
        **plan_settings(workload, number("grace", grace, 0, 3600)),
    }
    times = planned_times(workload, settings["warm_up"], settings["seed"])
    settings["scheduled"] = times.size
    tracker = Tracker(workload, settings["warm_up"])
    facts = follow(settings, times, tracker, watch)
    return LoadResult(
        target=base,
        paths=tuple(weights),
        workload=workload,
        settings={k: settings[k] for k in ("warm_up", "timeout", "connections", "seed")},
        samples=tracker.samples(),
        readings=tracker.readings(),
        not_sent=int(facts["not_sent"]),
        t0=float(facts["t0"]),
        machine=Machine.here(),
    )


def plan_settings(workload: Workload, grace: float) -> dict[str, Any]:
    """What the engine needs of a workload besides its start times."""
    if isinstance(workload, Closed):
        return {"users": workload.users, "think_time": workload.think_time,
                "requests": workload.requests, "deadline": workload.duration}  # fmt: skip
    require(isinstance(workload, Open), "workload", workload, "Open(…) or Closed(…)")
    return {"users": None, "deadline": float(workload.duration or 0) + grace}


def planned_times(workload: Workload, warm_up: float, seed: int) -> Floats:
    """Start times from −warm_up on, the warm-up at the workload's mean rate; none if closed."""
    if isinstance(workload, Closed):
        return np.empty(0)
    times = workload.schedule(seed)
    if not warm_up:
        return times
    rate = max(times.size, 1) / float(workload.duration or 1)
    style = workload.arrivals if isinstance(workload.arrivals, str) else "constant"
    before = arrival_times([(rate, rate, warm_up)], style, seed + 1) - warm_up
    return np.concatenate([before[before < 0], times])


def connection_limit(workload: Workload, asked: int | None) -> int:
    """How many connections may be open: what was asked for, or what workload and system want."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = 20_000 if hard == resource.RLIM_INFINITY else max(1, min(20_000, hard - 64))
    if asked is not None:
        return whole("connections", asked, 1, room)
    return min(workload.users if isinstance(workload, Closed) else 1024, room)
