"""What the slow link gives for what it is asked:

    python tests/benchmarks/link.py

Bandwidth: a megabyte or more through a link of 1 to 300 Mbit/s, over one connection. Round trip:
200 bytes there and back over a link of 0 to 40 ms.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np

from perflab.systems import link

PING = 200


@contextlib.contextmanager
def server(answer: int) -> Iterator[str]:
    """A server that answers each message of 200 bytes with so many bytes."""

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, contextlib.suppress(OSError):
            while receive(connection, PING):
                connection.sendall(bytes(answer))

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def receive(connection: socket.socket, size: int) -> int:
    left = size
    while left and (data := connection.recv(min(left, 65536))):
        left -= len(data)
    return size - left


def ask(connection: socket.socket, answer: int) -> float:
    began = time.perf_counter()
    connection.sendall(bytes(PING))
    assert receive(connection, answer) == answer
    return time.perf_counter() - began


def bandwidths() -> None:
    print("asked Mbit/s    gave   (one answer over one connection, latency left out)")
    for asked in (1e6, 10e6, 20e6, 100e6, 300e6):
        size = int(max(asked / 8 * 0.5, 1e5))
        with (
            server(size) as target,
            link(target, bandwidth=asked) as slow,
            socket.create_connection(("127.0.0.1", slow.port)) as connection,
        ):
            took = [ask(connection, size) for _ in range(3)]
        print(f"{asked / 1e6:12.0f} {8 * size / np.median(took) / 1e6:7.1f}", flush=True)


def round_trips() -> None:
    print("asked round trip ms    gave p50    p90    p99   first request of a connection")
    for asked in (0.0, 0.001, 0.005, 0.010, 0.020, 0.040):
        with server(PING) as target, link(target, delay=asked / 2) as slow:
            began = time.perf_counter()
            with socket.create_connection(("127.0.0.1", slow.port)) as connection:
                ask(connection, PING)
                first = time.perf_counter() - began
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                took = 1e3 * np.array([ask(connection, PING) for _ in range(100)])
        said = "  ".join(f"{np.percentile(took, p):6.2f}" for p in (50, 90, 99))
        print(f"{1e3 * asked:19.0f}    {said}   {1e3 * first:6.2f}", flush=True)


if __name__ == "__main__":
    bandwidths()
    round_trips()
