"""One request of a web application, as an ASGI middleware sees it pass."""

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_WAIT = 3600.0  # seconds; what claims to have waited longer is made up, or no seconds


class Request:
    """One request: stands between the server and the application and takes notes.

    State: `status` once the answer has begun; `ended`, the clock when its last byte was written or,
    with `left`, when the client was seen to be gone before that; `waited`, seconds before the call
    where they are known. `_early` holds messages that were looked at before the application asked
    for them.
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
        self.waited: float | None = None
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


def waited_before(scope: Scope, wall: Callable[[], float]) -> float | None:
    """Seconds since a proxy got the request; None where none tells, or where it makes no sense."""
    for name, value in scope.get("headers", ()):
        if name == b"x-request-start":
            with suppress(ValueError):  # no number, or no text
                waited = wall() - float(value.removeprefix(b"t="))
                return waited if 0 <= waited < LONGEST_WAIT else None
    return None
