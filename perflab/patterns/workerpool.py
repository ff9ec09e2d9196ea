"""A worker pool: so many threads do what is submitted, and a bounded queue holds back the rest.

What it is for: to wait for many things at once with few threads, and to pass an overload on to
whoever causes it (`submit` waits) instead of piling it up in memory.

It is a `concurrent.futures.Executor`, and finishes what it took: every task that `submit` returned
is run, or was cancelled, or is handed back by `stop(drain=False)`; one of them, and once. It takes
no other executor to work on: what it adds are threads and a bounded line. Where calls are to run on
other processes or machines, their executor (Dask's `Client.get_executor()`) stands in its place,
and `Pipeline` bounds what is under way there.

The races it must win, and how:

- *run or cancel or hand back*: the call is taken out of its task once (see task.py);
- *close racing submit*: `submit` puts first and looks afterwards; `stop` closes first and puts the
  end of the queue afterwards. A task before that end is run or handed back. One behind it was put
  when the pool was closed, which its submitter therefore sees: it takes its call back, and
  raises, unless a worker was faster;
- *room*: who finds the queue over its size waits at the door until his task, which is in line
  already, has moved up into it; a worker that has taken a task out lets the next in. Both count
  before they look for each other, so neither misses the other;
- *a job that waits for a job of its own pool*: with as many jobs nested as there are workers, all
  would wait for tasks that none can start. Avoided, not reported: a worker that asks for the
  result of a task that has not begun runs it itself, and one that submits to a full queue too.
  An error instead would come or not come with the load. (`wait` and `as_completed` do not ask
  the task: inside a job, use `result`.)

The fast path is one operation of the queue, which is C and atomic, with the GIL or without it.

Sources: Java's ThreadPoolExecutor (bounded queue, the caller runs what finds no room), Doug Lea's
fork/join framework (2000; who waits for a task runs it), CPython's concurrent/futures/thread.py.
"""

import atexit
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, starmap
from typing import Any, ParamSpec, TypeVar

from perflab.errors import require
from perflab.patterns.parts.staff import Staff
from perflab.patterns.parts.task import HAS_GIL, LockedTask, Task
from perflab.patterns.parts.taskline import require_timeout

P = ParamSpec("P")
T = TypeVar("T")
Chunk = tuple[list[T], BaseException | None]  # results up to the first error, and that error


@dataclass(frozen=True)
class WorkerPoolStats:
    """One look at a pool. At rest: taken = finished + cancelled + handed_back."""

    workers: int
    queue_size: int
    queued: int  # tasks in the queue; a cancelled one too until its turn, none still at the door
    running: int  # workers that are in a call
    finished: int  # calls that have ended, in whatever way
    failed: int  # of these, those that raised
    cancelled: int  # tasks that were found cancelled when their turn came
    handed_back: int  # calls that were taken and will not be run


_staffs: "weakref.WeakSet[Staff]" = weakref.WeakSet()


@atexit.register
def _finish() -> None:
    """At the interpreter's exit what was taken is finished, as concurrent.futures does."""
    for staff in list(_staffs):
        staff.close()
        staff.join()


