"""A connection of the socket transport, and where it goes."""

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from perflab.systems.loadgen.httpwire import Answer
from perflab.systems.loadgen.transport import CODE, Done, Outcome, Slot
from perflab.systems.loadgen.wire import MOST_BYTES

STATUS = CODE["status"]
Heads = dict[bytes, tuple[int, int, int]]  # headers and what they mean: length, status, error
CHANGE_THE_EXCHANGE = {"transfer-encoding", "expect", "upgrade"}


class Connection:
    """A slot's connection and the request on it.

    State: the socket, None while there is none, and whether its connection stands. Of the
    request: whether it is under way; what of it is not sent yet; when it began by the clock, and
    how long the connection and the first byte took; whether a connection was opened for it, to
    which of the addresses, and how many were tried; the answer, unless it comes in one piece;
    the outcome of the last.
    """

    __slots__ = (
        "address", "answer", "began", "busy", "connect", "done", "first_byte", "heads", "is_head",
        "opened", "outcome", "recv", "request", "send", "slot", "sock", "stands", "tries",
        "unsent",
    )  # fmt: skip

    send: Callable[[bytes | memoryview], int]
    recv: Callable[[int], bytes]

    def __init__(self) -> None:
        self.slot = Slot(self)
        self.done: Done = ((self.slot, 0),)
        self.sock: socket.socket | None = None
        self.stands = self.busy = self.is_head = False
        self.request = b""
        self.unsent: bytes | memoryview = b""
        self.began = self.connect = self.first_byte = 0.0
        self.opened = self.address = self.tries = 0
        self.answer: Answer | None = None
        self.heads: Heads = {}
        self.outcome: Outcome = (0.0, 0.0, 0.0, 0, 0, 0, 0, 0)

    def end(self, failure: int) -> bool:
        """Write down the outcome; whether the connection can be used again."""
        answer, status, size, keep = self.answer, 0, 0, False
        if answer is not None:
            status, size = answer.status, min(answer.size, MOST_BYTES)
            keep = answer.keep and not failure and not self.unsent
        error = failure or (STATUS if status >= 400 else 0)
        self.outcome = (
            self.connect, 0.0, self.first_byte, size, self.slot.route, status, error, self.opened
        )  # fmt: skip
        self.busy, self.answer, self.unsent = False, None, b""
        self.connect, self.first_byte, self.opened = 0.0, 0.0, 0
        return keep


def addresses(base: str) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """Where `http://host:port/…` is, in the order in which libcurl tries them."""
    parts = urlsplit(base)
    host, port = parts.hostname or "", parts.port or 80
    found: list[tuple[socket.AddressFamily, tuple[Any, ...]]] = []
    for name in ("::1", "127.0.0.1") if host == "localhost" else (host,):
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        found.append((family, (name, port)))
    return found


def is_plain(settings: dict[str, Any]) -> bool:
    """Whether bare sockets will do, or libcurl is needed: for TLS, for a host that has to be
    looked up, for a path that it rewrites, for headers that change the exchange."""
    base = settings["base"]
    if not base.startswith("http://") or not _is_address(urlsplit(base).hostname or ""):
        return False
    for route in settings["routes"]:
        names = {line.partition(":")[0].lower() for line in route["headers"]}
        if names & CHANGE_THE_EXCHANGE or "#" in route["path"] or "/." in base + route["path"]:
            return False
    return True


def _is_address(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return False
    return True
