"""A bulkhead: at most so many calls of one dependency at a time, so that it cannot take the rest.

A ship is divided by bulkheads; a hole floods one part of it. A service that calls a slow
dependency without a limit fills up with calls of it: every thread, every connection waits there,
and requests that never needed it wait with them. With a limit, a few do. Who finds every slot
held waits in line, `max_wait` seconds at most, and then gets an error at once instead of an
answer too late.

A slot is held until the work has really ended. A caller may give up before (its time is over, its
task was cancelled), but what it has started goes on in a thread or at the dependency, and freeing
the slot would let the next one in beside it: `run` and `submit` keep it until the end.

The races it must win: the *lost wake-up* (a caller finds no slot, then one is freed and nobody is
seen waiting, then the caller lies down for ever); a newcomer that overtakes those in line; a slot
that is handed to a caller at the moment when it gives up.

Sources: M. Nygard, Release It! (2007), «Bulkheads»; the order «stand in line, then look again» is
Dekker's, as in Linux's `prepare_to_wait`.
"""

import asyncio
import inspect
import itertools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from perflab.errors import BulkheadFullError, is_number, is_whole, require
from perflab.patterns.parts.line import Line, TaskWaiter, ThreadWaiter, Waiter

P = ParamSpec("P")
T = TypeVar("T")
Work = TypeVar("Work", Future[Any], "asyncio.Task[Any]")

# One call into C is one step for all threads only while the GIL makes it so.
_LOCK_FREE: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
LONGEST = threading.TIMEOUT_MAX  # seconds
MOST = 1_000_000  # slots


@dataclass(frozen=True)
class BulkheadStats:
    """What a bulkhead does and has done."""

    in_use: int  # slots held now
    waiting: int  # callers in line now
    entered: int  # times that a slot was taken
    waited: int  # of these: not at once, but from the line
    rejected: int  # callers whose time was over before one was free


