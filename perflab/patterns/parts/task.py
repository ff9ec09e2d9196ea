"""A Future that costs a sixth of the standard one: the tasks of `WorkerPool`.

`concurrent.futures.Future` makes a lock and a condition for every call, although most futures
are asked for their result after they have ended, or never. A `Task` makes its lock when somebody
comes to wait, and wins both of its races without one:

- *run or cancel*: who deletes `_function` owns the call, and only one can. A worker runs it,
  `cancel` drops it, `stop` hands it back.
- *end or wait*: the task writes its state and then looks for a line; whoever waits makes a line
  and then looks at the state. One of the two sees the other: register, then check again.

Both rest on the GIL. Where the interpreter runs without one, `LockedTask` takes its place.

`wait`, `as_completed` and asyncio work on tasks: the standard library reaches for `_condition`,
`_waiters`, `_state` and `_done_callbacks`, which exist since Python 3.2 and are kept here.
"""

import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures._base import (
    CANCELLED_AND_NOTIFIED,
    FINISHED,
    LOGGER,
    PENDING,
    RUNNING,
)
from typing import Any, TypeVar

from perflab.patterns.parts.taskline import Line, Waiter, require_timeout

RETURNED, RAISED, DROPPED, GONE = range(4)  # what became of a task that a worker met
T = TypeVar("T")
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


_making = threading.Lock()  # guards that a task gets one line, however many come to wait at once


class Task(Future[T]):
    """A call, taken by a pool. Its state:

    - `_function`, `_args`, `_kwargs`: the call; deleted by whoever owns it (three, not one tuple:
      that would be one more object for the collector to walk while the task is queued);
    - `_state`, `_result`, `_exception`: as in every Future; the state is written last;
    - `_line`: who waits; None until somebody comes;
    - `_helper`: asked before a wait; runs the task at once where that prevents a deadlock.
    """

    __slots__ = (
        *("_function", "_args", "_kwargs", "_helper", "_line"),
        *("_state", "_result", "_exception"),
    )

    def __init__(
        self,
        helper: "Callable[[Task[Any]], bool]",
        function: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        # not super().__init__: it makes what this class is there to avoid
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._helper = helper
        self._line: Line | None = None
        self._state = PENDING
        self._result: Any = None
        self._exception: BaseException | None = None

    # ── who owns the call

    def take(self) -> Call | None:
        """The call, for the one who comes first; None for everyone after."""
        try:
            call = self._function, self._args, self._kwargs
            del self._function  # of those who come at once, one succeeds
        except AttributeError:
            return None
        del self._args, self._kwargs
        return call

    def withdraw(self, contained: type[BaseException] = BaseException) -> Call | None:
        """Take the call and let the task end as cancelled. Callbacks may raise the contained."""
        with self._condition:  # a second `cancel` waits here, and then finds the state written
            call = self.take()
            if call is not None:
                self._state = CANCELLED_AND_NOTIFIED
        if call is not None:
            self._tell_all(contained)
        return call

    def cancel(self) -> bool:
        """Whether it was cancelled: it has not run and never will."""
        return self.withdraw(Exception) is not None or self.cancelled()

    def run(self) -> int:
        """Run the call, if nobody has taken it: RETURNED or RAISED, else GONE or DROPPED.

        What the call raises is kept for whoever asks; nothing of it comes out here.
        """
        try:
            function, args, kwargs = self._function, self._args, self._kwargs
            del self._function
        except AttributeError:
            return self._missed()
        del self._args, self._kwargs
        self._state = RUNNING
        try:
            self._result = function(*args, **kwargs) if kwargs else function(*args)
            return RETURNED
        except BaseException as error:  # also SystemExit: it is the caller's, not the worker's
            self._exception = error
            return RAISED
        finally:
            self._state = FINISHED
            if self._line is not None:  # else, who comes now makes it and then finds the state
                self._tell_all(BaseException)
            del self, args, kwargs  # the traceback holds this frame: no cycle through it

    def _missed(self) -> int:
        with self._condition:  # held from the taking of a call until its task is cancelled
            return DROPPED if self.cancelled() else GONE

    def _tell_all(self, contained: type[BaseException]) -> None:
        line = self._condition
        with line:
            for waiter in line.waiters:
                self._tell(waiter)
        for callback in line.callbacks:  # no more are added: the state is written
            try:
                callback(self)
            except contained:
                LOGGER.exception("exception calling callback for %r", self)

    def _tell(self, waiter: Any) -> None:
        if self._state == CANCELLED_AND_NOTIFIED:
            waiter.add_cancelled(self)
        elif self._exception is not None:
            waiter.add_exception(self)
        else:
            waiter.add_result(self)

    # ── who waits for its end

    @property
    def _condition(self) -> Line:  # type: ignore[override]  # a lock is all that is asked of it
        if self._line is None:
            with _making:
                self._line = self._line or Line()
        return self._line

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]  # the standard one is a plain list
        return self._condition.waiters

    @property
    def _done_callbacks(self) -> list[Callable[[Future[Any]], object]]:
        return self._condition.callbacks

    def _wait(self, timeout: float | None) -> None:
        require_timeout(timeout)
        if self.done() or (timeout is None and self._helper(self)):
            return
        line, waiter = self._condition, Waiter()
        with line:
            if self.done():
                return
            line.waiters.append(waiter)
        try:
            if not waiter.wait(timeout if timeout is None else max(0.0, timeout)):
                raise TimeoutError
        finally:
            with line:
                line.waiters.remove(waiter)

    def result(self, timeout: float | None = None) -> T:
        """What the call returned; raises what it raised, CancelledError or TimeoutError."""
        if self._state is FINISHED and self._exception is None:
            return self._result  # type: ignore[no-any-return]  # a slot that holds None at first
        error = self.exception(timeout)
        try:
            if error is not None:
                raise error
            return self._result  # type: ignore[no-any-return]  # as above
        finally:
            del self, error  # the traceback holds this frame: no cycle through it

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call raised, or None; raises CancelledError or TimeoutError."""
        if self._state is not FINISHED:
            self._wait(timeout)
            if self.cancelled():
                raise CancelledError
        return self._exception

    def cancelled(self) -> bool:
        return self._state == CANCELLED_AND_NOTIFIED

    def running(self) -> bool:
        return self._state == RUNNING

    def done(self) -> bool:
        return self._state in (FINISHED, CANCELLED_AND_NOTIFIED)


class LockedTask(Task[T]):
    """A task where threads run at the same time: both races are decided under its lock.

    `_free`: whether nobody owns the call; guarded by the lock of `_line`, which is always there.
    """

    __slots__ = ("_free",)

    def __init__(self, *call: Any) -> None:
        super().__init__(*call)
        self._line = Line()
        self._free = True

    def _first(self) -> bool:
        with self._condition:
            first, self._free = self._free, False
        return first

    def take(self) -> Call | None:
        return super().take() if self._first() else None

    def run(self) -> int:
        try:
            return super().run() if self._first() else self._missed()
        finally:
            del self  # as in Task.run
