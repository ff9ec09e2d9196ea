"""The timing middlewares: ours, the guide's three, and wrong ones."""

import asyncio
import dataclasses
from collections import deque

from perflab.contracts import middleware as contract
from perflab.contracts.middleware import by_counters, by_lines, by_stats
from perflab.guide.middleware import (
    Line,
    PerformanceMonitor,
    go_middleware,
    node_middleware,
    rust_middleware,
)
from perflab.measure.monitor import RequestMonitor

CONTRACT = contract
NONSENSE = {
    "RequestMonitor(wall)": (lambda bad: RequestMonitor(print, wall=bad), [None, 1, "x"]),
}

LEFT = "who left is told from who got an answer"
UNNOTICED = "who left unnoticed is told, too"
UNTIL_LEFT = "the time of who left ends with the leaving"
WAITED = "the wait before the application is known where a proxy tells it"
BREAKS_OFF = "a stream that breaks off half-way is counted, and as failed"
RAISES = "a handler that raises is counted"
CANCELLED = "a cancelled request is counted"
IN_IS_OUT = "requests in are requests counted, whoever leaves"
FLUSHED = "every part of a stream goes out when it is sent"
NOBODYS = {LEFT, UNNOTICED, UNTIL_LEFT, WAITED, BREAKS_OFF, CANCELLED}  # all three of the guide's
OF_RUST = {
    "a 500 is told from a 200",
    "a streamed body counts to its last byte",
    "a slow stream is told as slow",
    "0.6 ms is not nothing: 100 requests take 60 ms",
    RAISES,
}


# ── Ours, gone wrong


class Swallows(RequestMonitor):
    """Counts the exception and keeps it."""

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        except Exception:
            return


class NeverAsks(RequestMonitor):
    """Its receive always waits a moment first, so that the look ahead sees nothing."""

    async def __call__(self, scope, receive, send):
        async def later():
            await asyncio.sleep(0)
            return await receive()

        await super().__call__(scope, later if scope["type"] == "http" else receive, send)


class Gathers(RequestMonitor):
    """Sends a stream in one piece."""

    async def __call__(self, scope, receive, send):
        held = []

        async def at_the_end(message):
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                while held:
                    await send(held.pop(0))

        await super().__call__(scope, receive, at_the_end if scope["type"] == "http" else send)


class UntilTheHandlerEnds(RequestMonitor):
    """Times the clean-up after a client that has long left."""

    def _count(self, scope, request):
        request.ended = None
        super()._count(scope, request)


# ── The guide's, mended and half mended


def mended(app, log, clock):
    """What a reader may arrive at: one line for each request, whatever becomes of it."""

    async def middleware(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        request = Request(receive, send, clock)
        start, waited = clock(), waited_before(scope, clock)
        try:
            await app(scope, request.receive, request.send)
        except BaseException:
            request.ending = request.ending if request.ending == "left" else "raised"
            raise
        finally:
            seconds = (request.end if request.end is not None else clock()) - start
            facts = (scope["method"], scope["path"], request.status, seconds, seconds > 1)
            log(FullLine(*facts, ending=request.ending, waited=waited))

    return middleware


@dataclasses.dataclass(frozen=True)
class FullLine(Line):
    """The guide's line, and what it lacks."""

    ending: str = "answered"
    waited: float = 0.0


class Request:
    """What the mended middleware knows of one request."""

    def __init__(self, receive, send, clock):
        self._receive, self._send, self._clock = receive, send, clock
        self._early = deque()
        self.status, self.ending, self.end = None, "answered", None

    def leave(self):
        if self.end is None:
            self.ending, self.end = "left", self._clock()

    async def receive(self):
        message = self._early.popleft() if self._early else await self._receive()
        if message["type"] == "http.disconnect":
            self.leave()
        return message

    async def send(self, message):
        last = message["type"] == "http.response.body" and not message.get("more_body")
        if last:
            self.look()
        try:
            await self._send(message)
        except OSError:
            self.leave()
            raise
        if message["type"] == "http.response.start":
            self.status = message["status"]
        if last and self.end is None:
            self.end = self._clock()

    def look(self):
        """Take what receive has ready, and find out whether the client has left."""
        while self.end is None:
            waiting = self._receive().__await__()
            try:
                next(waiting)
            except StopIteration as done:
                self._early.append(done.value)
                if done.value["type"] == "http.disconnect":
                    self.leave()
            else:
                waiting.close()
                return


def waited_before(scope, clock):
    value = dict(scope["headers"]).get(b"x-request-start", b"")
    try:
        waited = clock() - float(value.removeprefix(b"t="))
    except ValueError:
        return 0.0
    return waited if 0 <= waited < 3600 else 0.0


def in_a_finally(app, log, clock):
    """A line whatever happens, and nothing else: counts are right, endings are not."""

    async def middleware(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start, status = clock(), None

        async def respond(message):
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await app(scope, receive, respond)
        finally:
            seconds = clock() - start
            log(Line(scope["method"], scope["path"], status, seconds, seconds > 1))

    return middleware


FAILS = [
    (by_stats(RequestMonitor), set()),
    (by_lines(mended), set()),
    (by_lines(node_middleware), NOBODYS | {IN_IS_OUT}),
    (by_lines(go_middleware), NOBODYS | {RAISES, FLUSHED}),
    (by_counters(rust_middleware, PerformanceMonitor), NOBODYS | OF_RUST),
    (by_stats(Swallows), {"an exception goes on to the server"}),
    (by_stats(NeverAsks), {UNNOTICED}),
    (by_stats(Gathers), {FLUSHED}),
    (by_stats(UntilTheHandlerEnds), {UNTIL_LEFT}),
    (by_lines(in_a_finally), NOBODYS - {CANCELLED}),
]
