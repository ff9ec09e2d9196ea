"""The guide's bulkhead, ported with its defects (guide, lines 1285–1334, Go).

Kept as they are:

- the slot is freed when the caller returns (line 1313), and on a time-out the caller returns while
  the work goes on (lines 1316–1326): many more than the limit are under way;
- each of its two selects starts a timer of its own (lines 1325 and 1330): a caller that waited
  for its slot until just before the time-out waits as long again for its work;
- where a slot is free and the context is cancelled, select takes either (lines 1312 and 1328): a
  call that was cancelled before it began may start its work all the same.

A goroutine is a task here, a context's Done channel an `asyncio.Event` that is set when the caller
gives up, an error an exception. Go takes one of the cases that are ready at random; here `choose`
gets their positions in the select and returns one: `random.choice` is Go's, `min` and `max` force
the first and the last.

What Go does well is kept too: callers that wait on the channel are served in their order. What
Python adds: the task that calls can itself be cancelled, at any await; Go has no such thing, and
the port then behaves as if the context had been. In Go a panic of the work ends the program; here
it is an error like any other.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from perflab.errors import BulkheadFullError

Choose = Callable[[Sequence[int]], int]
READY, CTX, AFTER = range(3)  # the cases of both selects, in the order in which they are written


class CancelledError(Exception):
    """Go's context.Canceled."""


class Semaphore:
    """A buffered channel used as a semaphore: to send takes a slot, to receive frees one.

    Its state: `held`, what is in the channel, and `_senders`, who waits to send, in order.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.held = capacity, 0
        self._senders: deque[asyncio.Future[None]] = deque()

    def send(self) -> "asyncio.Future[None]":
        """Done as soon as a slot is taken; cancel it to leave the queue."""
        sent = asyncio.get_running_loop().create_future()
        if self.held < self.capacity:
            self.held += 1
            sent.set_result(None)
        else:
            self._senders.append(sent)
        return sent

    def receive(self) -> None:
        while self._senders:
            sender = self._senders.popleft()
            if not sender.done():
                sender.set_result(None)  # what was received makes room for what it sends
                return
        self.held -= 1


class Bulkhead:
    """At most `max_concurrency` callers at a time, so it says."""

    def __init__(
        self, max_concurrency: int, timeout: float, *, choose: Choose = random.choice
    ) -> None:
        self.max_concurrency, self.timeout = max_concurrency, timeout
        self._semaphore = Semaphore(max_concurrency)
        self._choose = choose
        self._goroutines: set[asyncio.Task[Any]] = set()  # asyncio itself forgets who nobody holds

    async def execute(self, ctx: asyncio.Event, fn: Callable[[], Awaitable[Any]]) -> Any:
        """Await `fn()` in a slot; return what it returns (Go's has nothing to return)."""
        sent = self._semaphore.send()
        try:
            case = await self._select(sent, ctx)
        except asyncio.CancelledError:
            self._unsend(sent)
            raise
        if case != READY:
            self._unsend(sent)  # select does one case: Go's has not sent at all
            raise CancelledError if case == CTX else BulkheadFullError("bulkhead full")
        try:
            done = self._go(fn)
            case = await self._select(done, ctx)
            if case != READY:
                raise CancelledError if case == CTX else TimeoutError("bulkhead timeout")
            return done.result()
        finally:
            self._semaphore.receive()

    def _go(self, fn: Callable[[], Awaitable[Any]]) -> "asyncio.Task[Any]":
        """Start a goroutine. Its result goes into a channel that holds one, read or not."""

        async def goroutine() -> Any:
            return await fn()

        task = asyncio.create_task(goroutine())
        self._goroutines.add(task)
        task.add_done_callback(self._goroutines.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def _unsend(self, sent: "asyncio.Future[None]") -> None:
        if not sent.cancel():
            self._semaphore.receive()

    async def _select(self, ready: "asyncio.Future[Any]", ctx: asyncio.Event) -> int:
        """The case that select takes: the channel is ready, ctx is done, or time.After has come."""
        gone = asyncio.ensure_future(ctx.wait())
        after = asyncio.ensure_future(asyncio.sleep(self.timeout))
        cases: list[asyncio.Future[Any]] = [ready, gone, after]
        try:
            if not ready.done() and not ctx.is_set():
                await asyncio.wait(cases, return_when=asyncio.FIRST_COMPLETED)
            is_ready = [ready.done(), ctx.is_set(), after.done()]
            return self._choose([case for case in (READY, CTX, AFTER) if is_ready[case]])
        finally:
            gone.cancel()
            after.cancel()
