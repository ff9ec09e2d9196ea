"""GET for a load tester written in asyncio, with connections kept as Go's default client does.

After its answer was read to the end a connection waits for the next request, two of them at
most (`MaxIdleConnsPerHost` of net/http's Transport); one more is closed. An answer that is closed
before it was read takes its connection with it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from typing import Self, TypeVar
from urllib.parse import urlsplit

from perflab.errors import require

T = TypeVar("T")
THREADS = 64  # requests at a time; http.client blocks


class HttpAnswer:
    """An answer whose header has come: `read` fetches the body, `close` gives it up."""

    def __init__(self, client: "HttpGet", connection: HTTPConnection, raw: HTTPResponse) -> None:
        self._client, self._connection, self._raw = client, connection, raw
        self.status = raw.status
        if raw.length == 0:  # no body: there is nothing to read
            raw.close()
            client._finished(connection, raw)

    async def read(self) -> bytes:
        if self._raw.isclosed():
            return b""
        body = await self._client._threaded(self._connection, self._raw.read)
        self._client._finished(self._connection, self._raw)
        return body

    def close(self) -> None:
        """Without effect on an answer that was read; else the connection is closed too."""
        if not self._raw.isclosed():
            self._raw.close()
            self._client._drop(self._connection)


class HttpGet:
    """`await client.get()` asks for `url` (http://host:port/path) and returns an `HttpAnswer`.

    Its state belongs to the event loop's thread: `connections`, opened so far, refused ones
    included; `_idle`, those that wait for a request, the last used on top; `_busy`, the others.
    Raises from `get` and `read` what http.client raises: OSError, TimeoutError, HTTPException.
    """

    def __init__(self, url: str, idle: int = 2, timeout: float = 10.0) -> None:
        require(isinstance(url, str), "url", url, "http://host:port/path")
        parts = urlsplit(url)
        usable = parts.scheme == "http" and bool(parts.hostname)
        require(usable, "url", url, "http://host:port/path")
        require(type(idle) is int and idle >= 0, "idle", idle, "a whole number, at least 0")
        self._host, self._port = str(parts.hostname), parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._keep, self._timeout = idle, timeout
        self._pool = ThreadPoolExecutor(THREADS, "http-get")
        self._idle: list[HTTPConnection] = []
        self._busy: set[HTTPConnection] = set()
        self.connections = 0

    async def get(self) -> HttpAnswer:
        """Send a GET, on an open connection if one is free; returns when the header has come."""
        if self._idle:
            connection = self._idle.pop()
            try:
                return await self._ask(connection)
            except ConnectionError:  # the server has closed it meanwhile: once more, as Go does
                pass
        self.connections += 1
        return await self._ask(HTTPConnection(self._host, self._port, timeout=self._timeout))

    async def _ask(self, connection: HTTPConnection) -> HttpAnswer:
        def ask() -> HTTPResponse:
            connection.request("GET", self._path)
            return connection.getresponse()

        self._busy.add(connection)
        return HttpAnswer(self, connection, await self._threaded(connection, ask))

    async def _threaded(self, connection: HTTPConnection, blocking: Callable[[], T]) -> T:
        """Run it in the pool; if it fails or nobody waits for it any more, drop the connection."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, blocking)
        except BaseException:
            self._drop(connection)
            raise

    def _finished(self, connection: HTTPConnection, raw: HTTPResponse) -> None:
        if raw.will_close or len(self._idle) >= self._keep:
            self._drop(connection)
        else:
            self._busy.discard(connection)
            self._idle.append(connection)

    def _drop(self, connection: HTTPConnection) -> None:
        self._busy.discard(connection)
        connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for connection in [*self._idle, *self._busy]:
            self._drop(connection)
        self._idle.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
