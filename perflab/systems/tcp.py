"""What a kernel's TCP does with small writes, full queues and used-up ports, on sockets of ours.

Where a behaviour is Linux's own, the function returns None elsewhere: it was not run.
"""

import errno
import select
import socket
import struct
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require
from perflab.systems.servers import HOST

Floats = NDArray[np.float64]

LINUX = sys.platform == "linux"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n"
BODY = b"x" * 200
ASK = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
LOCAL_PORT_RANGE = 51  # IP_LOCAL_PORT_RANGE of linux/in.h, since 6.3
LONG = 10.0  # seconds that nothing here takes


# ── Small writes


@dataclass(frozen=True)
class Writes:
    """`seconds` of each answer, and the `writes` that the server made for one."""

    seconds: Floats
    writes: int


def _answer_in(
    listener: socket.socket, connections: int, pieces: tuple[bytes, ...], no_delay: bool
) -> None:
    """Serve so many connections, one after the other, each answer in these writes."""
    with suppress(OSError):
        for _ in range(connections):
            connection, _ = listener.accept()
            with connection:
                if no_delay:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while connection.recv(4096):
                    for piece in pieces:
                        connection.sendall(piece)


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
        about = (listener, 1 if kept else requests, pieces, no_delay)
        threading.Thread(target=_answer_in, args=about, daemon=True).start()
        connection = None
        for number in range(requests):
            began = perf_counter()
            if connection is None:
                connection = socket.create_connection(listener.getsockname(), timeout=LONG)
            connection.sendall(ASK)
            left = len(HEAD + BODY)
            while left:
                left -= len(connection.recv(left))
            times[number] = perf_counter() - began
            if not kept or number == requests - 1:
                connection.close()
                connection = None
    return Writes(times, len(pieces))


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


# ── Ports


def left_behind(connections: int = 300) -> int | None:
    """Open and close so many connections, the client first, and count those that the kernel still
    keeps for the client (TIME_WAIT). None where this is not Linux."""
    if not LINUX:
        return None
    with socket.create_server((HOST, 0), backlog=connections) as listener:
        place = listener.getsockname()
        for _ in range(connections):
            with socket.create_connection(place) as client:
                server, _ = listener.accept()
                client.shutdown(socket.SHUT_WR)
                server.recv(1)
                server.close()
                client.recv(1)
        return _time_wait(place[1])


def _time_wait(port: int) -> int:
    """Connections to this port of ours in TIME_WAIT (state 06), from the kernel's own table."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split()[2:4] for line in table.readlines()[1:]]
    return sum(remote.endswith(f":{port:04X}") and state == "06" for remote, state in rows)


def with_few_ports(ports: int = 20, wanted: int = 25) -> list[str] | None:
    """What becomes of each of `wanted` connects, all kept open, where there are so many ports:
    "connected" or the error's name. None where the kernel cannot be told (Linux from 6.3 on)."""
    if not LINUX:
        return None
    low, became = _free_ports(ports), []
    bounds = struct.pack("I", (low + ports - 1) << 16 | low)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=wanted))
        for _ in range(wanted):
            one = stack.enter_context(socket.socket())
            try:
                one.setsockopt(socket.IPPROTO_IP, LOCAL_PORT_RANGE, bounds)
            except OSError:
                return None
            code = one.connect_ex(listener.getsockname())
            became.append(errno.errorcode[code] if code else "connected")
    return became


def _free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on or is bound to."""
    for low in range(40_000, 60_000, count):
        with suppress(OSError), ExitStack() as stack:
            for port in range(low, low + count):
                stack.enter_context(socket.socket()).bind((HOST, port))
            return low
    raise OSError(errno.EADDRINUSE, f"no {count} free ports in a row")


def on_a_closed_connection() -> str:
    """What a client gets that asks on an idle connection which the server has closed meanwhile."""
    with (
        socket.create_server((HOST, 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=LONG) as client,
    ):
        server, _ = listener.accept()
        client.sendall(ASK)
        server.recv(4096)
        server.sendall(HEAD + BODY)
        left = len(HEAD + BODY)
        while left:
            left -= len(client.recv(left))
        server.close()  # its idle time is over, the client's is not
        try:
            client.sendall(ASK)  # accepted by our own kernel all the same
            return "an answer" if client.recv(4096) else "no answer"
        except ConnectionError:
            return "no answer"
