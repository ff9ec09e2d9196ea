"""The payment peak on virtual time: workers, a balancer, clients, and a gateway that is honest.

`perflab.experiments.payments` says what they are and what comes out.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perflab.experiments.payments import (
    RECEIPT,
    RECEIPT_SLOTS,
    SLOTS,
    Line,
    Payments,
    Public,
    Service,
)
from perflab.measure.virtual import run_virtual


class _Tally:
    """A count over time. State: `line`, (time, count) at each change."""

    def __init__(self) -> None:
        self.line: list[tuple[float, int]] = [(0.0, 0)]

    def add(self, change: int) -> None:
        now = asyncio.get_running_loop().time()
        self.line.append((now, self.line[-1][1] + change))

    def done(self) -> Line:
        return np.array([at for at, _ in self.line]), np.array([n for _, n in self.line])


@dataclass
class _Log:
    """What the parts of a run write down; see Payments."""

    charged: list[tuple[float, int]] = field(default_factory=list)
    holding: list[float] = field(default_factory=list)
    held: _Tally = field(default_factory=_Tally)
    remembered: _Tally = field(default_factory=_Tally)
    receipts: _Tally = field(default_factory=_Tally)
    calls: int = 0
    torn: int = 0
    receipts_lost: int = 0


class _Gateway:
    """Charges, and keeps account of it. A call goes on whatever becomes of its caller.

    State: `_known`, for each key the call that came with it first; `_calls`, all of them.
    """

    def __init__(self, log: _Log, public: Public, dies: int | None) -> None:
        self._log, self._public, self._dies = log, public, dies
        self._known: dict[int, asyncio.Task[None]] = {}
        self._calls: list[asyncio.Task[None]] = []

    async def charge(self, request: int, worker: "_Worker", key: int | None) -> None:
        """Charge the request's order, or wait for the charge that has this key already."""
        self._log.calls += 1
        if key is None or key not in self._known:
            call = asyncio.create_task(self._charge(request, worker))
            self._calls.append(call)
            if key is not None:
                self._known[key] = call
                self._log.remembered.add(1)
        else:
            call = self._known[key]
        await asyncio.shield(call)

    async def _charge(self, request: int, worker: "_Worker") -> None:
        half = float(self._public.takes[request]) / 2
        await asyncio.sleep(half)
        now = asyncio.get_running_loop().time()
        self._log.charged.append((now, int(self._public.order[request])))
        if len(self._log.charged) == self._dies:
            worker.die()
        await asyncio.sleep(half)

    async def ended(self) -> None:
        await asyncio.gather(*self._calls)


class _Worker:
    """Serves so many payments at once, the others in turn.

    State: `alive`; `tasks`, its payments and receipts under way; `waiting`, payments it holds;
    `_asked`, those of them that have been sent to the gateway; `_unwritten`, receipts left for
    later; `_own`, the orders it remembers.
    """

    def __init__(self, service: Service, gateway: _Gateway, store: "_Store", log: _Log) -> None:
        self._service, self._gateway, self._store, self._log = service, gateway, store, log
        self._slots, self._writers = asyncio.Semaphore(SLOTS), asyncio.Semaphore(RECEIPT_SLOTS)
        self.alive, self.waiting, self._unwritten = True, 0, 0
        self._asked: set[int] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._own: set[int] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def pay(self, request: int) -> None:
        self.waiting += 1
        try:
            async with self._slots:
                began = asyncio.get_running_loop().time()
                await self._approve(request)
                if not self._service.background:
                    await asyncio.sleep(RECEIPT)
                self._log.holding.append(asyncio.get_running_loop().time() - began)
                self._asked.discard(request)
        finally:
            self.waiting -= 1
        if self._service.background:
            self.begin(self._write_later())

    async def _approve(self, request: int) -> None:
        """Ask the gateway, or do not: the five ways are those of `Key`, in this order."""
        order, key = self._store.order(request), self._service.key
        if key == "none":
            await self._ask(request)
        elif key == "at the gateway":
            await self._ask(request, order)
        elif key == "cached by card and amount":
            await self._unless(self._store.purchases, self._store.purchase(request), request)
        elif key == "cached by order, each worker":
            await self._unless(self._own, order, request)
        else:
            await self._unless(self._store.orders, order, request)

    async def _unless(self, known: set[Any], name: Any, request: int) -> None:
        """Ask the gateway unless an answer of this name is known; between the look and the note
        lies the whole call."""
        if name in known:
            return
        await self._ask(request)
        if name not in known:
            known.add(name)
            self._log.remembered.add(1)

    async def _ask(self, request: int, key: int | None = None) -> None:
        self._asked.add(request)
        await self._gateway.charge(request, self, key)

    async def _write_later(self) -> None:
        self._unwritten += 1
        self._log.receipts.add(1)
        try:
            async with self._writers:
                await asyncio.sleep(RECEIPT)
        finally:
            self._unwritten -= 1
            self._log.receipts.add(-1)

    def die(self) -> None:
        """As a process dies that is killed: what it held in memory is gone, at once."""
        self.alive = False
        self._log.torn += len(self._asked)
        self._log.receipts_lost += self._unwritten
        for task in self.tasks:
            task.cancel()


