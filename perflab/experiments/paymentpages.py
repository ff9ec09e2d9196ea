"""The payment service as a real server, and two of them under the same peak, side by side.

    GET /receipt/first   a slot while gateway and receipt take their time, then the answer
    GET /receipt/later   a slot while the gateway takes its time; the receipt is left for later

Gateway and receipts are modelled as in `perflab.experiments.payments`: they stand for parties
whose computers are not ours, so they take time and none of this server's processor.
"""

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from perflab.experiments.payments import MEDIAN, RECEIPT, RECEIPT_SLOTS, SIGMA, SLOTS
from perflab.systems.remote import RemoteParty, constant
from perflab.systems.webapp import Settings, WebApp, webapp

if TYPE_CHECKING:
    from perflab.systems.loadgen import LoadResult

ROUTES = "perflab.experiments.paymentpages:routes"
PATHS = {"one worker": "/receipt/first", "receipts later": "/receipt/later"}


def side_by_side(stages: list[tuple[float, float, float]]) -> Mapping[str, "LoadResult"]:
    """One server for each way to write receipts, both under this load: (from, to, seconds)."""
    from perflab.systems.loadgen import Open, run_load  # the server's process has no use for it
    from perflab.systems.loadgen.workload import arrival_times

    load = Open(arrivals=arrival_times(stages, "poisson"))
    with ExitStack() as stack:
        servers = {name: webapp(routes=ROUTES) for name in PATHS}
        for server in servers.values():
            stack.callback(server.stop)
        pool = stack.enter_context(ThreadPoolExecutor(len(servers)))
        list(pool.map(WebApp.start, servers.values()))
        runs = {
            name: pool.submit(run_load, server, load, route=PATHS[name])
            for name, server in servers.items()
        }
        return {name: run.result() for name, run in runs.items()}


# ── in the server's process


def routes(settings: Settings) -> list[BaseRoute]:
    """What `webapp` adds to its own routes."""
    pages = Pages()
    return [Route("/receipt/first", pages.first), Route("/receipt/later", pages.later)]


def gateway(seed: int, more: float = 0.0) -> Callable[[], float]:
    """Draws what the gateway takes, and `more` seconds."""
    draws = random.Random(seed)
    return lambda: draws.lognormvariate(math.log(MEDIAN), SIGMA) + more


class Pages:
    """State: the slots of either page, who writes the receipts, and those left for later."""

    def __init__(self) -> None:
        self._both = RemoteParty(SLOTS, gateway(1, more=RECEIPT))
        self._gateway = RemoteParty(SLOTS, gateway(1))
        self._writers = RemoteParty(RECEIPT_SLOTS, constant(RECEIPT))
        self._unwritten: set[asyncio.Task[None]] = set()

    async def first(self, request: Request) -> Response:
        await self._both.call()
        return Response("paid")

    async def later(self, request: Request) -> Response:
        await self._gateway.call()
        receipt = asyncio.create_task(self._writers.call())
        self._unwritten.add(receipt)
        receipt.add_done_callback(self._unwritten.discard)
        return Response("paid")
