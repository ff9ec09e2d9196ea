"""A server of bare sockets: it counts what it gets and can be told to misbehave."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

Behaviour = Callable[[socket.socket, str], bool]  # answers one request; False: close


class RawServer:
    """State, guarded by `lock`: paths asked for in order of arrival, connections accepted, the
    number of requests under way and the most there were at once."""

    def __init__(self, behave: Behaviour) -> None:
        self.lock = threading.Lock()
        self.paths: list[str] = []
        self.heads: list[str] = []
        self.connections = self.now = self.most = 0
        self._behave, self._open = behave, True
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._sockets: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                self._sockets.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        waiting = b""
        with connection, contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in waiting:
                    data = connection.recv(65536)
                    if not data:
                        return
                    waiting += data
                head, _, waiting = waiting.partition(b"\r\n\r\n")
                with self.lock:
                    self.paths.append(head.split()[1].decode())
                    self.heads.append(head.decode())
                    self.now += 1
                    self.most = max(self.most, self.now)
                try:
                    if not self._behave(connection, self.paths[-1]):
                        return
                finally:
                    with self.lock:
                        self.now -= 1

    def close(self) -> None:
        """Stop listening and break every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        self._listener.close()
        with self.lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def raw_server(behave: Behaviour) -> Iterator[RawServer]:
    server = RawServer(behave)
    try:
        yield server
    finally:
        server.close()


def reply(
    body: bytes = b"hello", status: str = "200 OK", headers: str = "", claim: int | None = None
) -> bytes:
    """An answer as bytes; `claim` is the length it announces, where it lies about it."""
    length = len(body) if claim is None else claim
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n".encode() + body


def answer(connection: socket.socket, path: str) -> bool:
    connection.sendall(reply())
    return True


def say(data: bytes, stay: bool = False) -> Behaviour:
    """Send these bytes, whatever was asked, then close the connection or keep it."""

    def behave(connection: socket.socket, path: str) -> bool:
        connection.sendall(data)
        return stay

    return behave


def without_end(start: bytes, more: bytes) -> Behaviour:
    """Send `start`, then `more` again and again until the other side hangs up."""

    def behave(connection: socket.socket, path: str) -> bool:
        connection.sendall(start)
        while True:
            connection.sendall(more)

    return behave


def silent(connection: socket.socket, path: str) -> bool:
    """Take the request and never say a word, until the other side hangs up."""
    while connection.recv(65536):
        pass
    return False


def reset(connection: socket.socket, path: str) -> bool:
    """Break the connection with a reset instead of a farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
