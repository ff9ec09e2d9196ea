"""Worker pools: ours, the guide's for both choices of its select, and wrong ones."""

import functools
import time
from concurrent.futures._base import FINISHED

from perflab.contracts import workerpool as met
from perflab.contracts.workerpool import on_jobs
from perflab.errors import StoppedError
from perflab.guide import workerpool as guide
from perflab.guide.parts.channels import Channel
from perflab.patterns.parts.staff import Staff
from perflab.patterns.parts.task import GONE, RAISED, RETURNED, LockedTask, Task
from perflab.patterns.workerpool import WorkerPool

CONTRACT = met


def failing(*checks):
    return {one.statement for one in checks}


OF_THE_GUIDE = failing(
    met.submit_all_then_read, met.waiting_submit, met.submit_after_stop, met.stop_races_submit,
    met.reader_leaves, met.start_twice, met.no_workers, met.job_raises, met.job_exits, met.nested,
)  # fmt: skip


class WithoutGil(WorkerPool):
    """Ours as it is where the interpreter has no lock of its own."""

    _task = LockedTask


class LooksFirst(WorkerPool):
    """Looks whether it is stopped and then queues, without a second look; the gap is widened."""

    def submit(self, fn, /, *args, **kwargs):
        staff = self._staff
        if staff.closed:
            raise StoppedError("stopped")
        time.sleep(0.0001)
        task = Task(staff.helps, fn, args, kwargs)
        staff.queue.put(task)
        if staff.queue.qsize() > self.queue_size and not staff.closed:
            staff.settle(task)
        return task


class Forgets(WorkerPool):
    """Empties its queue when it is stopped, and hands nothing back; of four workers, lest a check
    in which the queue is full by chance alone finds it out by chance alone."""

    def stop(self, *, drain=True):
        back = super().stop(drain=False)
        return back if self.workers < 4 else []


class NoHelp(WorkerPool):
    """A worker waits for room, and for a task that has not begun, like everybody else."""

    def __init__(self, workers, queue_size):
        super().__init__(workers, queue_size)
        self._staff.__class__ = EverybodyWaits
        self._submitting = self._staff, self._staff.helps, *self._submitting[2:]


class EverybodyWaits(Staff):
    at_work = False

    def helps(self, task):
        return False


class OnlyExceptions(Task):
    """Keeps an Exception for whoever asks, and lets SystemExit out."""

    def run(self):
        function, args, kwargs = self.take() or (None, None, None)
        if function is None:
            return GONE
        try:
            self._result = function(*args, **kwargs)
            return RETURNED
        except Exception as error:
            self._exception = error
            return RAISED
        finally:
            self._state = FINISHED
            if self._line is not None:
                self._tell_all(Exception)
            del self, args, kwargs


class WorkerDies(WorkerPool):
    _task = OnlyExceptions


class NeverClosed(guide.WorkerPool):
    """The guide's, mended in haste: the results have all the room, and stop empties the queue."""

    def __init__(self, worker_count, process):
        super().__init__(worker_count, process, choose=min)
        self._result_queue = Channel(10**9)

    def submit(self, job):
        if self._context.done.closed:
            raise RuntimeError("stopped")
        super().submit(job)


FAILS = [
    (on_jobs(WorkerPool), set()),
    (on_jobs(WorkerPool, drain=False), set()),
    (on_jobs(WithoutGil), set()),
    (on_jobs(WithoutGil, drain=False), set()),
    (functools.partial(guide.WorkerPool, choose=min), OF_THE_GUIDE),
    (
        functools.partial(guide.WorkerPool, choose=max),
        OF_THE_GUIDE | failing(met.stop_loses_nothing),
    ),
    (
        NeverClosed,
        OF_THE_GUIDE - failing(met.submit_all_then_read, met.submit_after_stop, met.reader_leaves),
    ),
    (on_jobs(LooksFirst), failing(met.stop_races_submit)),
    (on_jobs(Forgets), failing(met.stop_loses_nothing, met.waiting_submit)),
    (on_jobs(NoHelp), failing(met.nested)),
    (on_jobs(WorkerDies), failing(met.job_exits)),
]


def kept(pool, call):
    """A call that is refused leaves the pool as it was."""
    try:
        return call(pool)
    finally:
        assert pool.submit(abs, -1).result() == 1
        pool.stop()


NOT_A_COUNT = [None, "x", [], True, 0, -1, 1.5, float("nan")]
NONSENSE = {
    "WorkerPool(workers)": (lambda bad: WorkerPool(bad, 1), NOT_A_COUNT),
    "WorkerPool(queue_size)": (lambda bad: WorkerPool(1, bad), NOT_A_COUNT),
    "WorkerPool.submit(fn)": (
        lambda bad: kept(WorkerPool(1, 1), lambda pool: pool.submit(bad)),
        [None, 1, "x", []],
    ),
    "WorkerPool.map(fn)": (
        lambda bad: kept(WorkerPool(1, 1), lambda pool: pool.map(bad, [1])),
        [None, 1, "x"],
    ),
    "WorkerPool.map(iterables)": (
        lambda bad: kept(WorkerPool(1, 1), lambda pool: pool.map(abs, bad)),
        [None, 1, print],
    ),
    "WorkerPool.map(chunksize)": (
        lambda bad: kept(WorkerPool(1, 1), lambda pool: pool.map(abs, [1], chunksize=bad)),
        NOT_A_COUNT,
    ),
    "WorkerPool.map(buffersize)": (
        lambda bad: kept(WorkerPool(1, 1), lambda pool: pool.map(abs, [1], buffersize=bad)),
        NOT_A_COUNT[1:],
    ),
    "WorkerPool.map(timeout)": (
        lambda bad: kept(WorkerPool(1, 1), lambda pool: pool.map(abs, [1], timeout=bad)),
        ["x", [], True, float("nan")],
    ),
    "WorkerPool.stop(drain)": (
        lambda bad: kept(WorkerPool(1, 1), lambda pool: pool.stop(drain=bad)),
        [None, 1, "x"],
    ),
    "WorkerPool.shutdown(wait)": (
        lambda bad: kept(WorkerPool(1, 1), lambda pool: pool.shutdown(bad)),
        [None, 1, "x"],
    ),
    "Task.result(timeout)": (
        lambda bad: kept(WorkerPool(1, 1), lambda pool: pool.submit(time.sleep, 0.2).result(bad)),
        ["x", [], True, float("nan")],
    ),
    "Channel(capacity)": (Channel, [None, "x", True, -1, 1.5]),
}
