"""The guide's three timing middlewares as ASGI, ported with their defects.

(guide, lines 78–94, Node; 170–199, Go; 249–280 and 311–324, Rust.) Kept as they are, in all three:

- the clock starts when the application is called, after whatever wait there was before that;
- a line or a count does not say that the client left, or that the handler failed half-way.

In Node's: a line is written on «finish», which never comes for a client that left.

In Go's: the line stands after the call, so a handler that panics writes none; a client that left
without an answer is a 200; the wrapped ResponseWriter is no Flusher any more, so that parts of a
stream wait until net/http's buffer of 4 kB is full or the handler returns.

In Rust's: `?` leaves before anything is recorded when the handler fails; what is timed ends with
the head of the answer, before a streamed body is sent; durations are cut to whole milliseconds;
no status is kept; and `get_stats` loads three counters one after the other.

What the port does of its own: Go's and Node's lines are records; Express answers 500 to what a
handler throws and «finish» follows, so Node's port writes that line; a server that drops what is
sent to a client that has left hides the leaving from Node's port, which then writes a line where
Node would not; in Go nothing cancels a handler, here a cancelled one has no line; Rust's asks
for another type than was registered and would panic (g 320, 332): its port is handed the monitor.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Clock = Callable[[], float]

SLOW = 1.0  # seconds; beyond it the guide writes a second line
BUFFERED = 4096  # bytes that net/http holds back until somebody flushes


@dataclass(frozen=True)
class Line:
    """What is logged of one request."""

    method: str
    path: str
    status: int
    seconds: float
    slow: bool


Log = Callable[[Line], object]


def is_last(message: Message) -> bool:
    """Whether an answer is complete with this message."""
    return message["type"] == "http.response.body" and not message.get("more_body", False)


# ── Node


def node_middleware(app: App, log: Log, clock: Clock) -> App:
    async def performance_middleware(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start = clock()

        def on_finish(status: int) -> None:
            duration = clock() - start
            log(Line(scope["method"], scope["path"], status, duration, duration > SLOW))

        response = NodeResponse(send, on_finish)
        try:
            await app(scope, receive, response.send)
        except Exception:
            if not response.begun:
                on_finish(500)
            raise

    return performance_middleware


class NodeResponse:
    """Node's `res`: calls `on_finish` when the last byte went to a client that is still there."""

    def __init__(self, send: Send, on_finish: Callable[[int], None]) -> None:
        self._send, self._on_finish = send, on_finish
        self.status_code = 200
        self.begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self.status_code = message["status"]
        await self._send(message)  # raises where the client has left
        if is_last(message):
            self._on_finish(self.status_code)


# ── Go


def go_middleware(app: App, log: Log, clock: Clock) -> App:
    async def performance_middleware(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start = clock()
        writer = ResponseWriter(send)
        await app(scope, receive, writer.send)
        duration = clock() - start
        log(Line(scope["method"], scope["path"], writer.status_code, duration, duration > SLOW))

    return performance_middleware


class ResponseWriter:
    """Go's wrapped writer: it knows the status, and nobody can flush through it.

    State: `_held`, messages that wait for the buffer to fill, and their `_bytes`.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status_code = 200
        self._held: list[Message] = []
        self._bytes = 0

    def write_header(self, code: int) -> None:
        self.status_code = code

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.write_header(message["status"])
        self._held.append(message)
        self._bytes += len(message.get("body", b""))
        if self._bytes > BUFFERED or is_last(message):
            held, self._held, self._bytes = self._held, [], 0
            for one in held:
                try:
                    await self._send(one)
                except OSError:  # an error that a Go handler hardly ever looks at
                    return


# ── Rust


class AtomicU64:
    """One counter; each of its operations is whole, two of them together are not."""

    def __init__(self) -> None:
        self._value = 0

    def fetch_add(self, amount: int) -> None:
        self._value += amount

    def load(self) -> int:
        return self._value


class PerformanceMonitor:
    """Count, total milliseconds and slow requests, each an atomic of its own."""

    def __init__(self, counter: Callable[[], AtomicU64] = AtomicU64) -> None:
        self.request_count, self.total_duration, self.slow_requests = (counter() for _ in range(3))

    def record_request(self, duration: int) -> None:
        self.request_count.fetch_add(1)
        self.total_duration.fetch_add(duration)
        if duration > 1000:
            self.slow_requests.fetch_add(1)

    def get_stats(self) -> tuple[int, int, int]:
        count = self.request_count.load()
        total = self.total_duration.load()
        slow = self.slow_requests.load()
        return count, total, slow


def rust_middleware(app: App, monitor: PerformanceMonitor, clock: Clock) -> App:
    async def performance_middleware(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start = clock()

        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start":  # here `next.run` returns
                monitor.record_request(int((clock() - start) * 1000))
            await send(message)

        await app(scope, receive, respond)

    return performance_middleware
