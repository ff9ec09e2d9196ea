"""What a web application does with its requests: a pure ASGI middleware counts and times them."""

import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from perflab.errors import TooFewSamplesError, require
from perflab.measure.histogram import LatencyHistogram
from perflab.measure.percentiles import is_number

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

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
    ) -> None:
        require(is_number(slow) and slow >= 0, "slow", slow, "seconds, at least 0")
        whole = isinstance(keep, int) and not isinstance(keep, bool) and 0 <= keep <= 1_000_000
        require(whole, "keep", keep, "a whole number from 0 to 1,000,000")
        require(callable(app), "app", app, "an ASGI application")
        require(callable(clock), "clock", clock, "a function that returns seconds")
        self._app = app
        self._slow = slow
        self._clock = clock
        self._routes: dict[str, _Route] = {}
        self._log: deque[SlowRequest] = deque(maxlen=keep)
        self._slow_requests = 0
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = _Request(receive, send, self._clock)
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

    def _count(self, scope: Scope, request: "_Request") -> None:
        seconds = request.ended_at() - request.began
        name = getattr(scope.get("route"), "path", UNMATCHED)
        self._routes.setdefault(name, _Route()).count(request, seconds)
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

    def count(self, request: "_Request", seconds: float) -> None:
        self.requests += 1
        if request.status is not None:
            self.statuses[request.status] += 1
        self.exceptions += request.raised
        self.left += request.left
        self.bytes_sent += request.bytes_sent
        self.latency.record(seconds)

    def snapshot(self) -> RouteStats:
        latency = LatencyHistogram()
        latency.merge(self.latency)
        statuses = MappingProxyType(dict(self.statuses))
        counts = (self.exceptions, self.left, self.bytes_sent)
        return RouteStats(self.requests, statuses, *counts, latency)


class _Request:
    """One request: stands between the server and the application and takes notes.

    State: `status` once the answer has begun; `ended`, the clock when its last byte was written or,
    with `left`, when the client was seen to be gone before that. `_early` holds messages that were
    looked at before the application asked for them.
    """

    def __init__(self, receive: Receive, send: Send, clock: Callable[[], float]) -> None:
        self._receive = receive
        self._send = send
        self._clock = clock
        self._early: deque[Message] = deque()
        self.status: int | None = None
        self.bytes_sent = 0
        self.raised = False
        self.left = False
        self.ended: float | None = None
        self.began = clock()

    async def receive(self) -> Message:
        message = self._early.popleft() if self._early else await self._receive()
        return self._look(message)

    async def send(self, message: Message) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last:
            self._peek()
        try:
            await self._send(message)
        except OSError:  # the client is gone, says a server of ASGI 2.4
            self._end(left=True)
            raise
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body" and not self.left:
            self.bytes_sent += len(message.get("body", b""))
        if last:
            self._end(left=False)

    def ended_at(self) -> float:
        """When it ended: now, unless its last byte or its leaving was noted before."""
        return self._clock() if self.ended is None else self.ended

    def _end(self, left: bool) -> None:
        if self.ended is None:
            self.ended = self._clock()
            self.left = left

    def _look(self, message: Message) -> Message:
        if message["type"] == "http.disconnect":
            self._end(left=True)
        return message

    def _peek(self) -> None:
        """Note whether the client has left, although the application never asked.

        Servers drop what is sent to a client that is gone without a word; only `receive` tells.
        So it is started here by hand: either it returns a message at once, or it would wait, and
        is closed again without having taken anything.
        """
        while not self.left:
            coroutine = self._receive().__await__()
            try:
                next(coroutine)
            except StopIteration as returned:
                self._early.append(self._look(returned.value))
            else:
                coroutine.close()
                return


def _percentile(latency: LatencyHistogram, p: float) -> float | None:
    with suppress(TooFewSamplesError):
        return latency.percentile(p)
    return None
