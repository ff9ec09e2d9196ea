"""A service with eight threads that calls a dependency, guarded in one of four ways or not at all.

    GET /own        a product by its key: needs a thread, and nothing of the dependency
    GET /remote     the dependency's /pay, called by a thread with 0.3 s of patience, under guard
    GET /limited    a party of its own, one place of 20 ms; who finds it held waits 0.1 s at most
    GET /queued     another such party, without that limit
    GET /report     what became of the calls, as JSON

`guarded` starts one; the rest of this file runs in the server's process.
"""

import asyncio
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from perflab.errors import BulkheadFullError, CircuitOpenError, require
from perflab.guide.breaker import CircuitBreaker as GuideBreaker
from perflab.patterns.breaker import CircuitBreaker
from perflab.patterns.bulkhead import Bulkhead
from perflab.systems.remote import RemoteParty, constant
from perflab.systems.servers import HOST
from perflab.systems.shop import open_read_only
from perflab.systems.webapp import Settings, WebApp, webapp

if TYPE_CHECKING:
    from perflab.systems.servers import Server

OPTIONS = "PERFLAB_GUARDED"
GUARDS = ("none", "guide's", "breaker", "bulkhead")
THREADS, PATIENCE = 8, 0.3  # seconds
FAILURES, RESET = 3, 0.5  # of the breakers: in a row, and seconds
SLOTS = 2  # of the bulkhead
Call = Callable[[], None]


def guarded(dependency: "Server | None" = None, guard: str = "none") -> WebApp:
    """The service, guarded as `guard` says: one of GUARDS. Without a dependency /remote fails."""
    require(guard in GUARDS, "guard", guard, f"one of {', '.join(GUARDS)}")
    options = json.dumps({"port": dependency.port if dependency else 0, "guard": guard})
    return webapp(routes="perflab.experiments.guardedpages:routes", env={OPTIONS: options})


# ── in the server's process


def routes(settings: Settings) -> list[BaseRoute]:
    """What `webapp` adds to its own routes."""
    options = json.loads(os.environ[OPTIONS])
    pages, limited = Pages(settings.path, options["port"], options["guard"]), Limited()
    return [
        Route("/own", pages.own),
        Route("/remote", pages.remote),
        Route("/report", pages.report),
        Route("/limited", limited.limited),
        Route("/queued", limited.queued),
    ]


class Diary:
    """What happened when, by `time.perf_counter`, which all processes here share.

    State, guarded by `_lock`: `held`, (time, threads that are in /remote) at each change; `calls`,
    when each call to the dependency began; `inside` and `most`, how many of them are and were
    under way at once; `states`, (time, state) at each change of the breaker.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.held: list[tuple[float, int]] = [(time.perf_counter(), 0)]
        self.calls: list[float] = []
        self.states: list[tuple[float, str]] = []
        self.inside = self.most = 0

    def hold(self, change: int) -> None:
        with self._lock:
            self.held.append((time.perf_counter(), self.held[-1][1] + change))

    def call(self, change: int) -> None:
        with self._lock:
            if change > 0:
                self.calls.append(time.perf_counter())
            self.inside += change
            self.most = max(self.most, self.inside)

    def state(self, name: str) -> None:
        with self._lock:
            if not self.states or self.states[-1][1] != name:
                self.states.append((time.perf_counter(), name))


class Pages:
    """State: the threads, a connection to dependency and database for each of them, the diary."""

    def __init__(self, path: str, port: int, guard: str) -> None:
        self._path, self._port = path, port
        self._threads = ThreadPoolExecutor(THREADS, "page")
        self._mine = threading.local()
        self.diary = Diary()
        self._execute = self._guard(guard)

    def _guard(self, guard: str) -> Callable[[Call], None]:
        diary = self.diary
        if guard == "none":
            return lambda call: call()
        if guard == "bulkhead":
            return Bulkhead(SLOTS, max_wait=0).call
        diary.state("closed")
        if guard == "breaker":
            told = CircuitBreaker(FAILURES, RESET, on_change=lambda _, new: diary.state(new.value))
            return told.call
        guides = GuideBreaker(FAILURES, RESET)

        def execute(call: Call) -> None:
            def seen() -> None:
                diary.state(guides.state.name.lower().replace("_", "-"))
                call()

            try:
                guides.execute(seen)
            finally:
                diary.state(guides.state.name.lower().replace("_", "-"))

        return execute

    async def own(self, request: Request) -> Response:
        return await self._threaded(self._product)

    async def remote(self, request: Request) -> Response:
        return await self._threaded(self._remote)

    async def report(self, request: Request) -> Response:
        diary = self.diary
        told = {"held": diary.held, "calls": diary.calls, "states": diary.states}
        return Response(json.dumps(told | {"most": diary.most}))

    async def _threaded(self, page: Callable[[], tuple[int, str]]) -> Response:
        loop = asyncio.get_running_loop()
        status, body = await loop.run_in_executor(self._threads, page)
        return Response(body, status)

    def _product(self) -> tuple[int, str]:
        database: sqlite3.Connection | None = getattr(self._mine, "database", None)
        if database is None:
            database = self._mine.database = open_read_only(self._path)
        name = database.execute("SELECT name FROM products WHERE id = 7").fetchone()[0]
        return 200, name

    def _remote(self) -> tuple[int, str]:
        self.diary.hold(+1)
        try:
            self._execute(self._call)
        except (CircuitOpenError, BulkheadFullError) as refused:
            return 503, str(refused)
        except OSError as error:
            return 504, str(error)
        finally:
            self.diary.hold(-1)
        return 200, "paid"

    def _call(self) -> None:
        """OSError where the dependency does not answer within PATIENCE."""
        self.diary.call(+1)
        connection: HTTPConnection | None = getattr(self._mine, "dependency", None)
        if connection is None:
            connection = HTTPConnection(HOST, self._port, timeout=PATIENCE)
            self._mine.dependency = connection
        try:
            connection.request("GET", "/pay")
            connection.getresponse().read()
        except OSError:
            connection.close()  # it connects again
            raise
        finally:
            self.diary.call(-1)


class Limited:
    """A party for either page, and for one of them a bulkhead that lets nobody wait for long."""

    def __init__(self) -> None:
        self._party, self._other = (RemoteParty(1, constant(0.020)) for _ in range(2))
        self._bulkhead = Bulkhead(1, max_wait=0.1)

    async def limited(self, request: Request) -> Response:
        try:
            async with self._bulkhead:
                await self._party.call()
        except BulkheadFullError as full:
            return Response(str(full), 503)
        return Response("done")

    async def queued(self, request: Request) -> Response:
        await self._other.call()
        return Response("done")
