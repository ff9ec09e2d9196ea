"""One object for all that is asked for, whoever runs it."""

import base64
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perflab.errors import require
from perflab.systems.loadgen.routes import Route, routes_of
from perflab.systems.loadgen.wire import MOST_BYTES
from perflab.systems.loadgen.workload import (
    Closed,
    Floats,
    Open,
    Workload,
    arrival_times,
    number,
    whole,
)


@dataclass(frozen=True, eq=False)
class Scenario:
    """A workload, what it asks for, and the limits of asking.

    `route` is a path, a `Route`, several of which each request takes one at random, or a mapping
    of paths to weights. For `warm_up` seconds the same load runs unrecorded. A request ends after
    `timeout` seconds or `max_bytes` of body as an error; bodies are read to their end, so that
    connections are kept, and not stored.

    At most `connections` requests are under way at once (closed: one for each user; open: 1,024,
    if the system allows so many open files). An open request that found none free is sent late,
    up to `grace` seconds after the workload's end; later it counts in `not_sent`. `seed` decides
    arrivals that are random, and which route each request takes.

    `routes` holds what `route` came to. ValueError for what makes no sense.
    """

    workload: Workload
    route: Any = "/"
    warm_up: float = 0.0
    timeout: float = 10.0
    grace: float = 1.0
    connections: int | None = None
    max_bytes: int = 64 << 20
    seed: int = 1
    routes: tuple[Route, ...] = field(init=False)

    def __post_init__(self) -> None:
        known = isinstance(self.workload, Open | Closed)
        require(known, "workload", self.workload, "Open(…) or Closed(…)")
        set_ = object.__setattr__
        set_(self, "routes", routes_of(self.route))
        for name, low, high in (("warm_up", 0, 3600), ("timeout", 0.001, 3600), ("grace", 0, 3600)):
            set_(self, name, number(name, getattr(self, name), low, high))
        set_(self, "max_bytes", whole("max_bytes", self.max_bytes, 1, MOST_BYTES - (1 << 20)))
        set_(self, "seed", whole("seed", self.seed, 0, 1 << 62))
        set_(self, "connections", _limit(self.workload, self.connections))

    def times(self) -> Floats:
        """Intended start times in seconds from −warm_up on, ascending, the warm-up at the
        workload's mean rate; none where the workload is closed."""
        if isinstance(self.workload, Closed):
            return np.empty(0)
        times = self.workload.schedule(self.seed)
        if not self.warm_up:
            return times
        rate = max(times.size, 1) / float(self.workload.duration or 1)
        arrivals = self.workload.arrivals
        style = arrivals if isinstance(arrivals, str) else "constant"
        before = arrival_times([(rate, rate, self.warm_up)], style, self.seed + 1) - self.warm_up
        return np.concatenate([before[before < 0], times])

    def settings(self, base: str) -> dict[str, Any]:
        """What the engine is told, fit for JSON: addresses begin with `base`."""
        names = ("warm_up", "timeout", "connections", "max_bytes", "seed")
        told: dict[str, Any] = {name: getattr(self, name) for name in names}
        told |= {"base": base, "routes": [_told(route) for route in self.routes]}
        workload = self.workload
        if isinstance(workload, Closed):
            told |= {"users": workload.users, "think_time": workload.think_time}
            return told | {"requests": workload.requests, "deadline": workload.duration}
        return told | {"users": None, "deadline": float(workload.duration or 0) + self.grace}

    def to_locust(self, path: str | Path) -> Path:
        """Write this scenario as a locustfile, which Locust runs on as many machines as it takes.

        ValueError for a schedule too long to be written down; OSError where it cannot be written.
        """
        from perflab.systems.loadgen import locust

        return locust.write(self, path)


def scenario_of(workload: Any, options: dict[str, Any]) -> Scenario:
    """A scenario as it is, or made of a workload and the scenario's other fields by name."""
    if isinstance(workload, Scenario):
        require(not options, "options", ", ".join(options), "left out: the scenario has them")
        return workload
    return Scenario(workload, **options)


def _told(route: Route) -> dict[str, Any]:
    body = None if route.body is None else base64.b64encode(route.body).decode()
    headers = [f"{name}: {value}" for name, value in route.headers.items()]
    return {"method": route.method, "path": route.path, "headers": headers, "body": body,
            "weight": route.weight}  # fmt: skip


def _limit(workload: Workload, asked: int | None) -> int:
    """How many connections may be open: what was asked for, or what workload and system want."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = 20_000 if hard == resource.RLIM_INFINITY else max(1, min(20_000, hard - 64))
    if asked is not None:
        return whole("connections", asked, 1, room)
    return min(workload.users if isinstance(workload, Closed) else 1024, room)
