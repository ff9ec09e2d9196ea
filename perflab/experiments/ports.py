"""What becomes of a client's ports and of its idle connections, on sockets of our own."""

import errno
import socket
import struct
from contextlib import ExitStack, suppress

from perflab.errors import OtherSystemError
from perflab.experiments.tcp import ASK, BODY, HEAD, LONG, on_linux, receive
from perflab.systems.servers import HOST

LOCAL_PORT_RANGE = 51  # IP_LOCAL_PORT_RANGE of linux/in.h, since 6.3


def left_behind(connections: int = 300) -> int:
    """Open and close so many connections, the client first, and count those that the kernel still
    keeps for the client (TIME_WAIT). OtherSystemError where this is not Linux."""
    on_linux(True)
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


def with_few_ports(ports: int = 20, wanted: int = 25) -> list[str]:
    """What becomes of each of `wanted` connects, all kept open, where there are so many ports:
    "connected" or the error's name. OtherSystemError where this is not Linux, or an old one."""
    on_linux(True)
    low, became = _free_ports(ports), []
    bounds = struct.pack("I", (low + ports - 1) << 16 | low)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=wanted))
        for _ in range(wanted):
            one = stack.enter_context(socket.socket())
            try:
                one.setsockopt(socket.IPPROTO_IP, LOCAL_PORT_RANGE, bounds)
            except OSError as error:
                raise OtherSystemError("Linux can be told so few ports from 6.3 on") from error
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
        receive(client, len(HEAD + BODY))
        server.close()  # its idle time is over, the client's is not
        try:
            client.sendall(ASK)  # accepted by our own kernel all the same
            return "an answer" if client.recv(4096) else "no answer"
        except ConnectionError:
            return "no answer"
