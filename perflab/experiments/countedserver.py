"""A server in this event loop that counts what reaches it, and answers when it is told to."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from psutil import Process

from perflab.errors import is_whole, require
from perflab.systems.httpget import HttpGet
from perflab.systems.servers import HOST
from perflab.systems.slowlink import link

Floats = NDArray[np.float64]

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class CountedServer:
    """An HTTP server for clients of the same event loop: `async with CountedServer(50) as server`.

    With `burst` it holds all answers back until so many requests are there: no request of a burst
    can then be served by the connection of another, whatever the machine does.

    State: `connections` accepted, `requests` and the most of them at once, `most`; the requests
    that wait, and the event that lets them go. The event loop's thread alone touches it.
    """

    def __init__(self, burst: int = 1) -> None:
        require(is_whole(burst) and burst >= 1, "burst", burst, "a whole number, at least 1")
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


@dataclass(frozen=True)
class Bursts:
    """One entry a burst: `seconds` of its slowest request; `connections` opened so far, as the
    server counted them; `resident` bytes of this process, which holds both ends."""

    seconds: Floats
    connections: NDArray[np.int64]
    resident: NDArray[np.int64]


async def in_bursts(
    clients: Callable[[Callable[..., HttpGet]], Callable[[], HttpGet]],
    *,
    burst: int = 50,
    bursts: int = 20,
    delay: float = 0.005,
) -> Bursts:
    """So many bursts of requests at once, over a link with this delay.

    `clients(connect)` makes clients with `connect(idle=…)` and returns a function that gives the
    one for the next request.
    """
    with ExitStack() as stack:
        async with CountedServer(burst) as server:
            slow = await asyncio.to_thread(link(server, delay=delay).start)
            stack.callback(slow.stop)

            def connect(idle: int) -> HttpGet:
                return stack.enter_context(HttpGet(slow.url + "/", idle=idle))

            choose, rows = clients(connect), []
            for _ in range(bursts):
                took = await asyncio.gather(*(_timed(choose()) for _ in range(burst)))
                rows.append((max(took), server.connections, Process().memory_info().rss))
    seconds, connections, resident = zip(*rows, strict=True)
    return Bursts(np.array(seconds), np.array(connections), np.array(resident))


async def _timed(client: HttpGet) -> float:
    began = perf_counter()
    answer = await client.get()
    await answer.read()
    return perf_counter() - began