class _Store:
    """What all workers share. State: the answers that were kept, by purchase and by order."""

    def __init__(self, public: Public) -> None:
        self._public = public
        self.purchases: set[tuple[int, int]] = set()
        self.orders: set[int] = set()

    def order(self, request: int) -> int:
        return int(self._public.order[request])

    def purchase(self, request: int) -> tuple[int, int]:
        """Card and amount: what the guide's cache knows of a payment."""
        order = self._public.order[request]
        return int(self._public.card[order]), int(self._public.cents[order])


class _Clients:
    """All of them. State: the stream of pauses, and when each request was answered."""

    def __init__(self, service: Service, public: Public, workers: list[_Worker], log: _Log) -> None:
        self._service, self._public, self._workers, self._log = service, public, workers, log
        self._rng = np.random.default_rng([len(public.due), 5])
        self.answered = np.full(len(public.due), np.nan)

    async def request(self, number: int) -> None:
        for attempt in range(self._service.attempts):
            if attempt:
                await asyncio.sleep(self._rng.uniform(0, 0.2))
            alive = [one for one in self._workers if one.alive]
            if not alive:
                continue
            self._log.held.add(1)
            worker = min(alive, key=lambda one: one.waiting)
            payment = worker.begin(worker.pay(number))
            await asyncio.wait({payment})
            self._log.held.add(-1)
            if not payment.cancelled():
                payment.result()
                self.answered[number] = asyncio.get_running_loop().time()
                return


def payments(service: Service, public: Public) -> Payments:
    """Serve the public; the same for the same arguments."""

    async def main() -> Payments:
        log, loop = _Log(), asyncio.get_running_loop()
        gateway = _Gateway(log, public, service.dies)
        store = _Store(public)
        workers = [_Worker(service, gateway, store, log) for _ in range(service.workers)]
        clients = _Clients(service, public, workers, log)
        tasks: list[asyncio.Task[None]] = []

        def arrive(number: int) -> None:
            tasks.append(loop.create_task(clients.request(number)))

        for number, due in enumerate(public.due):
            loop.call_at(float(due), arrive, number)
        await asyncio.sleep(float(public.due[-1]) + 1e-9)
        await asyncio.gather(*tasks)
        await gateway.ended()
        while unwritten := [task for one in workers for task in one.tasks]:
            await asyncio.wait(unwritten)
        return _result(public, clients, log)

    return run_virtual(main())


def _result(public: Public, clients: _Clients, log: _Log) -> Payments:
    return Payments(
        public=public,
        response=clients.answered - public.due,
        charged=np.array([order for _, order in log.charged], np.int64),
        charged_at=np.array([at for at, _ in log.charged]),
        calls=log.calls,
        torn=log.torn,
        held=log.held.done(),
        remembered=log.remembered.done(),
        receipts=log.receipts.done(),
        receipts_lost=log.receipts_lost,
        holding=np.array(log.holding),
    )
