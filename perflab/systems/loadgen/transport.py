"""What the engine asks of the way to the server.

Bare sockets are in sockets.py, libcurl is in client.py, a model in model.py.
"""

import errno
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from perflab.systems.loadgen.wire import ERRORS

CODE = {name: code for code, name in enumerate(ERRORS)}
BY_SYSTEM = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EADDRNOTAVAIL: "no port",
    errno.EMFILE: "no port",
    errno.ENFILE: "no port",
}


class Slot:
    """Room for one request at a time.

    State: the times of the request under way, in seconds since the measurement began; the last
    route; what the transport keeps of it: a handle, the last line of headers.
    """

    __slots__ = ("handle", "header", "intended", "lateness", "route", "start")

    def __init__(self, handle: Any = None) -> None:
        self.handle: Any = handle
        self.header: Any = None
        self.route = -1
        self.intended = self.start = self.lateness = 0.0


Done = Sequence[tuple[Slot, int]]  # what has ended, and the transport's own number of its failure

# Seconds to the connection, TLS and the first byte; bytes, route, status, error, connections
# opened: a sample's fields from `connect` on (wire.SAMPLE_FIELDS).
Outcome = tuple[float, float, float, int, int, int, int, int]


class Transport(Protocol):
    """Carries requests. Times are seconds since the measurement began."""

    def slot(self) -> Slot:
        """Room for one more request at the same time."""

    def aim(self, slot: Slot, route: int) -> None:
        """What is sent next goes to this route; called where `slot.route` is another."""

    def send(self, slot: Slot) -> Done:
        """Begin a request; whatever has ended meanwhile."""

    def wait(self, now: float, until: float) -> Iterator[Done]:
        """Wait for answers until a time at the latest; what has ended, socket by socket."""

    def outcome(self, slot: Slot, failure: int) -> Outcome:
        """What became of a request that has ended, before its slot is released."""

    def release(self, slot: Slot) -> None:
        """The slot may be used again."""
