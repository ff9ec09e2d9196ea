"""Bulkheads of threads, blocks and executors: ours, and wrong ones."""

from perflab.contracts import slots as contract
from perflab.errors import BulkheadFullError
from perflab.patterns import Bulkhead
from perflab.patterns.parts.line import Line, ThreadWaiter
from tests.cases.bulkhead import Changed, FreedByTheCaller, LastFirst

CONTRACT = contract


class LooksThenStands(Changed):
    """Who finds no slot stands in line, and does not look again."""

    class LINE(Line):
        def join(self, waiter):
            self.waiting.append(waiter)
            return False


class LooksThenFrees(Bulkhead):
    """Who leaves looks at the line first, and then frees the slot."""

    def __exit__(self, *error):
        if not self._waiting:
            self._free.append(None)
        else:
            self._line.give_back()


class ComesBy(Bulkhead):
    """Who comes by takes what is free, whoever is in line."""

    def __enter__(self):
        try:
            self._free.pop()
        except IndexError:
            self._from_line()
        return self


class BelievesItsClock(Bulkhead):
    """Whose time is over has no slot: it does not look whether it was handed one."""

    def _from_line(self):
        waiter = ThreadWaiter()
        if not self._line.join(waiter) and not self._woken(waiter):
            self._line.leave(waiter)
            raise BulkheadFullError

    def _woken(self, waiter):
        return waiter._asleep.acquire(timeout=-1 if self.max_wait is None else self.max_wait)


class AsksAgain(Bulkhead):
    """A task that was refused begins to wait anew."""

    async def __aenter__(self):
        try:
            return await super().__aenter__()
        except BulkheadFullError:
            return await super().__aenter__()


class Submits(Bulkhead):
    """The slot is free as soon as the work was submitted."""

    def submit(self, executor, fn, *args):
        with self:
            return executor.submit(fn, *args)


LOST = "no wake-up is lost, wherever in entering a slot is freed"
OVERTAKEN = "a newcomer does not overtake, wherever in freeing a slot it comes"
ORDER = "threads and tasks stand in one line, first come, first served"

FAILS = [
    (Bulkhead, set()),
    (LooksThenStands, {LOST}),
    (LooksThenFrees, {"who comes while a slot is freed gets it"}),
    (ComesBy, {OVERTAKEN}),
    (BelievesItsClock, {"a time-out that races a hand-off loses no slot"}),
    (LastFirst, {ORDER, OVERTAKEN}),
    (AsksAgain, {"max_wait is what a caller waits, however often others are served"}),
    (
        FreedByTheCaller,
        {"what runs in a thread holds its slot though its task is cancelled"},
    ),
    (Submits, {"submitted work holds its slot until it ends or will never begin"}),
]

NONSENSE = {}
