"""Executors: ours, the standard library's, and wrong ones."""

import time
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, PENDING

from perflab.contracts import executor as met
from perflab.contracts.threads import eventually
from perflab.patterns.parts.staff import Staff
from perflab.patterns.parts.task import Task
from perflab.patterns.workerpool import WorkerPool
from tests.cases.workerpool import LooksFirst as StopsLate
from tests.cases.workerpool import NoHelp, WithoutGil, WorkerDies, failing

CONTRACT = met


def standard(workers, queue_size):
    return ThreadPoolExecutor(workers)


class Overlooks(Task):
    """Looks at its state, and then cancels: in between a worker may have begun."""

    def cancel(self):
        if self._state != PENDING:
            return self.cancelled()
        self._state = CANCELLED_AND_NOTIFIED
        return True


class CancelsWhatRuns(WorkerPool):
    _task = Overlooks


class LooksFirst(Task):
    """Looks whether it has ended, and then adds: in between it may have ended."""

    def add_done_callback(self, callback):
        if self.done():
            callback(self)
        else:
            time.sleep(0.001)
            self._condition.callbacks.append(callback)


class LosesCallbacks(WorkerPool):
    _task = LooksFirst


class Oversleeps(WorkerPool):
    """The lost wake-up: lies down at the door without a second look for room. Only where the queue
    has room for one, lest checks that fill a longer one by chance alone find it by chance alone."""

    def __init__(self, workers, queue_size):
        super().__init__(workers, queue_size)
        if queue_size == 1:
            self._staff.__class__ = NoSecondLook


class NoSecondLook(Staff):
    def _wait_at_the_door(self, task):
        eventually(lambda: not self.queue.qsize())  # a worker has taken all out meanwhile
        super()._wait_at_the_door(task)

    def let_in(self):
        if self.closed or self.at_work:
            super().let_in()


class Eager(WorkerPool):
    """The standard `map`: submits all of its input before it gives a result."""

    map = Executor.map


FAILS = [
    (WorkerPool, set()),
    (WithoutGil, set()),
    (
        standard,
        failing(met.base_exception_in_callback, met.bounded, met.nested, met.map_is_lazy),
    ),
    (CancelsWhatRuns, failing(met.run_xor_cancel, met.map_left)),
    (LosesCallbacks, failing(met.callback_while_ending)),
    (StopsLate, failing(met.shutdown_races_submit)),
    (NoHelp, failing(met.nested, met.nested_overflow)),
    (WorkerDies, failing(met.base_exception, met.base_exception_in_callback)),
    (Eager, failing(met.map_is_lazy)),
    (Oversleeps, failing(met.room)),
]
NONSENSE = {}
