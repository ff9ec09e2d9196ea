"""Virtual time: a clock that a test moves, and an asyncio event loop that moves it by itself.

Code under test takes its clock as an argument, so that an hour of expiry is one call of
`advance`. Whole asyncio programs run unchanged under `run_virtual`: where a real loop would wait
for the next timer, this one moves the clock there and goes on, so a simulated minute costs only
the work done in it and gives the same result on every machine.
"""

import asyncio
import contextvars
import math
import selectors
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

from perflab.errors import DeadlockError, is_number, require

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class VirtualClock:
    """A clock that stands still until it is moved; call it to read it, in seconds."""

    def __init__(self, start: float = 0.0) -> None:
        finite = is_number(start)
        finite = finite and abs(start) <= sys.float_info.max
        require(finite, "start", start, "a finite number of seconds")
        self.now = float(start)

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Move the clock by `seconds` (≥ 0) and return the new time."""
        require(
            _is_time(seconds),
            "seconds",
            seconds,
            "at least 0 and finite: time neither runs backwards nor ends",
        )
        self.now += seconds
        return self.now


def _is_time(seconds: object) -> bool:
    """Called for every step of virtual time, so without a look at abstract classes."""
    try:
        return type(seconds) is not bool and 0 <= seconds <= sys.float_info.max  # type: ignore[operator]  # see below
    except (TypeError, ValueError):  # no number; an array
        return False


class _JumpingSelector(selectors.BaseSelector):
    """A selector for a loop without I/O: instead of waiting it moves the clock to the timer."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._keys: dict[object, selectors.SelectorKey] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError(
                f"at virtual time {self._clock.now:g} s every task waits and no timer is set"
            )
        if timeout > 0:
            self._clock.advance(timeout)
        return []

    # The loop registers its own wake-up pipe here; nothing ever writes to it.
    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self._keys[fileobj] = selectors.SelectorKey(fileobj, -1, events, data)
        return self._keys[fileobj]

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> dict[object, selectors.SelectorKey]:  # type: ignore[override]  # a plain dict serves
        return self._keys


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._virtual_clock = clock
        super().__init__(_JumpingSelector(clock))

    def time(self) -> float:
        return self._virtual_clock.now

    @property
    def _clock_resolution(self) -> float:
        """A timer is due when the clock has reached it: the smallest step a float can show.

        A constant would vanish beside a large clock (1e-9 does beside `time.time()`), and the loop
        would then wait for ever for a timer whose time has come.
        """
        return math.ulp(self._virtual_clock.now)

    @_clock_resolution.setter
    def _clock_resolution(self, real_clock: float) -> None:
        """The base class offers the real clock's resolution, which says nothing here."""

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        if when == math.inf:  # never due: put in the queue, it would hide a deadlock
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)


def run_virtual(main: Coroutine[Any, Any, T], clock: VirtualClock | None = None) -> T:
    """Run an asyncio program on virtual time and return its result.

    `asyncio.sleep`, time-outs, locks and queues work as they are; `loop.time()` is virtual, and
    `clock`, if given, moves with it. Real I/O and threads do not belong in `main`.

    Works in a notebook too, where an event loop is already running: the virtual one runs inside
    this call and hands back to the outer one.

    Raises DeadlockError where every task waits and no timer is left to wake one; otherwise
    whatever `main` raises.
    """
    require(asyncio.iscoroutine(main), "main", main, "a coroutine: call the async function")
    known = clock is None or isinstance(clock, VirtualClock)
    require(known, "clock", clock, "a VirtualClock, or None")
    with _outer_loop_aside():
        loop = _VirtualLoop(clock if clock is not None else VirtualClock())
        try:
            return loop.run_until_complete(main)
        finally:
            try:
                _cancel_all(loop)
            finally:
                loop.close()


@contextmanager
def _outer_loop_aside() -> Iterator[None]:
    """Let asyncio forget the loop that runs in this thread, if one does, and its current task.

    The task too: from Python 3.14 on a thread, not a loop, has a current task, and no other task
    may run in the thread until that one was left.
    """
    outer = asyncio._get_running_loop()
    task = asyncio.current_task(outer) if outer is not None else None
    if outer is not None and task is not None:
        asyncio._leave_task(outer, task)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(outer)
        if outer is not None and task is not None:
            asyncio._enter_task(outer, task)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what `main` left behind and let it clean up, as asyncio.run does."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler(
                {
                    "message": "a task failed while run_virtual cancelled it",
                    "exception": task.exception(),
                    "task": task,
                }
            )
