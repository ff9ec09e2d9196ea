"""A circuit breaker: stop calling what does not answer, and try now and then whether it does again.

A dependency that hangs takes its callers with it: each holds a thread, a connection and a user
while it waits. After some failures a breaker **opens**: calls fail at once, and the dependency
gets the rest it may need. After `reset_timeout` it is **half-open**: a probe is let through.
Enough good probes **close** it, a bad one opens it again.

How it works: **admit** under the lock, **call** outside it, **record** under it. A breaker never
waits, so `with breaker:` serves threads and asyncio alike.

The races it must win: many callers come at the moment when it turns half-open (one probe, not a
herd); a call that set out before the trip ends after it (see `eras`); a probe ends in an interrupt
or in an error that says nothing (its place is given back); a hook that is told of a change uses
the breaker (it is told outside the lock, in order).

Source: M. Nygard, Release It! (2007), «Circuit Breaker»; the rate over a window of calls and the
limited probes as in Netflix's Hystrix and resilience4j.
"""

import itertools
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import CoroutineType, TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from perflab.errors import CircuitOpenError, require
from perflab.patterns.parts.eras import Closed, Era, Exceptions, HalfOpen, Open, Rules, State
from perflab.patterns.parts.guarding import guarded, recall, under_way
from perflab.patterns.parts.news import News

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

# One call into C is one step for all threads only while the GIL makes it so.
_LOCK_FREE: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


@dataclass(frozen=True)
class BreakerStats:
    """What a breaker has done so far. admitted = successes + failures + ignored + under way."""

    state: State
    successes: int  # calls that returned
    failures: int  # calls that raised what counts
    ignored: int  # calls that raised what says nothing about the dependency
    late: int  # of the successes and failures: ended in another era than they began, moved nothing
    rejected: int  # calls that were not made
    trips: int  # times that it opened, from closed or half-open


