"""What a web application does with its requests: a pure ASGI middleware counts and times them."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from perflab.errors import TooFewSamplesError, is_number, is_whole, require
from perflab.measure.histogram import LatencyHistogram
from perflab.measure.request import App, Receive, Request, Scope, Send, waited_before

UNMATCHED = "(no route)"  # one name for all, or a scanner's made-up paths would fill the memory


@dataclass(frozen=True)
class RouteStats:
    """Requests of one route that have ended, in whatever way."""

    requests: int  # all of them
    statuses: Mapping[int, int]  # those that had begun to answer, by status
    exceptions: int  # the application raised, but not over a client that had left
    left: int  # the client left before the last byte was written
    bytes_sent: int  # of bodies
    latency: (
        LatencyHistogram  # seconds from the call to the last byte, the exception or the leaving
    )
    wait: LatencyHistogram  # seconds before the call, of the requests whose proxy told it

    @property
    def errors(self) -> int:
        """Answers with status 500 or above."""
        return sum(n for status, n in self.statuses.items() if status >= 500)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; a percentile from too few samples is None."""
        return {
            "requests": self.requests,
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "exceptions": self.exceptions,
            "left": self.left,
            "bytes_sent": self.bytes_sent,
            "mean": self.latency.mean,
            **{f"p{p}": _percentile(self.latency, p) for p in (50, 90, 99)},
            "max": self.latency.max,
        }


@dataclass(frozen=True)
class SlowRequest:
    """A request that took as long as the threshold, or longer."""

    method: str
    path: str
    status: int | None  # None: it had not begun to answer
    seconds: float


@dataclass(frozen=True)
class MonitorStats:
    """All that a monitor knew at one moment."""

    routes: Mapping[str, RouteStats]
    slow: tuple[SlowRequest, ...]  # the latest ones, oldest first
    slow_requests: int  # all that were slow, kept in `slow` or not
    in_flight: int  # begun and not ended

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "routes": {name: route.as_dict() for name, route in sorted(self.routes.items())},
            "slow": [vars(request) for request in self.slow],
            "slow_requests": self.slow_requests,
            "in_flight": self.in_flight,
        }


class RequestMonitor:
    """Wraps an ASGI application; `stats()` tells about its requests by route.

    A request is slow from `slow` seconds on; the latest `keep` slow ones are kept. Its time ends
    when the server has taken the last byte of its body, which for a streamed body is later than
    its first. An exception is counted and raised on; a route is the pattern that the framework
    leaves in `scope["route"].path` (Starlette, FastAPI). `clock` gives seconds.

    The wait before the call is seen by whoever stands in front: where a proxy writes the moment
    that it got the request into X-Request-Start (nginx: "t=${msec}"), it is counted by `wall`.

    State: a `_Route` of counts for each route, the slow log, `_slow_requests`, `_in_flight`. It is
    changed by the event loop's thread alone, in steps that no other task can come between.
    """

    def __init__(
        self,
        app: App,
        *,
        slow: float = 0.1,
        keep: int = 100,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        require(is_number(slow) and slow >= 0, "slow", slow, "seconds, at least 0")
        whole = is_whole(keep) and 0 <= keep <= 1_000_000
        require(whole, "keep", keep, "a whole number from 0 to 1,000,000")
        require(callable(app), "app", app, "an ASGI application")
        require(callable(clock), "clock", clock, "a function that returns seconds")
        require(callable(wall), "wall", wall, "a function that returns seconds since 1970")
        self._app = app
        self._slow = slow
        self._clock = clock
        self._wall = wall
        self._routes: dict[str, _Route] = {}
        self._log: deque[SlowRequest] = deque(maxlen=keep)
        self._slow_requests = 0
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(receive, send, self._clock)
        request.waited = waited_before(scope, self._wall)
        self._in_flight += 1
        try:
            await self._app(scope, request.receive, request.send)
        except Exception:
            request.raised = not request.left
            raise
        finally:
            self._in_flight -= 1
            self._count(scope, request)

    def stats(self) -> MonitorStats:
        """A snapshot: what comes later does not change it."""
        routes = {name: route.snapshot() for name, route in self._routes.items()}
        counts = (self._slow_requests, self._in_flight)
        return MonitorStats(MappingProxyType(routes), tuple(self._log), *counts)

    def _count(self, scope: Scope, request: Request) -> None:
        seconds = request.ended_at() - request.began
        name = getattr(scope.get("route"), "path", UNMATCHED)
        if name not in self._routes:  # not setdefault: a _Route is dear to make
            self._routes[name] = _Route()
        self._routes[name].count(request, seconds)
        if seconds >= self._slow:
            self._slow_requests += 1
            self._log.append(SlowRequest(scope["method"], scope["path"], request.status, seconds))


class _Route:
    """Counts of one route; see RouteStats."""

    def __init__(self) -> None:
        self.requests = 0
        self.statuses: Counter[int] = Counter()
        self.exceptions = 0
        self.left = 0
        self.bytes_sent = 0
        self.latency = LatencyHistogram()
        self.wait = LatencyHistogram()

    def count(self, request: Request, seconds: float) -> None:
        self.requests += 1
        if request.status is not None:
            self.statuses[request.status] += 1
        self.exceptions += request.raised
        self.left += request.left
        self.bytes_sent += request.bytes_sent
        self.latency.record(seconds)
        if request.waited is not None:
            self.wait.record(request.waited)

    def snapshot(self) -> RouteStats:
        latency, wait = LatencyHistogram(), LatencyHistogram()
        latency.merge(self.latency)
        wait.merge(self.wait)
        statuses = MappingProxyType(dict(self.statuses))
        counts = (self.exceptions, self.left, self.bytes_sent)
        return RouteStats(self.requests, statuses, *counts, latency, wait)


def _percentile(latency: LatencyHistogram, p: float) -> float | None:
    with suppress(TooFewSamplesError):
        return latency.percentile(p)
    return None