class WorkerPool(Executor):
    """`workers` threads, and a queue for `queue_size` tasks; `submit` waits while it is full.

    The threads run until the pool is stopped, left as a context, or dropped. A call that raises,
    be it SystemExit, ends its task and no worker. ValueError for numbers below 1.
    """

    _task: type[Task[Any]] = Task if HAS_GIL else LockedTask

    def __init__(self, workers: int, queue_size: int) -> None:
        for name, value in (("workers", workers), ("queue_size", queue_size)):
            require(type(value) is int and value >= 1, name, value, "an int >= 1")
        self.workers, self.queue_size = workers, queue_size
        self._staff = staff = Staff(workers, queue_size)
        queue = staff.queue
        self._submitting = staff, staff.helps, queue.qsize, queue.put, self._task  # bound once
        _staffs.add(staff)
        weakref.finalize(self, staff.close).atexit = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Task[T]:
        """The task of `fn(*args, **kwargs)`; waits for room. StoppedError once it is stopped.

        A job that submits to its own pool never waits: it runs the call if there is no room.
        """
        if callable(fn) is False:
            require(False, "fn", fn, "a function")
        staff, helps, queued, put, make = self._submitting
        task: Task[T] = make(helps, fn, args, kwargs)
        if queued() >= staff.limit and not staff.closed and helps(task):
            return task
        put(task)
        if queued() > staff.limit:
            staff.settle(task)
        return task

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """The results of `fn` for each row of the inputs, in their order, as `Executor.map`.

        Lazy: of the inputs no more is read than `buffersize` chunks (as many as the pool holds)
        beyond what was asked for, so they may be endless. Who drops the iterator cancels the rest.
        TimeoutError where a result is not there `timeout` seconds after the call.
        """
        require(callable(fn), "fn", fn, "a function")
        are_iterable = all(isinstance(one, Iterable) for one in iterables)
        require(are_iterable, "iterables", iterables, "iterables")
        ahead = self.workers + self.queue_size if buffersize is None else buffersize
        for name, value in (("chunksize", chunksize), ("buffersize", ahead)):
            require(type(value) is int and value >= 1, name, value, "an int >= 1")
        require_timeout(timeout)
        end = None if timeout is None else time.monotonic() + timeout
        run: Callable[..., Iterator[T]] = map if len(iterables) == 1 else starmap

        def submit(chunk: list[Any]) -> Task[Chunk[T]]:
            return self.submit(_run_all, run, fn, chunk)

        results = self._mapped(submit, _chunks(iterables, chunksize), ahead, end)
        next(results)  # the first chunks are under way
        return chain.from_iterable(results)

    def _mapped(
        self,
        submit: Callable[[list[Any]], Task[Chunk[T]]],
        chunks: Iterator[list[Any]],
        ahead: int,
        end: float | None,
    ) -> Iterator[list[T]]:
        """First nothing, when a window of chunks is under way; then the results of each chunk."""
        tasks: deque[Task[Chunk[T]]] = deque()
        try:
            for chunk in islice(chunks, ahead):
                tasks.append(submit(chunk))
            yield []
            while tasks:
                results, error = tasks[0].result(None if end is None else end - time.monotonic())
                tasks.popleft()
                for chunk in islice(chunks, 1):
                    tasks.append(submit(chunk))
                yield results
                if error is not None:
                    raise error
        finally:
            for task in tasks:
                task.cancel()

    def stop(self, *, drain: bool = True) -> list[partial[Any]]:
        """Take no more, and wait until the workers have ended; inside a job, without waiting.

        With `drain` everything taken is run first. Without it, the calls that have not begun are
        handed back, to be run elsewhere, and their tasks are cancelled.
        """
        require(type(drain) is bool, "drain", drain, "True or False")
        staff = self._staff
        self.shutdown(cancel_futures=not drain)
        calls = [staff.returned.popleft() for _ in range(len(staff.returned))]
        return [partial(fn, *args, **kwargs) for fn, args, kwargs in calls]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As an Executor demands: `stop`, without waiting if so asked."""
        for name, value in (("wait", wait), ("cancel_futures", cancel_futures)):
            require(type(value) is bool, name, value, "True or False")
        self._staff.close()
        if cancel_futures:
            self._staff.hand_back()
        if wait:
            self._staff.join()

    def stats(self) -> WorkerPoolStats:
        """The counts of this moment."""
        staff = self._staff
        queued = 0 if staff.at_home else staff.queue.qsize() - staff.closed
        returned, raised, dropped, _ = (
            sum(column) for column in zip(*(one.met for one in staff.workers), strict=True)
        )
        return WorkerPoolStats(
            workers=self.workers,
            queue_size=self.queue_size,
            queued=min(max(0, queued), self.queue_size),
            running=sum(one.busy for one in staff.workers),
            finished=returned + raised,
            failed=raised,
            cancelled=dropped + staff.cancelled,
            handed_back=staff.handed_back,
        )


def _chunks(iterables: Sequence[Iterable[Any]], size: int) -> Iterator[list[Any]]:
    """The rows of the inputs, so many at a time; of a single input, its items."""
    rows = iter(iterables[0]) if len(iterables) == 1 else zip(*iterables, strict=False)
    return iter(lambda: list(islice(rows, size)), [])


def _run_all(run: Callable[..., Iterator[T]], fn: Callable[..., T], chunk: list[Any]) -> Chunk[T]:
    results: list[T] = []
    try:
        results.extend(run(fn, chunk))
    except BaseException as error:
        return results, error
    return results, None
