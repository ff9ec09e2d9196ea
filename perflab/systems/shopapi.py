"""The shop's web API, as it runs in the child process: Starlette on uvicorn, data in SQLite.

    GET  /health          200 when it serves
    GET  /products/{id}   a row by key; where `sold` was not counted beforehand, it is counted now
    GET  /pay             waits for a place at the remote party and holds it
    POST /remote/{mode}   makes the remote party serving, stuck or failing
    GET  /trace           what the remote party recorded, int64; POST /trace/reset forgets it
    GET  /stats           CPU seconds, resident bytes, open connections, pages that had to count
    GET  /metrics         the request monitor's counts and latencies by route
    GET  /profile         where its time goes, for ?seconds=… from now: folded stacks
    GET  /error           always 500

Started by `webapp()`; light to import, since each start pays for it.
"""

import asyncio
import importlib
import json
import os
import socket
import sqlite3
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from perflab.measure.monitor import RequestMonitor
from perflab.measure.sampler import Sampler
from perflab.systems.remote import MODES, RemoteFailedError, RemoteParty, constant, exponential
from perflab.systems.shop import open_read_only
from perflab.systems.webapp import CERTIFICATE, KEY, Settings

LONGEST_PROFILE = 60.0  # seconds
PAGE = """
    SELECT id, name, category, price, description,
           CASE WHEN ?2 > 0 AND id % ?2 = 0 THEN NULL ELSE sold END AS sold
    FROM products WHERE id = ?1
"""
COUNT_SOLD = "SELECT COALESCE(SUM(quantity), 0) FROM order_items WHERE product_id = ?"


class Products:
    """Product pages: most are one row by key, some must count what was sold first.

    The count reads every order item, for there is no index on their product: real work of some
    milliseconds. It runs in one of a few threads, so that other pages do not wait for it.

    State: one connection for the event loop, and one for each thread that counts; `counted`, how
    many pages had to, touched by the event loop alone.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.path
        self._slow_every = settings.slow_every
        self.counted = 0
        self._own = open_read_only(settings.path, check_same_thread=False)
        self._own.row_factory = sqlite3.Row
        self._threads = ThreadPoolExecutor(settings.threads, "count")
        self._local = threading.local()

    async def page(self, product: int) -> dict[str, Any] | None:
        row = self._own.execute(PAGE, (product, self._slow_every)).fetchone()
        if row is None:
            return None
        page = dict(row)
        if page["sold"] is None:
            loop = asyncio.get_running_loop()
            self.counted += 1
            page["sold"] = await loop.run_in_executor(self._threads, self._count_sold, product)
        return page

    def _count_sold(self, product: int) -> int:
        if not hasattr(self._local, "connection"):
            self._local.connection = open_read_only(self._path)
        (sold,) = self._local.connection.execute(COUNT_SOLD, (product,)).fetchone()
        return int(sold)


def whole_number(text: str) -> int:
    """A key from a path; HTTPException 400 where it is none (SQLite's end at 2⁶³ − 1)."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise HTTPException(400, f"not a whole number: {text[:40]}")
    return int(text)


def remote_party(settings: Settings) -> RemoteParty:
    seconds = settings.service_ms / 1000
    draw = constant(seconds)
    if settings.service == "exponential":
        draw = exponential(seconds, settings.seed)
    return RemoteParty(settings.slots, draw, capacity=settings.trace_size)


class Api:
    """The routes. State: the parts they use; `connections` is uvicorn's own set of open ones."""

    def __init__(self, settings: Settings) -> None:
        self.products = Products(settings)
        self.remote = remote_party(settings)
        self.monitor: RequestMonitor | None = None
        self.connections: set[Any] = set()

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/health", self.health),
            Route("/products/{id}", self.product),
            Route("/pay", self.pay, methods=["GET", "POST"]),
            Route("/remote/{mode}", self.set_mode, methods=["POST"]),
            Route("/trace", self.trace),
            Route("/trace/reset", self.reset, methods=["POST"]),
            Route("/stats", self.stats),
            Route("/metrics", self.metrics),
            Route("/profile", self.profile),
            Route("/error", self.error),
        ]

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def product(self, request: Request) -> Response:
        key = whole_number(request.path_params["id"])
        page = await self.products.page(key)
        if page is None:
            raise HTTPException(404, f"no product {key}")
        return JSONResponse(page)

    async def pay(self, request: Request) -> Response:
        try:
            await self.remote.call()
        except RemoteFailedError:
            raise HTTPException(502, "the remote party failed") from None
        return JSONResponse({"status": "paid"})

    async def set_mode(self, request: Request) -> Response:
        mode = request.path_params["mode"]
        if mode not in MODES:
            raise HTTPException(400, f"no such mode: {mode[:40]}")
        self.remote.set_mode(mode)
        return JSONResponse({"mode": mode})

    async def trace(self, request: Request) -> Response:
        headers = {"x-dropped": str(self.remote.dropped)}
        return Response(self.remote.trace(), 200, headers, "application/octet-stream")

    async def reset(self, request: Request) -> Response:
        self.remote.reset()
        return JSONResponse({"status": "reset"})

    async def stats(self, request: Request) -> Response:
        resident = psutil.Process().memory_info().rss
        numbers = {"cpu_seconds": time.process_time(), "resident_bytes": resident}
        numbers |= {"connections": len(self.connections), "counted": self.products.counted}
        return JSONResponse(numbers)

    async def metrics(self, request: Request) -> Response:
        return JSONResponse(self.monitor.stats().as_dict() if self.monitor else {})

    async def profile(self, request: Request) -> Response:
        try:
            seconds = float(request.query_params.get("seconds", "1"))
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= LONGEST_PROFILE:
            raise HTTPException(400, f"seconds: above 0, at most {LONGEST_PROFILE:g}")
        with Sampler() as sampler:
            await asyncio.sleep(seconds)
        return PlainTextResponse(sampler.profile.folded())

    async def error(self, request: Request) -> Response:
        raise HTTPException(500, "this page always fails")