class Bulkhead:
    """At most `max_concurrent` calls at a time, for threads and tasks alike.

    Who finds no slot waits in line, first come, first served, for at most `max_wait` seconds (None:
    as long as it takes; 0: not at all), and then gets BulkheadFullError. The work itself has no
    time-out here: give the caller one, as `asyncio.timeout` does.

    `with bulkhead:`, `async with bulkhead:`; `call(fn)` is the fastest. `run` and `submit` are for
    work that may outlast its caller. A call within a call takes a second slot.

    Its state: `_free`, as many things as slots are free; `_line`, who waits. While the line is
    empty a slot is taken and given back by one call into C, without the lock. With somebody in
    line everybody comes to the lock: under it, free slots go to the first in line.
    """

    def __init__(self, max_concurrent: int, max_wait: float | None = None) -> None:
        count = is_whole(max_concurrent)
        count = count and 1 <= max_concurrent <= MOST
        require(count, "max_concurrent", max_concurrent, f"a whole number from 1 to {MOST:,}")
        seconds = is_number(max_wait)
        seconds = max_wait is None or (seconds and 0 <= max_wait <= LONGEST)
        require(seconds, "max_wait", max_wait, f"seconds from 0 to {LONGEST:g}, or None")
        self.max_concurrent, self.max_wait = max_concurrent, max_wait
        self._line = Line(max_concurrent, careful=not _LOCK_FREE)
        self._free, self._waiting = self._line.free, self._line.waiting
        self._entered = itertools.count()
        self._readings = 0  # of _entered: each has moved it on by one

    def stats(self) -> BulkheadStats:
        """The counters, each as it is when it is read."""
        with self._line.lock:
            at_once = next(self._entered) - self._readings
            self._readings += 1
            line = self._line
            return BulkheadStats(
                in_use=self.max_concurrent - len(line.free),
                waiting=len(line.waiting),
                entered=at_once + line.served,
                waited=line.waited,
                rejected=line.rejected,
            )

    # ── a slot for a block, or for a call

    # Nobody in line and a slot free: one pop. Written out where it is hot, a call costs as much.

    def __enter__(self) -> Self:
        if not self._waiting:
            try:
                self._free.pop()
            except IndexError:
                pass
            else:
                next(self._entered)
                return self
        self._from_line()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._free.append(None)
        if self._waiting:
            self._line.serve()

    async def __aenter__(self) -> Self:
        if self._at_once():
            return self
        waiter = TaskWaiter()
        try:
            if not self._line.join(waiter) and self.max_wait != 0:
                await waiter.sleep(self.max_wait)
            left = self._line.leave(waiter, rejected=True)
        except BaseException:  # cancelled, for one
            self._withdraw(waiter)
            raise
        if left:
            raise self._full()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.give_back()

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(…)` in a slot; of a coroutine function see `run`."""
        try:
            if self._waiting:
                raise IndexError
            self._free.pop()
        except IndexError:
            self._from_line()
        else:
            next(self._entered)
        try:
            if kwargs:
                return fn(*args, **kwargs)
            return fn(*args)  # type: ignore[call-arg]  # ** costs time, empty as well
        except TypeError:
            require(callable(fn), "fn", fn, "a function")
            raise
        finally:
            self._free.append(None)
            if self._waiting:
                self._line.serve()

    def _at_once(self) -> bool:
        """A slot, where one is free and nobody is in line."""
        if self._waiting:
            return False
        try:
            self._free.pop()
        except IndexError:
            return False
        next(self._entered)
        return True

    def _from_line(self) -> None:
        """A slot for a thread that has to wait for it.

        1. It is served. 2. Its time is over: out of the line. 3. Both at once: it has a slot, and
        takes it. 4. It is interrupted: out of the line, or the slot that it has goes on.
        """
        waiter = ThreadWaiter()
        try:
            if not self._line.join(waiter) and self.max_wait != 0:
                waiter.sleep(self.max_wait)
            left = self._line.leave(waiter, rejected=True)
        except BaseException:
            self._withdraw(waiter)
            raise
        if left:
            raise self._full() from None

    def _withdraw(self, waiter: Waiter) -> None:
        if not self._line.leave(waiter):
            self._line.give_back()

    def _full(self) -> BulkheadFullError:
        waited = f" for {self.max_wait:g} s" if self.max_wait else ""
        return BulkheadFullError(f"all {self.max_concurrent} slots were held{waited}")

    # ── work that may outlast its caller

    def submit(
        self, executor: Executor, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Wait for a slot, then `executor.submit(fn, …)`; the slot is held until that has ended.

        `.result(timeout)` of the future may be given up; the work goes on, in its slot.
        """
        require(callable(fn), "fn", fn, "a function")
        require(isinstance(executor, Executor), "executor", executor, "an Executor")
        self.__enter__()
        return self._holding(lambda: executor.submit(fn, *args, **kwargs))

    async def run(
        self, fn: Callable[..., Any], /, *args: Any, executor: Executor | None = None
    ) -> Any:
        """Wait for a slot, then for `fn(…)`, a coroutine function, or any with an executor.

        Where its task is cancelled the coroutine is too, while what runs in an executor goes on;
        either holds the slot until it has ended. Who is cancelled while waiting starts nothing.
        """
        fine = executor is None or isinstance(executor, Executor)
        require(fine, "executor", executor, "an Executor, or None")
        fine = callable(fn) and (executor is not None or inspect.iscoroutinefunction(fn))
        require(fine, "fn", fn, "a coroutine function, or with an executor any function")
        await self.__aenter__()
        if executor is not None:
            future = self._holding(lambda: executor.submit(fn, *args))
            return await asyncio.wrap_future(future)
        work = self._holding(lambda: asyncio.create_task(fn(*args)))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.cancel()
            raise

    def _holding(self, begin: Callable[[], Work]) -> Work:
        """Work that gives its caller's slot back when it has ended, or will never begin."""
        try:
            work = begin()
        except BaseException:  # an executor that was shut down, arguments that fn does not take
            self._line.give_back()
            raise
        work.add_done_callback(lambda _: self._line.give_back())
        return work
