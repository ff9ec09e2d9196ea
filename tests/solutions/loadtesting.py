"""Chapter 8: an answer to each exercise, and wrong ones with what their hint must name."""

import asyncio
import math
from types import SimpleNamespace

import numpy as np

# ── 1: mend the guide's tester


class Mended:
    """One schedule for all workers; time counts from when a request was due to its last byte."""

    def __init__(self, get, concurrency, duration, rate):
        self.get, self.concurrency, self.duration, self.rate = get, concurrency, duration, rate

    async def run(self):
        self.clock = asyncio.get_running_loop().time
        self.began, self.good, self.failed = self.clock(), [], 0
        numbers = iter(range(math.ceil(self.rate * self.duration)))
        await asyncio.gather(*(self.worker(numbers) for _ in range(self.concurrency)))
        return self.report(self.clock() - self.began)

    async def worker(self, numbers):
        for number in numbers:
            due = self.began + number / self.rate
            await asyncio.sleep(due - self.clock())
            await self.ask(due)

    async def ask(self, due):
        try:
            response = await self.get()
            await response.read()
        except Exception:
            self.failed += 1
            return
        if response.status < 400:
            self.good.append(self.clock() - due)
        else:
            self.failed += 1

    def report(self, elapsed):
        return SimpleNamespace(
            total_requests=len(self.good) + self.failed,
            successful_requests=len(self.good),
            failed_requests=self.failed,
            p95_latency=self.percentile(95),
            p99_latency=self.percentile(99),
            rps=len(self.good) / max(elapsed, self.duration),
        )

    def percentile(self, p):
        n = len(self.good)
        return sorted(self.good)[-(-n * p // 100) - 1] if n * (100 - p) >= 1000 else None


class FromTheSend(Mended):
    """Nothing is dropped, but the clock starts when the request is sent."""

    async def ask(self, due):
        await super().ask(self.clock())


class EveryAnswerASuccess(Mended):
    """An exception counts as failed, a 500 does not."""

    async def ask(self, due):
        get = self.get

        async def good():
            response = await get()
            response.status = 200
            return response

        self.get = good
        await super().ask(due)
        self.get = get


class ByTheAskedDuration(Mended):
    def report(self, elapsed):
        return super().report(0.0)


class NextRank(Mended):
    def percentile(self, p):
        n = len(self.good)
        return sorted(self.good)[n * p // 100] if n * (100 - p) >= 1000 else None


class Unread(Mended):
    async def ask(self, due):
        get = self.get

        async def unread():
            response = await get()
            response.close()
            return response

        self.get = unread
        await super().ask(due)
        self.get = get


# ── 2: the missing requests


def corrected(latencies, interval):
    """HdrHistogram's: one more for each interval of a long wait, each an interval shorter."""
    out = list(latencies)
    for latency in latencies:
        missing = latency - interval
        while missing >= interval:
            out.append(missing)
            missing -= interval
    return out


def one_each(latencies, interval):
    return [*latencies, *(one - interval for one in latencies if one > interval)]


def copies(latencies, interval):
    return np.repeat(latencies, np.maximum(1, (latencies / interval).astype(int)))


def evenly_cut(latencies, interval):
    hidden = (latencies / interval).astype(int).sum()
    return [*latencies, *[interval] * int(hidden)]


def only_the_missing(latencies, interval):
    return corrected(latencies, interval)[len(latencies) :]


# ── 3: the knee


def served_in_time(offered, goodput, p99, target):
    return offered[(goodput >= 0.95 * offered) & (p99 <= target)].max()


def highest_throughput(offered, goodput, p99, target):
    return offered[goodput.argmax()]


def within_target_only(offered, goodput, p99, target):
    return offered[p99 <= target].max()


def served_only(offered, goodput, p99, target):
    return offered[goodput >= 0.95 * offered].max()


def first_rise(offered, goodput, p99, target):
    order = offered.argsort()
    rise = p99[order] > 1.2 * p99[order][0]
    return offered[order][max(0, rise.argmax() - 1)]


def last_row_that_passes(offered, goodput, p99, target):
    return offered[(goodput >= 0.95 * offered) & (p99 <= target)][-1]


# ── 4: the tester that was the limit


def mostly_late(reports):
    return {name for name, one in reports.items() if one.lateness_p99 > 0.3 * one.response_p99}


def by_cpu(reports):
    return {name for name, one in reports.items() if one.tester_cpu > 0.7}


def by_what_was_sent(reports):
    return {name for name, one in reports.items() if one.sent < 0.97 * one.asked}


def late_at_all(reports):
    return {name for name, one in reports.items() if one.lateness_p99 > 0.001}


def very_late(reports):
    return {name for name, one in reports.items() if one.lateness_p99 > 0.050}


SOLUTIONS = {1: Mended, 2: corrected, 3: served_in_time, 4: mostly_late}
WRONG = {
    1: {
        FromTheSend: "when the request was due",
        EveryAnswerASuccess: "a status of 400",
        ByTheAskedDuration: "until the last answer",
        NextRank: "⌈n·p⌉ − 1",
        Unread: "after the body was read",
    },
    2: {
        one_each: "not one",
        copies: "waits less",
        evenly_cut: "too short",
        only_the_missing: "keep them",
    },
    3: {
        highest_throughput: "answered well",
        within_target_only: "answered well",
        served_only: "misses the target",
        first_rise: "A higher rate",
        last_row_that_passes: "not in order",
    },
    4: {
        by_cpu: "innocent",
        by_what_was_sent: "innocent",
        late_at_all: "innocent",
        very_late: "got away",
    },
}
