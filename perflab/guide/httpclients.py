"""The guide's HTTP clients, ported with their defects (guide, lines 982–1034, Go).

`HTTPClientPool` hands out its clients in turn. `Get` does lock its counter: that is sound, and
asyncio needs no lock for it here. Kept as they are:

- each client has connections of its own, so one user in sequence opens one at every client;
- each keeps at most 10 idle connections to a host, whatever the load: what a burst opens beyond
  that is closed again. Five clients keep fifty, which hides the limit instead of setting it;
- idle connections are kept for 90 seconds, whatever the server's own limit is.

`connect(idle=…)` makes a client with connections of its own, which stands in for http.Transport.
"""

from collections.abc import Callable
from typing import Any

MAX_IDLE_CONNS_PER_HOST = 10


def new_http_client(connect: Callable[..., Any]) -> Any:
    """One client with the guide's settings."""
    return connect(idle=MAX_IDLE_CONNS_PER_HOST)


class HTTPClientPool:
    """State: `clients`, and `current`, the number of the one that comes next."""

    def __init__(self, size: int, connect: Callable[..., Any]) -> None:
        self.clients = [new_http_client(connect) for _ in range(size)]
        self.current = 0

    def get(self) -> Any:
        client = self.clients[self.current]
        self.current = (self.current + 1) % len(self.clients)
        return client
