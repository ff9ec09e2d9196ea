"""Two servers of the same pages that freeze now and then, and requests with and without a hedge."""

import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection

import numpy as np
from numpy.typing import NDArray

from perflab.systems.servers import HOST, Server
from perflab.systems.webapp import WebApp, webapp

Floats = NDArray[np.float64]
FREEZE, EVERY = 0.06, 0.20  # seconds: how long one of them stands still, and how often


@dataclass(frozen=True)
class HedgedRun:
    """Response times in seconds, from when each request was due; plain and hedged by turns."""

    plain: Floats
    hedged: Floats
    calls: float  # for each hedged request


def hedged_run(seconds: float, rate: float = 140.0, delay: float = 0.015) -> HedgedRun:
    """Requests by turns with and without a hedge, at two servers that are stopped in turn for
    FREEZE seconds. A hedged one asks the other server after `delay` seconds too."""
    with ExitStack() as stack:
        servers = (webapp(), webapp())
        for server in servers:
            stack.callback(server.stop)
        pool = stack.enter_context(ThreadPoolExecutor(64))
        list(pool.map(WebApp.start, servers))
        over = threading.Event()
        freezer = threading.Thread(target=_freeze, args=(servers, over))
        freezer.start()
        began, requests = time.perf_counter() + 0.1, []
        for number in range(int(seconds * rate)):
            due = began + number / rate
            over.wait(max(0.0, due - time.perf_counter()))
            asked = servers if number // 2 % 2 else servers[::-1]
            hedge = delay if number % 2 else None
            requests.append(pool.submit(_request, pool, asked, due, hedge))
        found = np.array([request.result() for request in requests])
        over.set()
        freezer.join()
    plain, hedged = found[::2], found[1::2]
    return HedgedRun(plain[:, 0], hedged[:, 0], float(hedged[:, 1].mean()))


def _freeze(servers: tuple[WebApp, WebApp], over: threading.Event) -> None:
    """Each in turn; every one of them runs again when this ends."""
    turn = 0
    while not over.wait(EVERY - FREEZE):
        server, turn = servers[turn % 2], turn + 1
        server.pause()
        over.wait(FREEZE)
        server.resume()


def _request(
    pool: ThreadPoolExecutor, servers: tuple[WebApp, WebApp], due: float, delay: float | None
) -> tuple[float, int]:
    """Seconds from when it was due to the first answer, and calls made."""
    asked = {pool.submit(_get, servers[0])}
    wait(asked, timeout=delay)
    if not any(call.done() for call in asked):
        asked.add(pool.submit(_get, servers[1]))
    wait(asked, return_when=FIRST_COMPLETED)
    return time.perf_counter() - due, len(asked)


def _get(server: Server) -> None:
    connection = HTTPConnection(HOST, server.port, timeout=10)
    connection.request("GET", "/health")
    connection.getresponse().read()
    connection.close()
