"""What a kernel's TCP does with small writes and with a full queue, on sockets of our own."""

import fcntl
import select
import socket
import struct
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from perflab.errors import OtherSystemError, require
from perflab.systems.servers import HOST

Floats = NDArray[np.float64]
T = TypeVar("T")

LINUX = sys.platform == "linux"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n"
BODY = b"x" * 200
ASK = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
UNSENT = 0x894B  # SIOCOUTQNSD of linux/sockios.h
LONG = 10.0  # seconds that nothing here takes


def on_linux(seen: T) -> T:
    """What was seen, where this is Linux; OtherSystemError elsewhere, where it is not claimed."""
    if not LINUX:
        raise OtherSystemError("what is judged here is what Linux's kernel does")
    return seen


# ── Small writes


@dataclass(frozen=True)
class Writes:
    """`seconds` of each answer, the `writes` that the server made for one, and how many answers
    were `held_back`: when the server had written the last of it, the kernel had not sent it yet
    (None where the kernel does not tell, off Linux)."""

    seconds: Floats
    writes: int
    held_back: int | None


class Writer(threading.Thread):
    """A server that sends each answer in the given writes. State: `held_back`, answers so far of
    which something was not sent yet when it had written all. Read it when the thread has ended."""

    def __init__(
        self, listener: socket.socket, connections: int, pieces: tuple[bytes, ...], no_delay: bool
    ) -> None:
        super().__init__(daemon=True)
        self._listener, self._connections = listener, connections
        self._pieces, self._no_delay = pieces, no_delay
        self.held_back = 0

    def run(self) -> None:
        with suppress(OSError):
            for _ in range(self._connections):
                connection, _ = self._listener.accept()
                with connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, self._no_delay)
                    while connection.recv(4096):
                        for piece in self._pieces:
                            connection.sendall(piece)
                        self.held_back += LINUX and _unsent(connection) > 0


def _unsent(connection: socket.socket) -> int:
    """Bytes that were written and that the kernel has not sent."""
    answer = fcntl.ioctl(connection, UNSENT, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])


def small_writes(
    requests: int = 40, *, writes: int = 2, no_delay: bool = False, kept: bool = True
) -> Writes:
    """Ask a server that sends each answer in one or two writes, with or without TCP_NODELAY.

    With `kept` over one connection, else over a new one for each request.
    """
    require(writes in (1, 2), "writes", writes, "1 or 2")
    pieces = (HEAD, BODY) if writes == 2 else (HEAD + BODY,)
    times = np.empty(requests)
    with socket.create_server((HOST, 0)) as listener:
        server = Writer(listener, 1 if kept else requests, pieces, no_delay)
        server.start()
        connection = None
        for number in range(requests):
            began = perf_counter()
            if connection is None:
                connection = socket.create_connection(listener.getsockname(), timeout=LONG)
            connection.sendall(ASK)
            receive(connection, len(HEAD + BODY))
            times[number] = perf_counter() - began
            if not kept or number == requests - 1:
                connection.close()
                connection = None
        server.join(LONG)
    return Writes(times, len(pieces), server.held_back if LINUX else None)


def receive(connection: socket.socket, size: int) -> None:
    """Read so many bytes; ConnectionError where the other side closes before."""
    while size:
        got = len(connection.recv(size))
        if not got:
            raise ConnectionError("closed before the whole answer came")
        size -= got


# ── A full backlog


@dataclass(frozen=True)
class Backlog:
    """Clients that connected to a socket with a backlog of `limit` while nobody accepted.

    `at_once` of them were connected before the server began to accept. `seconds` until each was,
    ascending; nan for those that were not in the end.
    """

    limit: int
    at_once: int
    seconds: Floats

    @property
    def between(self) -> int:
        """Clients that were connected later, but before a lost packet is sent again (1 s)."""
        return int((self.seconds[self.at_once :] < 0.9).sum())


def backlog(limit: int = 8, clients: int = 40, after: float = 0.2, until: float = 4.0) -> Backlog:
    """`clients` connect at once; from `after` seconds on the server accepts whoever comes."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(limit)
        poll, numbers, began = select.poll(), {}, perf_counter()
        for number in range(clients):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            numbers[one.fileno()] = number
            poll.register(one, select.POLLOUT)
        done = np.full(clients, np.nan)
        _connected(poll, numbers, done, began, after)
        at_once = int((~np.isnan(done)).sum())
        poll.register(listener, select.POLLIN)
        listener.setblocking(False)
        while np.isnan(done).any() and perf_counter() - began < until:
            with suppress(BlockingIOError):
                while True:
                    stack.enter_context(listener.accept()[0])
            _connected(poll, numbers, done, began, 0.0)
    return Backlog(limit, at_once, np.sort(done))


def _connected(
    poll: "select.poll", numbers: dict[int, int], done: Floats, began: float, until: float
) -> None:
    """Note when each client was connected, for so long; once round where the time is over."""
    while True:
        left = until - (perf_counter() - began)
        for fd, _ in poll.poll(max(1.0, 1000 * left)):
            if fd in numbers:
                done[numbers[fd]] = perf_counter() - began
                poll.unregister(fd)
        if left <= 0 or not np.isnan(done).any():
            return
