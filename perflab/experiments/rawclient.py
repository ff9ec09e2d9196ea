"""A client on a bare socket, with or without TLS, that wastes no packet.

What ends a handshake leaves in one write with the request that follows it, so that the round trips
which a link counts are those that the protocol demands, on a busy machine too.
"""

import socket
import ssl
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from psutil import Process

from perflab.errors import require
from perflab.systems.slowlink import link

PIECE = 65536


class RawClient:
    """`get(path)` returns the seconds from before the connection to the last byte of the body.

    `server` has a `.url`; `authority` is the file to trust over TLS. With `kept` one connection
    serves all requests, else each has one of its own; with `resume` a new TLS connection continues
    the session of the one before.

    State: the open socket and its TLS object, if any; the session to resume; `connections` opened
    and, of them, handshakes `resumed`. One thread. Raises OSError where no whole answer comes.
    """

    def __init__(
        self, server: Any, authority: Any = None, *, kept: bool = True, resume: bool = False
    ) -> None:
        url = getattr(server, "url", None)
        require(isinstance(url, str), "server", server, "something with a .url")
        parts = urlsplit(str(url))
        self._place = (str(parts.hostname), parts.port or 80)
        self._context: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._context = ssl.create_default_context(cafile=authority)
        self._kept, self._resume = kept, resume
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLObject | None = None
        self._session: ssl.SSLSession | None = None
        self.connections = self.resumed = 0

    def get(self, path: str = "/health") -> float:
        began = perf_counter()
        self.ask([path])
        return perf_counter() - began

    def ask(self, paths: list[str]) -> list[bytes]:
        """All requests in one write, the answers' bodies in their order (pipelining)."""
        if self._socket is None:
            self._open()
        requests = "".join(f"GET {one} HTTP/1.1\r\nhost: localhost\r\n\r\n" for one in paths)
        self._send(requests.encode())
        rest, bodies = b"", []
        for _ in paths:
            body, rest = self._answer(rest)
            bodies.append(body)
        if self._tls is not None and self._resume:
            self._session = self._tls.session
        if not self._kept:
            self.close()
        return bodies

    def _open(self) -> None:
        self._socket = socket.create_connection(self._place, timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        if self._context is None:
            return
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._context.wrap_bio(
            self._in, self._out, server_hostname=self._place[0], session=self._session
        )
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._in.write(self._received())
        self.resumed += bool(self._tls.session_reused)

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        if self._tls is None:
            self._socket.sendall(data)
        else:
            self._tls.write(data)
            self._flush()

    def _flush(self) -> None:
        assert self._socket is not None
        waiting = self._out.read()
        if waiting:
            self._socket.sendall(waiting)

    def _received(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(PIECE)
        if not data:
            raise ConnectionError("the server has closed the connection")
        return data

    def _read(self) -> bytes:
        if self._tls is None:
            return self._received()
        while True:
            try:
                data = self._tls.read(PIECE)
            except ssl.SSLWantReadError:
                self._in.write(self._received())
                continue
            if not data:
                raise ConnectionError("the server has closed the connection")
            return data

    def _answer(self, data: bytes) -> tuple[bytes, bytes]:
        """The body of the next answer, and the bytes that came after it."""
        while b"\r\n\r\n" not in data:
            data += self._read()
        head, _, body = data.partition(b"\r\n\r\n")
        lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
        length = int(next(value for name, _, value in lines if name == b"content-length"))
        while len(body) < length:
            body += self._read()
        return body[:length], body[length:]

    def close(self) -> None:
        """Close without a word: what a TLS client says at its end would count as a turn."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._tls = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True)
class Asked:
    """What some requests took: `seconds` of each, the server's `resident` bytes after each, the
    `connections`, of them those `resumed`, and the `round_trips`, the link's own count: one for
    each TCP connection, then one for each change of direction to the client."""

    seconds: NDArray[np.float64]
    resident: NDArray[np.int64]
    connections: int
    resumed: int
    round_trips: int


def asked(
    server: Any,
    requests: int = 10,
    *,
    delay: float = 0.010,
    kept: bool = True,
    resume: bool = False,
) -> Asked:
    """Ask a web application for its smallest page, over a link with this delay one way."""
    process = Process(server.pid)
    with (
        link(server, delay=delay) as slow,
        RawClient(slow, server.authority, kept=kept, resume=resume) as client,
    ):
        rows = [(client.get(), process.memory_info().rss) for _ in range(requests)]
        counts = slow.counts()
    seconds, resident = zip(*rows, strict=True)
    trips = counts.connections + (counts.turns + counts.connections) // 2
    return Asked(np.array(seconds), np.array(resident), counts.connections, client.resumed, trips)
