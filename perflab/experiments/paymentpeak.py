"""The payment peak on virtual time: workers, a balancer and clients.

`perflab.experiments.payments` says what they are and what comes out; the gateway stands in
`perflab.experiments.paymentgateway`.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np

from perflab.experiments.paymentgateway import Gateway, Log
from perflab.experiments.payments import (
    RECEIPT,
    RECEIPT_SLOTS,
    SLOTS,
    Payments,
    Public,
    Service,
)
from perflab.measure.virtual import run_virtual


class _Worker:
    """Serves so many payments at once, the others in turn.

    State: `alive`; `tasks`, its payments and receipts under way; `waiting`, payments it holds;
    `_asked`, those of them that have been sent to the gateway; `_unwritten`, receipts left for
    later; `_own`, the orders it remembers.
    """

    def __init__(self, service: Service, gateway: Gateway, store: "_Store", log: Log) -> None:
        self._service, self._gateway, self._store, self._log = service, gateway, store, log
        self._slots, self._writers = asyncio.Semaphore(SLOTS), asyncio.Semaphore(RECEIPT_SLOTS)
        self.alive, self.waiting, self._unwritten = True, 0, 0
        self._asked: set[int] = set()
        self.tasks: dict[asyncio.Task[None], None] = {}  # in order, for a run is to repeat
        self._own: set[int] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks[task] = None
        task.add_done_callback(self.tasks.pop)
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
        self.alive, self._log.died = False, asyncio.get_running_loop().time()
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

    def __init__(self, service: Service, public: Public, workers: list[_Worker], log: Log) -> None:
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


def served(service: Service, public: Public) -> Payments:
    """Serve the public; the same for the same arguments."""

    async def main() -> Payments:
        log, loop = Log(), asyncio.get_running_loop()
        gateway = Gateway(log, public, service.dies)
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
        return _result(service, public, clients, log)

    return run_virtual(main())


def _result(service: Service, public: Public, clients: _Clients, log: Log) -> Payments:
    return Payments(
        public=public,
        slots=SLOTS * service.workers,
        response=clients.answered - public.due,
        charged=np.array([order for _, order in log.charged], np.int64),
        charged_at=np.array([at for at, _ in log.charged]),
        calls=log.calls,
        died=log.died,
        torn=log.torn,
        held=log.held.done(),
        remembered=log.remembered.done(),
        receipts=log.receipts.done(),
        receipts_lost=log.receipts_lost,
        holding=np.array(log.holding),
    )
