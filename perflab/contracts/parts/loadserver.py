"""The server that a load tester is tried on: a model on virtual time that counts what came."""

import asyncio
from collections.abc import Callable

from perflab.measure.model import Answer, ModelServer


class Server:
    """A model of a server: `await get()` for asyncio testers, `arrive(now)` for modelled ones.

    `body` is how many seconds the body comes after the header; of requests for whose number
    `breaks` is true, the connection breaks instead of an answer (a modelled tester sees a 503).

    Its state: `arrivals`, the time of each request; `failed`, how many of them ended badly;
    `connections` opened so far, and `_idle`, those of them that wait for the next request.
    """

    def __init__(
        self,
        model: ModelServer,
        body: float = 0.0,
        breaks: Callable[[int], bool] = lambda number: False,
    ) -> None:
        self.arrivals: list[float] = []
        self.failed = 0
        self.connections = 0
        self._idle = 0
        self._model, self._body, self._breaks = model, body, breaks

    def arrive(self, now: float) -> Answer:
        """The answer to a request that arrives now: seconds until its last byte, and status."""
        number = len(self.arrivals)
        self.arrivals.append(now)
        answer = self._model.arrive(now)
        status = 503 if self._breaks(number) else answer.status
        self.failed += status >= 400
        return Answer(answer.seconds + self._body, status)

    async def get(self) -> "Response":
        if self._idle:
            self._idle -= 1
        else:
            self.connections += 1
        breaks = self._breaks(len(self.arrivals))
        answer = self.arrive(asyncio.get_running_loop().time())
        await asyncio.sleep(answer.seconds - self._body)
        if breaks:
            raise ConnectionResetError("connection reset by peer")
        return Response(answer.status, self._body, self._give_back)

    def _give_back(self) -> None:
        self._idle += 1


class Response:
    """An answer whose header is there; `read` waits for the body and frees the connection."""

    def __init__(self, status: int, body: float, give_back: Callable[[], None]) -> None:
        self.status = status
        self._body, self._give_back = body, give_back
        self._open = True

    async def read(self) -> bytes:
        if not self._open:
            return b""
        await asyncio.sleep(self._body)
        self._open = False
        self._give_back()
        return b"{}"

    def close(self) -> None:
        """Unless it was read, the connection is closed too and serves no other request."""
        self._open = False
