"""The guide's bulkhead is ported faithfully, defects included."""

import asyncio
import random
from functools import partial

import pytest

from perflab.contracts.parts.work import Work, begin
from perflab.errors import BulkheadFullError
from perflab.guide.bulkhead import AFTER, CTX, READY, Bulkhead, CancelledError
from perflab.measure import run_virtual


def test_it_returns_what_the_work_returns_and_raises():
    """And where no slot becomes free it says full, in time."""
    bulkhead, work = Bulkhead(1, 0.1), Work()

    async def bad():
        raise ConnectionError

    async def main():
        ctx = asyncio.Event()
        assert await bulkhead.execute(ctx, partial(work.last, 0.05)) == "done"
        with pytest.raises(ConnectionError):
            await bulkhead.execute(ctx, bad)
        for _ in range(2):
            holding = begin(bulkhead, partial(work.last, 0.09))
            await asyncio.sleep(0.01)
        with pytest.raises(BulkheadFullError, match="bulkhead full"):
            await bulkhead.execute(ctx, partial(work.last, 0.1))
        assert await holding == "done"

    run_virtual(main())


def test_the_work_goes_on_when_its_caller_has_gone():
    """On a time-out and on a cancelled context alike: a goroutine cannot be stopped."""

    async def main():
        bulkhead, work, ctx = Bulkhead(1, 0.1), Work(), asyncio.Event()
        with pytest.raises(TimeoutError, match="bulkhead timeout"):
            await bulkhead.execute(ctx, partial(work.last, 5.0))
        asyncio.get_running_loop().call_later(0.05, ctx.set)
        with pytest.raises(CancelledError):
            await bulkhead.execute(ctx, partial(work.last, 5.0))
        assert work.inside == 2
        await asyncio.sleep(10)
        assert work.inside == 0

    run_virtual(main())


def test_about_half_of_the_cancelled_calls_start():
    """Go's select takes one of two ready cases at random."""
    dice = random.Random(1)

    async def main():
        bulkhead, work, ctx = Bulkhead(1_000, 1.0, choose=dice.choice), Work(), asyncio.Event()
        ctx.set()
        await asyncio.wait([begin(bulkhead, partial(work.last, 0.1), ctx) for _ in range(1_000)])
        return work.started

    assert 400 < run_virtual(main()) < 600


def test_select_chooses_among_what_is_ready():
    """A context is cancelled in the very moment in which the time is over."""
    asked = []

    def choose(cases):
        asked.append(list(cases))
        return cases[0]

    async def main():
        bulkhead, work, ctx = Bulkhead(1, 1.0, choose=choose), Work(), asyncio.Event()
        asyncio.get_running_loop().call_later(1.0, ctx.set)
        begin(bulkhead, partial(work.last, 0.5))
        begin(bulkhead, partial(work.last, 0.5))
        begin(bulkhead, partial(work.last, 0.5), ctx)
        await asyncio.sleep(3.0)

    run_virtual(main())
    assert [READY] in asked
    assert [CTX, AFTER] in asked


def test_a_slot_that_select_did_not_choose_was_never_taken():
    """It goes to the next who waits to send."""

    async def main():
        bulkhead, work, ctx = Bulkhead(1, 9.0, choose=max), Work(), asyncio.Event()
        asyncio.get_running_loop().call_later(1.0, ctx.set)
        first = begin(bulkhead, partial(work.last, 1.0, "first"))
        second = begin(bulkhead, partial(work.last, 1.0, "second"), ctx)
        third = begin(bulkhead, partial(work.last, 1.0, "third"))
        heard = [await call for call in (first, second, third)]
        assert heard == ["done", "CancelledError", "done"]
        assert work.names == ["first", "third"]

    run_virtual(main())


def test_a_cancelled_task_leaves_no_slot_behind():
    """What Go has no word for: the port treats it as a cancelled context."""

    async def main():
        bulkhead, work = Bulkhead(1, 9.0), Work()
        begin(bulkhead, partial(work.last, 1.0))
        waiting = begin(bulkhead, partial(work.last, 1.0))
        await asyncio.sleep(0.5)
        waiting.cancel()
        await asyncio.sleep(1.0)
        assert await begin(bulkhead, partial(work.last, 1.0)) == "done"

    run_virtual(main())
