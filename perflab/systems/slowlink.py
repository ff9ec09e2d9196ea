"""`link()`: a slow connection to a server, in a process of its own, as slow as it is asked to be.

It stands between a client and a server on this machine: a proxy that ends TCP on both sides, holds
what passes back until a link of that bandwidth and delay would have brought it, and counts. What
it does not model: loss, and TCP's slow start over the link.
"""

import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from perflab.errors import ServerError, is_number, is_whole, require
from perflab.systems.servers import HOST, Server

PROXY = Path(__file__).with_name("linkproxy.py")
CONTROL = "control.sock"
LEAST, MOST = 1e3, 1e10  # bits a second
LONGEST = 60.0  # seconds


@dataclass(frozen=True)
class LinkCounts:
    """What passed a link since its start or its last `forget`."""

    connections: int  # accepted from clients
    refused: int  # of them, those that the target did not take
    bytes_up: int  # from clients to the target
    bytes_down: int
    turns: int  # changes of direction, summed over connections: two make a round trip
    resets: int  # connections that the link ended with a RST


class Link(Server):
    """A running slow link: a `Server` that stands before another one.

    `pause` freezes it as a dead line would: nothing passes, and nobody is told.
    """

    name = "slow link"

    def __init__(self, target: str, settings: dict[str, Any]) -> None:
        parts = urlsplit(target)
        self._scheme, self._path = parts.scheme, parts.path.rstrip("/")
        self._settings = settings
        about = [f"{parts.hostname}", f"{parts.port}"]
        program = [sys.executable, "-I", "-S", str(PROXY)]
        super().__init__([*program, "{fd}", f"{{folder}}/{CONTROL}", *about])

    @property
    def url(self) -> str:
        """The target's address, by way of the link."""
        return f"{self._scheme}://{HOST}:{self.port}{self._path}"

    def set(self, **settings: Any) -> None:
        """Change bandwidth, delay, jitter or seed while it runs; what is under way stays."""
        checked = _checked(**{**self._settings, **settings})
        self._told({"set": checked})
        self._settings = checked

    def counts(self) -> LinkCounts:
        return LinkCounts(**self._told({"counts": True}))

    def forget(self) -> None:
        """Let the counts begin at 0."""
        self._told({"forget": True})

    def reset(self) -> int:
        """End every open connection with a RST; returns how many there were."""
        return int(self._told({"reset": True})["connections"])

    def half_close(self) -> int:
        """End every open connection in the direction to the client alone; how many there were."""
        return int(self._told({"half_close": True})["connections"])

    def _answers(self, port: int, timeout: float) -> None:
        self._told({"set": self._settings}, timeout)

    def _told(self, asked: dict[str, Any], timeout: float = 5.0) -> dict[str, Any]:
        if self._folder is None:
            raise ServerError(f"the {self.name} was never started, or was stopped")
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(timeout)
            control.connect(str(self._folder / CONTROL))
            control.sendall(json.dumps(asked).encode() + b"\n")
            with control.makefile("rb") as answers:
                line = answers.readline()
        if not line:
            raise ConnectionError(f"the {self.name} gave no answer")
        told: dict[str, Any] = json.loads(line)
        return told


def link(
    target: Any,
    *,
    bandwidth: float | None = None,
    delay: float = 0.0,
    jitter: float = 0.0,
    seed: int = 1,
) -> Link:
    """A slow way to a server of this machine.

        with webapp() as shop, link(shop, bandwidth=20e6, delay=0.005) as slow:
            run_load(slow, …)
            slow.counts().bytes_down

    `target` is a server or a URL with a port, on this machine. `bandwidth` is in bits a second for
    each direction, shared by all connections (None: no limit); `delay` in seconds from one end to
    the other, so that a round trip takes twice that; a new connection is charged one round trip
    before its first byte. `jitter`: up to so many seconds more, drawn from `seed` for each piece;
    the order stays.

    Below some 300 Mbit/s the bandwidth is that of the link, above that of this machine.

    Raises ValueError for a bad argument; on entry ServerError where it does not start.
    """
    url = target if isinstance(target, str) else getattr(target, "url", None)
    parts = urlsplit(url) if isinstance(url, str) else None
    local = parts is not None and parts.hostname in (HOST, "localhost", "::1") and bool(parts.port)
    require(local, "target", target, "a running server, or a URL with a port on this machine")
    return Link(str(url), _checked(bandwidth=bandwidth, delay=delay, jitter=jitter, seed=seed))


def _checked(**settings: Any) -> dict[str, Any]:
    known = settings.keys() <= {"bandwidth", "delay", "jitter", "seed"}
    require(known, "settings", sorted(settings), "bandwidth, delay, jitter, seed")
    bandwidth, seed = settings["bandwidth"], settings["seed"]
    fits = bandwidth is None or (is_number(bandwidth) and LEAST <= bandwidth <= MOST)
    require(fits, "bandwidth", bandwidth, f"bits a second, {LEAST:g} to {MOST:g}, or None")
    for name in ("delay", "jitter"):
        fits = is_number(settings[name]) and 0 <= settings[name] <= LONGEST
        require(fits, name, settings[name], f"seconds from 0 to {LONGEST:g}")
    whole = is_whole(seed) and 0 <= seed < 2**32
    require(whole, "seed", seed, "a whole number from 0")
    return settings
