"""A server in this event loop that counts what reaches it, and answers when it is told to."""

import asyncio
from typing import Any, Self

from perflab.errors import require
from perflab.systems.servers import HOST

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class CountedServer:
    """An HTTP server for clients of the same event loop: `async with CountedServer(50) as server`.

    With `burst` it holds all answers back until so many requests are there: no request of a burst
    can then be served by the connection of another, whatever the machine does.

    State: `connections` accepted, `requests` and the most of them at once, `most`; the requests
    that wait, and the event that lets them go. The event loop's thread alone touches it.
    """

    def __init__(self, burst: int = 1) -> None:
        whole = isinstance(burst, int) and not isinstance(burst, bool)
        require(whole and burst >= 1, "burst", burst, "a whole number, at least 1")
        self.burst = burst
        self.connections = self.requests = self.most = 0
        self._here = 0
        self._go = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await self._wait_for_burst()
                writer.write(ANSWER)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has closed
        finally:
            self._open.discard(writer)
            writer.close()

    async def _wait_for_burst(self) -> None:
        self.requests += 1
        self._here += 1
        self.most = max(self.most, self._here)
        go = self._go
        if self._here >= self.burst:
            self._here, self._go = 0, asyncio.Event()  # who comes next belongs to the next burst
            go.set()
        await go.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.close()
