"""A bench for bulkheads: work that knows how much of it is under way, and callers of it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from perflab.contracts.threads import Running, eventually

TIMEOUT = 0.1  # seconds
SOON = 0.2  # seconds for what should be there at once


class Limiter(Protocol):
    """What limits calls."""

    async def execute(self, ctx: asyncio.Event, fn: Callable[[], Awaitable[Any]]) -> Any: ...


class Work:
    """What is called: knows how many are at it, and how many at most were."""

    def __init__(self) -> None:
        self.started = self.inside = self.most = 0
        self.names: list[str] = []

    async def last(self, seconds: float, name: str = "") -> str:
        """Last so long; cancelled, it ends."""
        self._enter(name)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.inside -= 1
        return "done"

    async def last_whatever(self, seconds: float) -> None:
        """Last so long, cancelled or not, as a thread does."""
        self._enter("")
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while clock() < end:
            try:
                await asyncio.sleep(end - clock())
            except asyncio.CancelledError:
                continue
        self.inside -= 1

    def _enter(self, name: str) -> None:
        self.started += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.names.append(name)


async def outcome(call: Awaitable[Any]) -> str:
    """What a call returned, or the name of what it raised."""
    try:
        return str(await call)
    except (Exception, asyncio.CancelledError) as error:
        return type(error).__name__


def begin(
    limiter: Limiter, fn: Callable[[], Awaitable[Any]], ctx: asyncio.Event | None = None
) -> "asyncio.Task[str]":
    """A call in a task of its own; it returns its outcome."""
    return asyncio.create_task(outcome(limiter.execute(ctx or asyncio.Event(), fn)))


async def free(limiter: Limiter, slots: int) -> int:
    """How many of the slots can be taken at once."""
    work = Work()
    calls = [begin(limiter, partial(work.last, TIMEOUT / 2)) for _ in range(slots)]
    await asyncio.wait(calls)
    return work.most


# ── callers in threads, of a bulkhead that is entered as ours is


def takeable(bulkhead: Any, slots: int) -> int:
    """How many of the slots can be taken."""
    taken = 0
    for _ in range(slots):
        taken += Running(bulkhead.__enter__).join(SOON)
    for _ in range(taken):
        leave(bulkhead)
    return taken


def in_line(bulkhead: Any, call: Callable[[], Any]) -> Running:
    """A call that waits in a thread for a slot."""
    before = bulkhead.stats().waiting
    running = Running(call)
    eventually(lambda: running.ended or bulkhead.stats().waiting > before)
    return running


def pass_through(bulkhead: Any) -> None:
    with bulkhead:
        pass


def leave(bulkhead: Any) -> None:
    """Free the slot that some `__enter__` took."""
    bulkhead.__exit__(None, None, None)
