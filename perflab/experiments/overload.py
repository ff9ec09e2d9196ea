"""An overloaded server and its clients, on virtual time: queues, time-outs, retries, recovery.

A request arrives, its client waits for `timeout` seconds and then tries again, up to `attempts`
times. The server does not learn that anybody has gone: what stands in its queue it works through.
So after a time that was slow for whatever reason, it may go on working for people who have left,
while their retries keep it full: a *metastable failure* (Bronson, Aghayev, Charapko, Zhu,
«Metastable Failures in Distributed Systems», HotOS 2021).

Arrivals, service times and pauses between attempts are drawn from streams of their own, so that
two remedies meet the same public and the same work.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require
from perflab.experiments.retrying import Budget
from perflab.measure.virtual import VirtualClock, run_virtual

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Overload:
    """A public, a server, a time of trouble, and what is done about it. Times in seconds.

    `slow` is from when until when each service takes `factor` times as long. Of the remedies:
    `limit`, how many may wait (more are refused at once); `newest_first`, who came last is served
    first; `margin`, what has less time than that left when its turn comes is dropped unserved;
    `budget`, retries for each request on average; `guard`, a maker of a circuit breaker of the
    client's, given the clock.
    """

    rate: float = 70.0
    seconds: float = 60.0
    service: float = 0.010
    constant: bool = True  # each takes just that; else exponential, with that mean
    timeout: float = 1.0
    attempts: int = 4
    pause: float = 0.1  # before a retry, on average; drawn from 0 to twice that
    slow: tuple[float, float] = (0.0, 0.0)
    factor: float = 10.0
    limit: int | None = None
    newest_first: bool = False
    margin: float | None = None
    budget: float | None = None
    guard: Callable[[Callable[[], float]], Any] | None = None

    def __post_init__(self) -> None:
        for name in ("rate", "seconds", "service", "timeout"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        require(self.attempts >= 1, "attempts", self.attempts, "at least 1")


@dataclass
class Outcome:
    """What happened. Times in seconds from the start; one entry for each event."""

    sent: list[float] = field(default_factory=list)  # attempts that reached the server
    good: list[float] = field(default_factory=list)  # requests answered in time: when
    response: list[float] = field(default_factory=list)  # of these: from arrival to answer
    waiting: list[tuple[float, int]] = field(default_factory=list)  # the queue, at each change

    def rate(self, of: str, begin: float, end: float) -> float:
        """Events a second, `of` "sent" or "good", in this stretch of time."""
        times = np.asarray(getattr(self, of))
        return float(np.count_nonzero((times >= begin) & (times < end)) / (end - begin))


class _Server:
    """One at a time. State: `_queue` of (answer, deadline), `_busy`, and the stream of draws."""

    def __init__(self, case: Overload, outcome: Outcome, seed: int) -> None:
        self._case, self._outcome = case, outcome
        self._rng = np.random.default_rng([seed, 2])
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[asyncio.Future[bool], float]] = deque()
        self._busy = False

    def ask(self, deadline: float) -> "asyncio.Future[bool]":
        """An answer to come: true when served, false when refused."""
        self._outcome.sent.append(self._loop.time())
        answer = self._loop.create_future()
        if not self._busy:
            self._begin(answer)
        elif self._case.limit is not None and len(self._queue) >= self._case.limit:
            answer.set_result(False)
        else:
            self._queue.append((answer, deadline))
            self._note()
        return answer

    def _begin(self, answer: "asyncio.Future[bool]") -> None:
        self._busy, now = True, self._loop.time()
        begin, end = self._case.slow
        took = self._case.service * (1 if self._case.constant else self._rng.exponential())
        took *= self._case.factor if begin <= now < end else 1
        self._loop.call_later(took, self._end, answer)

    def _end(self, answer: "asyncio.Future[bool]") -> None:
        self._busy = False
        if not answer.done():
            answer.set_result(True)
        while self._queue:
            answer, deadline = (
                self._queue.pop() if self._case.newest_first else self._queue.popleft()
            )
            margin = self._case.margin
            if margin is None or self._loop.time() + margin < deadline:
                self._begin(answer)
                break
        self._note()

    def _note(self) -> None:
        self._outcome.waiting.append((self._loop.time(), len(self._queue)))


class _Clients:
    """All of them. State: the budget and the breaker that they share, and the stream of pauses."""

    def __init__(self, case: Overload, server: _Server, outcome: Outcome, seed: int) -> None:
        self._case, self._server, self._outcome = case, server, outcome
        self._rng = np.random.default_rng([seed, 3])
        self._loop = asyncio.get_running_loop()
        self._budget = None if case.budget is None else Budget(case.budget)
        self._breaker = None if case.guard is None else case.guard(self._loop.time)

    async def request(self) -> None:
        began = self._loop.time()
        if self._budget:
            self._budget.request()
        for attempt in range(self._case.attempts):
            if attempt:
                if self._budget and not self._budget.retry():
                    return
                await asyncio.sleep(self._rng.uniform(0, 2 * self._case.pause))
            if await self._guarded():
                self._outcome.good.append(self._loop.time())
                self._outcome.response.append(self._loop.time() - began)
                return

    async def _guarded(self) -> bool:
        if self._breaker is None:
            return await self._attempt()
        try:
            with self._breaker:
                if not await self._attempt():
                    raise TimeoutError
        except Exception:  # refused by the breaker, or too late
            return False
        return True

    async def _attempt(self) -> bool:
        """Wait for the answer as long as the patience lasts."""
        answer = self._server.ask(self._loop.time() + self._case.timeout)
        leave = self._loop.call_later(self._case.timeout, _give_up, answer)
        good = await answer
        leave.cancel()
        return good


def _give_up(answer: "asyncio.Future[bool]") -> None:
    if not answer.done():
        answer.set_result(False)


def overloaded(case: Overload, seed: int = 1) -> Outcome:
    """Run the case on virtual time; the same for the same seed."""
    outcome = Outcome()
    gaps = np.random.default_rng([seed, 1]).exponential(
        1 / case.rate, int(2 * case.rate * case.seconds) + 50
    )
    arrivals = np.cumsum(gaps)

    async def main() -> None:
        clients = _Clients(case, _Server(case, outcome, seed), outcome, seed)
        loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()

        def arrive() -> None:
            task = loop.create_task(clients.request())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        for moment in arrivals[arrivals < case.seconds]:
            loop.call_at(float(moment), arrive)
        await asyncio.sleep(case.seconds)

    run_virtual(main(), VirtualClock())
    return outcome
