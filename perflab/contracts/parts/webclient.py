"""The server that a check plays on virtual time: one client a request, and what reaches it."""

import asyncio
import math
from typing import Any

from perflab.contracts.parts.tally import Make, Tally
from perflab.measure.request import App, Message, Receive, Send
from perflab.measure.virtual import VirtualClock, run_virtual

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}
END: Message = {"type": "http.response.body", "body": b"end"}


class BrokenError(Exception):
    """What a handler raises."""


class Client:
    """The server's side of one request whose client leaves at that moment.

    What is sent to it after that is dropped, or `refuses`d with OSError as servers of ASGI 2.4
    do; `receive` then tells that it has gone. State: `got`, when each message reached it.
    """

    def __init__(
        self, leaves: float = math.inf, *, refuses: bool = False, came: bytes | None = None
    ) -> None:
        self.got: list[tuple[float, Message]] = []
        self._leaves, self._refuses = leaves, refuses
        self._asked = False
        header = [] if came is None else [(b"x-request-start", came)]
        self.scope = {"type": "http", "method": "GET", "path": "/", "headers": header}

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if self._leaves == math.inf:
            await asyncio.Event().wait()  # a client that stays says nothing more
        if now() < self._leaves:
            await asyncio.sleep(self._leaves - now())
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if now() < self._leaves:
            self.got.append((now(), message))
        elif self._refuses:
            raise OSError("the client has left")


def now() -> float:
    return asyncio.get_running_loop().time()


def script(*steps: float | Message | Exception | type[Client]) -> App:
    """An application that waits (a number), sends (a message), raises, or waits for the leaving."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, int | float):
                await asyncio.sleep(step)
            elif step is Client:
                while (await receive())["type"] != "http.disconnect":
                    pass
            else:
                await send(step)  # type: ignore[arg-type]  # what is left of the union

    return app


def play(make: Make, *requests: tuple[App, Client]) -> tuple[Tally, list[object]]:
    """Serve these requests one after the other; what was counted, and what each one raised."""
    clock = VirtualClock()
    turn = iter([app for app, _ in requests])

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        await next(turn)(scope, receive, send)

    watched = make(application, clock)

    async def serve() -> list[object]:
        raised: list[object] = []
        for _, client in requests:
            try:
                await watched.app(client.scope, client.receive, client.send)
                raised.append(None)
            except Exception as error:
                raised.append(error)
        return raised

    raised = run_virtual(serve(), clock)
    return watched.tally(), raised
