"""Chapter 9: an answer to each exercise, and wrong ones with what their hint must name."""

import asyncio
import threading
from collections import deque

import numpy as np

# ── 1: a retry that multiplies by at most 1.1


class Budgeted:
    """A token bucket: a tenth of a retry for each request, ten at most."""

    earns, most = 0.1, 10

    def __init__(self):
        self.tokens = self.most

    def call(self, fn):
        self.tokens = min(self.most, self.tokens + self.earns)
        attempts = 1
        while True:
            try:
                return fn()
            except OSError:
                if attempts == 3 or self.tokens < 1:
                    raise
            attempts += 1
            self.tokens -= 1


class ThreeAlways(Budgeted):
    earns = 3


class Never(Budgeted):
    earns = most = 0


class OnceForAll(Budgeted):
    earns = 0


class Hoarding(Budgeted):
    most = 1e9

    def __init__(self):
        self.tokens = 10


class OneToken(Budgeted):
    most = 1


class WhateverIsRaised(Budgeted):
    def call(self, fn):
        def seen():
            try:
                return fn()
            except Exception as error:
                raise OSError from error

        try:
            return super().call(seen)
        except OSError as error:
            raise (error.__cause__ or error) from None


# ── 2: mend the guide's bulkhead


class Slots:
    """A slot belongs to the work; one timer; who gives up passes on what it was handed."""

    def __init__(self, max_concurrency, timeout):
        self.free, self.timeout, self.line = max_concurrency, timeout, deque()
        self.at_work = set()

    async def execute(self, ctx, fn):
        clock = asyncio.get_running_loop().time
        end = clock() + self.timeout
        self.look(ctx)
        slot = asyncio.get_running_loop().create_future()
        self.line.append(slot)
        self.serve()
        try:
            await self.until(slot, ctx, end - clock())
            self.look(ctx)
        except BaseException:
            if not slot.cancel():
                self.give_back()
            raise
        work = asyncio.create_task(fn())
        self.at_work.add(work)
        work.add_done_callback(self.ended)
        return await self.until(work, ctx, end - clock())

    def look(self, ctx):
        if ctx.is_set():
            raise TimeoutError

    def ended(self, work):
        self.at_work.discard(work)
        self.give_back()

    def give_back(self):
        self.free += 1
        self.serve()

    def serve(self):
        while self.free and self.line:
            slot = self.line.popleft()
            if not slot.done():
                self.free -= 1
                slot.set_result(None)

    async def until(self, task, ctx, seconds):
        gone = asyncio.create_task(ctx.wait())
        await asyncio.wait({task, gone}, timeout=seconds, return_when="FIRST_COMPLETED")
        gone.cancel()
        if not task.done():
            raise TimeoutError
        return task.result()


class FreedByTheCaller(Slots):
    """The slot is the caller's, as in the guide's."""

    async def execute(self, ctx, fn):
        begun = []

        async def work():
            begun.append(1)
            return await fn()

        try:
            return await super().execute(ctx, work)
        finally:
            if begun:
                self.give_back()

    def ended(self, work):
        self.at_work.discard(work)


class TwoTimers(Slots):
    async def until(self, task, ctx, seconds):
        return await super().until(task, ctx, self.timeout)


class StartsAllTheSame(Slots):
    def look(self, ctx):
        pass

    async def until(self, task, ctx, seconds):
        if task.done():
            return task.result()
        return await super().until(task, ctx, seconds)


class LosesASlot(Slots):
    def serve(self):
        while self.free and self.line:
            slot = self.line.popleft()
            self.free -= 1
            if not slot.done():
                slot.set_result(None)


# ── 3: mend the guide's breaker


class Breaker:
    """Admit under the lock, call outside it, record under it; an era for each state."""

    probes, window, minute = 1, 20, 60

    def __init__(self, max_failures, reset_timeout, *, clock):
        self.max_failures, self.reset_timeout, self.clock = max_failures, reset_timeout, clock
        self.lock = threading.Lock()
        self.turn("closed")

    def turn(self, state):
        self.state, self.era, self.since = state, object(), self.clock()
        self.failed_at, self.last, self.probing = [], deque(maxlen=self.window), 0

    def execute(self, fn):
        with self.lock:
            era = self.admit()
        try:
            result = fn()
        except Exception:
            self.record(era, False)
            raise
        except BaseException:
            self.record(era, None)
            raise
        self.record(era, True)
        return result

    def admit(self):
        over = self.clock() - self.since > self.reset_timeout
        if self.state == "open" and over:
            self.turn("half-open")
        elif self.state == "half-open" and over:
            self.probing, self.since = 0, self.clock()  # a probe that was never heard of again
        if self.state == "open" or (self.state == "half-open" and self.probing >= self.probes):
            raise RuntimeError("open")
        self.probing += 1
        return self.era

    def record(self, era, good):
        with self.lock:
            if era is not self.era:
                return
            if self.state == "half-open":
                self.probing -= 1
                if good is not None:
                    self.turn("closed" if good else "open")
            elif good is not None:
                self.count(good)

    def count(self, good):
        now = self.clock()
        self.last.append(good)
        recent = [moment for moment in self.failed_at if now - moment <= self.minute]
        self.failed_at = [] if good else [*recent, now]
        full = len(self.last) == self.window
        often = full and self.last.count(False) >= self.window / 2
        if len(self.failed_at) >= self.max_failures or often:
            self.turn("open")