class CircuitBreaker:
    """Guards calls to one dependency.

    It opens after `failure_threshold` failures in a row (None: however many), if all were within
    the last `within` seconds, and, where `failure_rate` is given, when at least that share of the
    last `window` calls failed. After `reset_timeout` seconds at most `max_probes` calls at
    a time are let through; `success_threshold` good ones close it, a bad one opens it again.

    An `Exception` is a failure unless it is of the `ignore` types. What is no `Exception` says
    nothing about the dependency: a keyboard interrupt, a cancelled task. So a time-out belongs
    inside the breaker, where it comes out as TimeoutError.

    `on_change(old, new)` is told of every change of state, outside the lock, in order, one at a
    time; what it raises is logged. CircuitOpenError is raised for a call that is not made.

    Use it as `with breaker:`, as a decorator of functions, coroutine functions and generators of
    both kinds, or as `breaker.call(fn, …)`. The decorator is the fastest; a block has to remember
    in which era it was entered, and costs several times as much.

    Its state, guarded by `_lock`: `era`, the present one (read without the lock, replaced under
    it), the counters, and `_news`. The lock may be entered again by its thread: the collector may
    close a forgotten generator at any moment, also in here.
    """

    def __init__(
        self,
        failure_threshold: int | None = 5,
        reset_timeout: float = 30.0,
        success_threshold: int = 1,
        *,
        within: float = 60.0,
        failure_rate: float | None = None,
        window: int = 100,
        max_probes: int = 1,
        ignore: Exceptions = (),
        on_change: Callable[[State, State], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        require(callable(clock), "clock", clock, "a function that returns seconds")
        self._rules = Rules(
            failure_threshold, reset_timeout, success_threshold, within, failure_rate, window,
            max_probes, ignore,
        )  # fmt: skip
        self._clock = clock
        self._lock = threading.RLock()
        self._news = News(on_change, self._lock)
        self._successes = itertools.count()
        self._readings = 0  # of _successes: each has moved it on by one
        self._failures = self._ignored = self._late = self._rejected = self._trips = 0
        self.era: Era = self._closed()

    @property
    def state(self) -> State:
        """The present state. An open breaker stays so until a call comes after its time-out."""
        return self.era.state

    def stats(self) -> BreakerStats:
        """The counters at one moment."""
        with self._lock:
            successes = next(self._successes) - self._readings
            self._readings += 1
            return BreakerStats(
                self.era.state, successes, self._failures, self._ignored, self._late,
                self._rejected, self._trips,
            )  # fmt: skip

    # ── admit, call, record

    def admit(self) -> Era:
        """Let a call in, and return the era in which it counts; CircuitOpenError if it may not.

        1. Closed: it may. 2. Open, and the time is not over: it may not. 3. Open, and it is over:
        half-open from now on. 4. Half-open: it may where a probe may set out.
        """
        era = self.era
        if era.closed:
            return era
        now = self._clock()
        with self._lock:
            era = self.era
            if isinstance(era, Open) and now >= era.until:
                self._turn(State.HALF_OPEN, now)
                era = self.era
            admitted = era.admits(now)
            self._rejected += not admitted
        self._news.tell()
        if not admitted:
            raise CircuitOpenError(era.refusal(now))
        return era

    def succeeded(self, era: Era) -> None:
        """Record that a call returned which was let in in this era."""
        if era.quiet:
            next(era.tally)
            return
        now = self._clock()
        with self._lock:
            next(era.tally)
            if era is self.era:
                self._turn(era.succeeded(), now)
            else:
                self._late += 1
        self._news.tell()

    def failed(self, era: Era, error: BaseException) -> None:
        """Record what a call raised which was let in in this era."""
        counts = self._rules.counts(error)
        now = self._clock()
        with self._lock:
            if not counts:
                self._ignored += 1
                era.ended()
                return
            self._failures += 1
            if era is self.era:
                self._turn(era.failed(now), now)
            else:
                self._late += 1
        self._news.tell()

    def _turn(self, state: State, now: float) -> None:
        """Under the lock: go on in this state, which is a new era unless it is the present one."""
        old = self.era
        if state is old.state:
            return
        if isinstance(old, Closed):
            old.quiet = False  # whoever still belongs to it comes to the lock, and is late
        if state is State.OPEN:
            self._trips += 1
            self.era = Open(now + self._rules.reset_timeout, self._successes)
        else:
            half_open = state is State.HALF_OPEN
            self.era = HalfOpen(self._rules, self._successes) if half_open else self._closed()
        self._news.add(old.state, state)

    def _closed(self) -> Closed:
        return Closed(self._rules, self._successes, _LOCK_FREE)

    # ── ways to call

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(…)` under guard; of a coroutine function, a coroutine that is guarded until its end.

        Raises what it raises, and CircuitOpenError where it is not called.
        """
        require(callable(fn), "fn", fn, "a function")
        era = self.admit()
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            self.failed(era, error)
            raise
        if type(result) is CoroutineType:
            return cast(T, self._awaited(era, cast(Any, result)))
        self.succeeded(era)
        return result

    async def _awaited(self, era: Era, work: Coroutine[Any, Any, T]) -> T:
        try:
            result = await work
        except BaseException as error:
            self.failed(era, error)
            raise
        self.succeeded(era)
        return result

    def __call__(self, fn: F) -> F:
        """Decorate a function: every call of it is guarded."""
        require(callable(fn), "fn", fn, "a function")
        return guarded(self, fn)

    def __enter__(self) -> Self:
        era = self.era
        if not era.closed:
            era = self.admit()
        under_way.set((self, era, under_way.get()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        entry = under_way.get()
        if entry is not None and entry[0] is self:
            under_way.set(entry[2])
            era: Era = entry[1]
        else:  # where none is known, an era that is over: the call counts as late
            era = recall(self) or Open(0.0, self._successes)
        if error is not None:
            self.failed(era, error)
        elif era.quiet:
            next(era.tally)
        else:
            self.succeeded(era)
