"""Bulkheads: ours, the guide's, and wrong ones."""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor

from perflab.contracts import bulkhead as contract
from perflab.contracts.bulkhead import guide_style
from perflab.guide.bulkhead import Bulkhead as GuideBulkhead
from perflab.patterns import Bulkhead
from perflab.patterns.parts.line import Line

CONTRACT = contract


class FreedByTheCaller(Bulkhead):
    """The slot is free as soon as the caller has gone."""

    async def run(self, fn, *args, executor=None):
        async with self:
            if executor is not None:
                return await asyncio.wrap_future(executor.submit(fn, *args))
            return await asyncio.shield(asyncio.create_task(fn(*args)))


class Changed(Bulkhead):
    """A bulkhead with another line."""

    LINE = Line

    def __init__(self, *args):
        super().__init__(*args)
        self._line = self.LINE(self.max_concurrent, careful=False)
        self._free, self._waiting = self._line.free, self._line.waiting


class LastFirst(Changed):
    """Who came last is served first."""

    class LINE(Line):
        def join(self, waiter):
            self.waiting.appendleft(waiter)
            self.serve(but=waiter)
            return waiter.served


class StaysInLine(Changed):
    """Who gives up stays in line."""

    class LINE(Line):
        def leave(self, waiter, *, rejected=False):
            return not waiter.served


class DropsIts(Bulkhead):
    """Who is cancelled does not look whether it has a slot."""

    def _withdraw(self, waiter):
        self._line.leave(waiter)


OUTLASTED = "limit 2: two at once, though their callers have given up"
TWICE = "the time-out is spent once: 100 ms, waiting and working"

FAILS = [
    (guide_style(Bulkhead), set()),
    (
        functools.partial(GuideBulkhead, choose=min),
        {OUTLASTED, TWICE, "a call that was cancelled before it began starts no work"},
    ),
    (functools.partial(GuideBulkhead, choose=max), {OUTLASTED, TWICE}),
    (guide_style(FreedByTheCaller), {OUTLASTED}),
    (guide_style(LastFirst), {"who came first is served first"}),
    (
        guide_style(StaysInLine),
        {
            "a call that is cancelled in line starts nothing and leaves nothing",
            "cancelled, or too late, just as its slot comes: no slot is lost",
        },
    ),
    (
        guide_style(DropsIts),
        {"cancelled, or too late, just as its slot comes: no slot is lost"},
    ),
]

COUNTS = [None, "x", [], {}, True, 0, -1, 1.0, 10**400, float("nan"), object()]
WAITS = ["x", [], {}, True, -1, float("nan"), float("inf"), 10**400, object()]


def submit(*args):
    return Bulkhead(1).submit(*args)


def run(*args, **options):
    return asyncio.run(Bulkhead(1).run(*args, **options))


NONSENSE = {
    "Bulkhead(max_concurrent)": (Bulkhead, COUNTS),
    "Bulkhead(max_wait)": (lambda bad: Bulkhead(1, bad), WAITS),
    "Bulkhead.call(fn)": (Bulkhead(1).call, [None, 1, "x"]),
    "Bulkhead.submit(executor)": (lambda bad: submit(bad, print), [None, 1, "x"]),
    "Bulkhead.submit(fn)": (lambda bad: submit(ThreadPoolExecutor(1), bad), [None, 1, "x"]),
    "Bulkhead.run(fn)": (run, [None, 1, "x", print]),
    "Bulkhead.run(executor)": (lambda bad: run(print, executor=bad), [1, "x"]),
}
