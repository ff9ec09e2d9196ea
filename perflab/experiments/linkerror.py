"""The slow link, checked by plain sockets: what it gives for the bandwidth or delay asked of it."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from perflab.experiments.tcp import LONG, Writer, receive
from perflab.systems import link
from perflab.systems.servers import HOST

PING = bytes(200)


def link_error(
    bandwidths: Sequence[float] = (10, 100),
    round_trips: Sequence[float] = (10, 20),
    *,
    seconds: float = 0.1,
    times: int = 9,
) -> pd.DataFrame:
    """What the link gives, a row for each bandwidth (Mbit/s) and each round trip (ms) asked.

    For a bandwidth answers that should take so many seconds come over one connection; for a round
    trip 200 bytes go there and back. `median`, `lowest` and `highest` of so many times, in the
    unit of what was asked, and by how many percent the median is off.
    """
    gave = {("bandwidth (Mbit/s)", asked): _passed(asked, seconds, times) for asked in bandwidths}
    gave |= {("round trip (ms)", asked): _returned(asked, times) for asked in round_trips}
    rows = {
        (what, asked): (np.median(got), min(got), max(got), 100 * (np.median(got) / asked - 1))
        for (what, asked), got in gave.items()
    }
    columns = ["median", "lowest", "highest", "off by (%)"]
    return pd.DataFrame(rows, columns).T.rename_axis(["", "asked"])


def _passed(mbit: float, seconds: float, times: int) -> list[float]:
    size = int(max(1e6 * mbit / 8 * seconds, 100_000))
    with _asker(size, bandwidth=1e6 * mbit) as ask:
        return [8e-6 * size / ask() for _ in range(times)]


def _returned(milliseconds: float, times: int) -> list[float]:
    with _asker(len(PING), delay=milliseconds / 2e3) as ask:
        ask()  # pays for the connection too
        return [1e3 * ask() for _ in range(times)]


@contextlib.contextmanager
def _asker(size: int, **settings: Any) -> Iterator[Callable[[], float]]:
    """A function that asks over a link for so many bytes and tells how long they took."""

    def ask() -> float:
        began = perf_counter()
        client.sendall(PING)
        receive(client, size)
        return perf_counter() - began

    with socket.create_server((HOST, 0)) as listener:
        Writer(listener, 1, (bytes(size),), no_delay=True).start()
        with (
            link(f"tcp://{HOST}:{listener.getsockname()[1]}", **settings) as wire,
            socket.create_connection((HOST, wire.port), timeout=LONG) as client,
        ):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield ask
