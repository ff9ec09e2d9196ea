"""What must hold of a bulkhead that limits how many calls are under way.

Under test is a maker `make(max_concurrency, timeout)` of an asyncio bulkhead with a coroutine
method `execute(ctx, fn)`: it awaits `fn()` in a slot and returns what that returns; `ctx` is an
`asyncio.Event`, set when the caller gives up; a caller waits for `timeout` seconds at most.
`guide_style` makes one of `perflab.patterns.Bulkhead`. All of it runs on virtual time.

What threads, blocks and executors have to do with it stands in `perflab.contracts.slots`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.work import TIMEOUT, Limiter, Work, begin, free
from perflab.measure.virtual import run_virtual

Maker = Callable[[int, float], Limiter]


def guide_style(bulkhead: Callable[..., Any]) -> Maker:
    """A maker of bulkheads that are called as the guide's, of a class that is called as ours.

    The caller's time-out is asyncio's, and a caller that gives up is a task that is cancelled.
    """

    class GuideStyle:
        def __init__(self, max_concurrency: int, timeout: float) -> None:
            self._bulkhead, self._timeout = bulkhead(max_concurrency), timeout

        async def execute(self, ctx: asyncio.Event, fn: Callable[[], Awaitable[Any]]) -> Any:
            call = asyncio.create_task(self._in_time(fn))
            gone = asyncio.create_task(ctx.wait())
            if ctx.is_set():
                call.cancel()
            await asyncio.wait({call, gone}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            call.cancel()  # of no effect where it has ended
            return await call

        async def _in_time(self, fn: Callable[[], Awaitable[Any]]) -> Any:
            async with asyncio.timeout(self._timeout):
                return await self._bulkhead.run(fn)

    return GuideStyle


def on_virtual_time(
    scene: Callable[[Maker], Coroutine[Any, Any, Evidence]],
) -> Callable[[Maker], Evidence]:
    def run(make: Maker) -> Evidence:
        return run_virtual(scene(make))

    return run


# ── the limit


@check(
    "limit 2, 20 callers: two at once, and all are served",
    "Take a slot before the work begins, and free it when the work has ended.",
)
@on_virtual_time
async def limit(make: Maker) -> Evidence:
    limiter, work = make(2, 60.0), Work()
    calls = [begin(limiter, partial(work.last, 1.0)) for _ in range(20)]
    await asyncio.wait(calls)
    served = sum(call.result() == "done" for call in calls)
    return Evidence(work.most == 2 and served == 20, f"{work.most} at once, {served} of 20 served")


@check(
    "limit 2: two at once, though their callers have given up",
    "When its time is over the caller returns and frees the slot, but the work goes on. Let the "
    "work free the slot, when it has really ended.",
)
@on_virtual_time
async def outlasting(make: Maker) -> Evidence:
    """A caller each 60 ms; the work takes 10 s and cannot be stopped."""
    limiter, work = make(2, TIMEOUT), Work()
    for _ in range(20):
        begin(limiter, partial(work.last_whatever, 10.0))
        await asyncio.sleep(0.06)
    return Evidence(work.most <= 2, f"{work.most} at once")


@check(
    "work that fails frees its slot, and its error reaches the caller",
    "Free the slot however the work ends, and raise again what it raised.",
)
@on_virtual_time
async def failing(make: Maker) -> Evidence:
    limiter = make(1, TIMEOUT)

    async def bad() -> None:
        raise ConnectionError

    heard = [await begin(limiter, bad) for _ in range(3)]
    return Evidence(heard == ["ConnectionError"] * 3, f"heard {', '.join(heard)}")


# ── the line


@check(
    "who came first is served first",
    "A slot that becomes free belongs to the first in line; do not wake all, and let nobody who "
    "comes by take it.",
)
@on_virtual_time
async def in_order(make: Maker) -> Evidence:
    """Five in line, and five more that come just as a slot becomes free."""
    limiter, work = make(1, 60.0), Work()
    calls = [begin(limiter, partial(work.last, 1.0, str(n))) for n in range(6)]
    for n in range(6, 11):
        await asyncio.sleep(1.0)
        calls.append(begin(limiter, partial(work.last, 1.0, str(n))))
    await asyncio.wait(calls)
    right = work.names == [str(n) for n in range(11)]
    return Evidence(right, f"served {' '.join(work.names)}")


@check(
    "the time-out is spent once: 100 ms, waiting and working",
    "The wait for the slot and the wait for the work have a timer each. Start one, when the call "
    "comes, and let it run for both.",
)
@on_virtual_time
async def spent_once(make: Maker) -> Evidence:
    """The slot comes after 87 ms, and then the work takes too long."""
    limiter, work = make(1, TIMEOUT), Work()
    clock = asyncio.get_running_loop().time
    begin(limiter, partial(work.last, 0.087))
    await asyncio.sleep(0)
    began = clock()
    await begin(limiter, partial(work.last, 10.0))
    took = clock() - began
    return Evidence(took <= TIMEOUT + 1e-6, f"the caller waited {1e3 * took:.0f} ms")


@check(
    "who finds every slot held hears so in time, and starts nothing",
    "Give up when the time is over, leave the line, and do not begin.",
)
@on_virtual_time
async def full(make: Maker) -> Evidence:
    limiter, work = make(1, TIMEOUT), Work()
    held = begin(limiter, partial(work.last_whatever, TIMEOUT * 0.99))
    await asyncio.sleep(0)
    clock = asyncio.get_running_loop().time
    later = [begin(limiter, partial(work.last, 10.0)) for _ in range(5)]
    began = clock()
    await asyncio.wait([*later, held])
    took = clock() - began
    quick = took <= 2 * TIMEOUT + 1e-6
    return Evidence(quick and work.started <= 2, f"{work.started - 1} of 5 started")


# ── callers that give up


@check(
    "a call that was cancelled before it began starts no work",
    "Of two cases that are ready, select takes one at random. Look at ctx first, by itself, and "
    "once more when the slot is there.",
)
@on_virtual_time
async def cancelled_before(make: Maker) -> Evidence:
    limiter, work = make(1_000, TIMEOUT), Work()
    ctx = asyncio.Event()
    ctx.set()
    calls = [begin(limiter, partial(work.last, 0.01), ctx) for _ in range(1_000)]
    await asyncio.wait(calls)
    return Evidence(work.started == 0, f"{work.started} of 1,000 started")


@check(
    "a call that is cancelled in line starts nothing and leaves nothing",
    "It is still in line, and the next slot is handed to nobody. Take it out of the line.",
)
@on_virtual_time
async def cancelled_in_line(make: Maker) -> Evidence:
    limiter, work, ctx = make(1, 60.0), Work(), asyncio.Event()
    begin(limiter, partial(work.last, 1.0))
    waiting = [begin(limiter, partial(work.last, 1.0), ctx) for _ in range(5)]
    await asyncio.sleep(0.5)
    ctx.set()
    await asyncio.wait(waiting)
    early = asyncio.get_running_loop().time() < 0.6
    await asyncio.sleep(1.0)
    left = await free(limiter, 1)
    holds = early and work.started == 1 and left == 1
    return Evidence(holds, f"{work.started - 1} of 5 started, then {left} of 1 slot free")


@check(
    "cancelled, or too late, just as its slot comes: no slot is lost",
    "It has been handed a slot and will not use it. Whoever gives up looks whether that has "
    "happened, and passes the slot on.",
)
@on_virtual_time
async def at_that_moment(make: Maker) -> Evidence:
    """The caller gives up in the very moment, a step before it, and a step after it."""
    lost = 0
    for early in (-1, 0, 1):
        for timeout, gives_up in ((1.0 + early * 1e-9, False), (60.0, True)):
            limiter, work, ctx = make(1, timeout), Work(), asyncio.Event()
            loop = asyncio.get_running_loop()
            if gives_up and early <= 0:
                loop.call_at(loop.time() + 1.0 + early * 1e-9, ctx.set)
            begin(limiter, partial(work.last, 1.0))
            begin(limiter, partial(work.last, 0.5), ctx)
            if gives_up and early > 0:
                await asyncio.sleep(0)
                loop.call_at(loop.time() + 1.0, ctx.set)
            await asyncio.sleep(5.0)
            lost += await free(limiter, 1) == 0
    return Evidence(lost == 0, f"lost {lost} times of 6")