def more_routes(where: str, settings: Settings) -> list[BaseRoute]:
    """The routes that `package.module:function` returns when called with the settings."""
    if not where:
        return []
    module, _, function = where.partition(":")
    routes: list[BaseRoute] = getattr(importlib.import_module(module), function)(settings)
    return routes


async def as_json(request: Request, error: Exception) -> Response:
    """Whatever goes wrong is answered as JSON, without a traceback."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    return JSONResponse({"error": "internal error"}, 500)


def serve(settings: Settings, fd: int, folder: Path) -> None:
    """Serve on the listening socket `fd` until SIGTERM; certificate and key are in `folder`."""
    api = Api(settings)
    app = Starlette(
        routes=[*api.routes(), *more_routes(settings.routes, settings)],
        exception_handlers={HTTPException: as_json, Exception: as_json},
    )
    served: Any = app
    if settings.compress:
        from perflab.systems.compression import CompressionMiddleware  # two libraries in C

        served = CompressionMiddleware(app)
    api.monitor = RequestMonitor(served, slow=settings.slow_ms / 1000)
    config = uvicorn.Config(
        api.monitor,
        lifespan="off",
        ws="none",
        log_level="info" if settings.log_requests else "warning",
        access_log=settings.log_requests,
        timeout_keep_alive=3600,  # a tester's idle connection stays open
        timeout_graceful_shutdown=1,
        ssl_certfile=folder / CERTIFICATE if settings.tls else None,
        ssl_keyfile=folder / KEY if settings.tls else None,
    )
    config.load()
    if config.ssl is not None:
        version = ssl.TLSVersion[f"TLSv{settings.tls.replace('.', '_')}"]
        config.ssl.minimum_version = config.ssl.maximum_version = version
    server = uvicorn.Server(config)
    api.connections = server.server_state.connections
    server.run(sockets=[socket.socket(fileno=fd)])


if __name__ == "__main__":
    os.umask(0o077)
    serve(Settings(**json.loads(sys.argv[1])), int(sys.argv[2]), Path(sys.argv[3]))