class LockHeld(Breaker):
    """All as it should be, and the call under the lock after all."""

    def execute(self, fn):
        self.lock = threading.RLock()
        with self.outer:
            return super().execute(fn)

    def turn(self, state):
        self.outer = getattr(self, "outer", None) or threading.RLock()
        super().turn(state)


class Herd(Breaker):
    probes = 1_000


class NoEras(Breaker):
    def record(self, era, good):
        super().record(self.era, good)


class InARowOnly(Breaker):
    window = 10**9


class ForEver(Breaker):
    minute = 1e9


class ErrorsAlone(Breaker):
    """Only what the guide's counts."""

    def execute(self, fn):
        crashed = []

        def seen():
            try:
                return fn()
            except OSError:
                raise
            except Exception as error:
                crashed.append(error)

        result = super().execute(seen)
        if crashed:
            raise crashed[0]
        return result


# ── 4: the load test that tries again


def by_request(log):
    requests = {}
    for one in sorted(log, key=lambda one: one.start):
        requests.setdefault(one.request, []).append(one)
    return list(requests.values())


def p99(times):
    return float(np.percentile(times, 99, method="inverted_cdf"))


def from_the_first(log):
    requests = by_request(log)
    times = [tries[-1].end - tries[0].start for tries in requests if tries[-1].ok]
    failed = sum(not tries[0].ok for tries in requests)
    return p99(times), failed / len(requests), len(log) / len(requests)


def last_attempt_alone(log):
    _, *rest = from_the_first(log)
    return p99([tries[-1].end - tries[-1].start for tries in by_request(log)]), *rest


def each_attempt(log):
    _, *rest = from_the_first(log)
    return p99([one.end - one.start for one in log]), *rest


def without_the_pauses(log):
    _, *rest = from_the_first(log)
    requests = by_request(log)
    return p99([sum(one.end - one.start for one in tries) for tries in requests]), *rest


def failed_in_the_end(log):
    time, _, calls = from_the_first(log)
    return time, sum(not tries[-1].ok for tries in by_request(log)) / len(by_request(log)), calls


def failed_ones_too(log):
    _, *rest = from_the_first(log)
    return p99([tries[-1].end - tries[0].start for tries in by_request(log)]), *rest


def for_each_success(log):
    time, failed, _ = from_the_first(log)
    return time, failed, len(log) / sum(tries[-1].ok for tries in by_request(log))


def retries_alone(log):
    time, failed, calls = from_the_first(log)
    return time, failed, calls - 1


SOLUTIONS = {1: Budgeted, 2: Slots, 3: Breaker, 4: from_the_first}
WRONG = {
    1: {
        ThreeAlways: "Give it a budget",
        Never: "also the very first",
        OnceForAll: "nothing is retried any more",
        Hoarding: "spent at once",
        OneToken: "more than one retry",
        WhateverIsRaised: "the caller's own mistake",
    },
    2: {
        FreedByTheCaller: "Let the work free the slot",
        TwoTimers: "Start one",
        StartsAllTheSame: "Look at ctx first",
        LosesASlot: "Take it out of the line",
    },
    3: {
        LockHeld: "The lock is held during the call",
        Herd: "refuse everybody else",
        NoEras: "Know the probe",
        InARowOnly: "the share of failures",
        ForEver: "Forget failures after some time",
        ErrorsAlone: "Count every Exception",
    },
    4: {
        last_attempt_alone: "from the beginning of the first attempt",
        each_attempt: "from the beginning of the first attempt",
        without_the_pauses: "every failure and pause",
        failed_in_the_end: "at their *first* attempt",
        retries_alone: "All attempts, divided",
        failed_ones_too: "of no request that never succeeded",
        for_each_success: "divided by the number of requests",
    },
}
