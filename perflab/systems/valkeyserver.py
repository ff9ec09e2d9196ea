"""`valkey()`: a real Valkey server of one's own, empty, that keeps nothing on disk."""

import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from perflab.errors import ServerError, is_whole, require
from perflab.systems.programs import program
from perflab.systems.servers import HOST, Server

if TYPE_CHECKING:
    from valkey import Valkey

CONFIGURATION = """
bind 127.0.0.1
requirepass {password}
unixsocket "{folder}/valkey.sock"
unixsocketperm 700
dir "{folder}"
save ""
appendonly no
maxmemory {max_bytes}
maxmemory-policy {policy}
"""
POLICIES = ("noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl")


class ValkeyServer(Server):
    """A running Valkey: a `Server` with a password that nobody else knows."""

    name = "Valkey server"

    def __init__(self, max_bytes: int, policy: str, *, port: int, timeout: float) -> None:
        self._password = secrets.token_urlsafe(24)
        self._limits = {"max_bytes": max_bytes, "policy": policy}
        command = [program("valkey-server"), "{folder}/valkey.conf", "--port", "{port}"]
        super().__init__(command, port=port, inherits_socket=False, timeout=timeout)

    @property
    def url(self) -> str:
        """For a client's `from_url`, password included: not for printing."""
        return f"valkey://:{self._password}@{HOST}:{self.port}/0"

    def client(self, timeout: float = 5.0) -> "Valkey":
        """A new client over TCP that raises after `timeout` seconds without an answer; values are
        bytes."""
        from valkey import Valkey

        self._must_have_started()
        return Valkey.from_url(self.url, socket_timeout=timeout, socket_connect_timeout=timeout)

    def _must_have_started(self) -> None:
        if not self.pid:
            raise ServerError(f"the {self.name} was never started")

    def _answers(self, port: int, timeout: float) -> None:
        _greet(self._password, port, timeout)

    def _prepare(self, folder: Path) -> None:
        path = folder / "valkey.conf"
        path.touch(0o600)
        path.write_text(
            CONFIGURATION.format(folder=folder, password=self._password, **self._limits)
        )


def valkey(
    *, max_bytes: int = 0, policy: str = "noeviction", port: int = 0, timeout: float = 15.0
) -> ValkeyServer:
    """A Valkey server on a free port of 127.0.0.1, in a process of its own.

        with valkey() as server:
            server.client().set("key", b"value")

    `max_bytes` bounds its memory (0: no bound); what happens there is its `policy`: by default a
    write fails, with "allkeys-lru" an old key goes.

    Raises ValueError for a bad argument, MissingProgramError where there is no Valkey on this
    machine, and on entry ServerError where it does not start.
    """
    require(
        is_whole(max_bytes) and 0 <= max_bytes < 2**60,
        "max_bytes",
        max_bytes,
        "a whole number from 0",
    )
    known = isinstance(policy, str) and policy in POLICIES
    require(known, "policy", policy, f"one of {', '.join(POLICIES)}")
    return ValkeyServer(max_bytes, policy, port=port, timeout=timeout)


def _greet(password: str, port: int, timeout: float) -> None:
    """Log in and ask for a PONG, in the server's own protocol (RESP)."""
    words = ("AUTH", password), ("PING",)
    asked = "".join(
        f"*{len(call)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in call)
        for call in words
    )
    with socket.create_connection((HOST, port), timeout) as connection:
        connection.sendall(asked.encode())
        said = b""
        while said.count(b"\r\n") < len(words):
            data = connection.recv(1024)
            if not data:
                raise ConnectionError("Valkey closed the connection")
            said += data
    if said != b"+OK\r\n+PONG\r\n":
        raise ConnectionError(f"Valkey said {said!r}")
