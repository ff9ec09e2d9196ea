"""Chapter 2: an answer to each exercise, and wrong ones with what their hint must name."""

import asyncio
import bisect
import itertools
import math
from collections import Counter
from types import SimpleNamespace

import numpy as np

# ── 1: what each look stands for


def _shares(weights):
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def since_the_last(began, looks):
    weights, before = Counter(), began
    for moment, function in looks:
        weights[function] += moment - before
        before = moment
    return _shares(weights)


def all_alike(began, looks):
    return _shares(Counter(function for _, function in looks))


def until_the_next(began, looks):
    weights = Counter()
    for (moment, function), (after, _) in itertools.pairwise(looks):
        weights[function] += after - moment
    return _shares(weights)


def from_nought(began, looks):
    weights, before = Counter(), 0.0
    for moment, function in looks:
        weights[function] += moment - before
        before = moment
    return _shares(weights)


def of_the_interval(began, looks):
    total = looks[-1][0] - began
    return {name: 0.005 * n / total for name, n in Counter(one for _, one in looks).items()}


# ── 2: a histogram


class Logarithmic:
    """Each bucket 2 % wider than the one before; a percentile is a middle, in ratio."""

    factor = 1.0199

    def __init__(self):
        self.counts = [0] * 400

    def record(self, seconds):
        self.counts[int(math.log(seconds / 0.001, self.factor) + 1e-9)] += 1

    def merge(self, other):
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]

    def _bucket(self, p):
        rank, seen = math.ceil(sum(self.counts) * p / 100 - 1e-9), 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= rank:
                return bucket
        raise ValueError(p)

    def percentile(self, p):
        return 0.001 * self.factor ** (self._bucket(p) + 0.5)


class LowerEdge(Logarithmic):
    def percentile(self, p):
        return 0.001 * self.factor ** self._bucket(p)


class Linear(Logarithmic):
    width = 2.0 / 399

    def record(self, seconds):
        self.counts[int(seconds / self.width)] += 1

    def percentile(self, p):
        return self.width * (self._bucket(p) + 0.5)


class ByMilliseconds(Linear):
    width = 0.0001

    def __init__(self):
        self.counts = [0] * 20_001


class KeepsAll:
    def __init__(self):
        self.counts, self.samples = [0], []

    def record(self, seconds):
        self.counts[0] += 1
        bisect.insort(self.samples, seconds)

    def merge(self, other):
        self.counts[0] += other.counts[0]
        self.samples = sorted(self.samples + other.samples)

    def percentile(self, p):
        return self.samples[math.ceil(len(self.samples) * p / 100) - 1]


class TheLarger(Logarithmic):
    def merge(self, other):
        self.counts = [max(pair) for pair in zip(self.counts, other.counts, strict=True)]


class RankDown(Logarithmic):
    """The first bucket with more than p % of all in it and below: one latency too far."""

    def _bucket(self, p):
        rank = int(sum(self.counts) * p / 100)
        seen = list(itertools.accumulate(self.counts))
        return next((bucket for bucket, count in enumerate(seen) if count > rank), 399)


class AsTheyCame(Logarithmic):
    """A dictionary, read in the order in which its buckets came."""

    def __init__(self):
        self.counts = {}

    def record(self, seconds):
        bucket = int(math.log(seconds / 0.001, self.factor) + 1e-9)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def merge(self, other):
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def _bucket(self, p):
        rank, seen = math.ceil(sum(self.counts.values()) * p / 100 - 1e-9), 0
        for bucket, count in self.counts.items():
            seen += count
            if seen >= rank:
                return bucket
        raise ValueError(p)


# ── 3: the middleware mended


def every_ending(app, log, clock):
    async def timed(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start, seen = clock(), {"status": None, "ending": "answered", "end": None}

        def left():
            if seen["end"] is None:
                seen["ending"], seen["end"] = "left", clock()

        async def received():
            message = await receive()
            if message["type"] == "http.disconnect":
                left()
            return message

        async def sent(message):
            try:
                await send(message)
            except OSError:
                left()
                raise
            seen["status"] = message.get("status", seen["status"])
            body = message["type"] == "http.response.body"
            if body and not message.get("more_body") and seen["end"] is None:
                seen["end"] = clock()

        try:
            await app(scope, received, sent)
        except BaseException:
            if seen["ending"] != "left":
                seen["ending"] = "raised"
            raise
        finally:
            end = clock() if seen["end"] is None else seen["end"]
            log(_line(seen["status"], end - start, seen["ending"]))

    return timed


def _line(status, seconds, ending):
    return SimpleNamespace(status=status, seconds=seconds, slow=seconds > 1, ending=ending)


def as_printed(app, log, clock):
    async def timed(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start, status = clock(), 200

        async def sent(message):
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await app(scope, receive, sent)
        log(_line(status, clock() - start, "answered"))

    return timed


def only_exceptions(app, log, clock):
    async def timed(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start, status, ending = clock(), None, "answered"

        async def sent(message):
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await app(scope, receive, sent)
        except Exception:
            ending = "raised"
            raise
        finally:
            log(_line(status, clock() - start, ending))

    return timed


def swallows(app, log, clock):
    async def timed(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start, status, ending = clock(), None, "answered"

        async def sent(message):
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await app(scope, receive, sent)
        except (Exception, asyncio.CancelledError):
            ending = "raised"
        log(_line(status, clock() - start, ending))

    return timed


def _noting(app, log, clock, *, passes_on, first_part):
    async def timed(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start, status, ending, end = clock(), None, "answered", None

        async def sent(message):
            nonlocal status, ending, end
            status = message.get("status", status)
            try:
                await send(message)
            except OSError:
                ending, end = "left", clock()
                if passes_on:
                    raise
            if first_part and message["type"] == "http.response.body" and end is None:
                end = clock()

        async def received():
            nonlocal ending, end
            message = await receive()
            if message["type"] == "http.disconnect":
                ending, end = "left", clock()
            return message

        try:
            await app(scope, received, sent)
        except BaseException:
            ending = "left" if ending == "left" else "raised"
            raise
        finally:
            log(_line(status, (end or clock()) - start, ending))

    return timed


def keeps_the_leaving(app, log, clock):
    return _noting(app, log, clock, passes_on=False, first_part=False)


def until_the_first_part(app, log, clock):
    return _noting(app, log, clock, passes_on=True, first_part=True)


# ── 4: the leak report


def by_the_floor(processes):
    return {letter for letter, one in processes.items() if _rises(one.resident)}


def _rises(held, threshold=4e6):
    """Whether the least held in each of the last three hours rises by 4 MB from hour to hour."""
    floors = held.reshape(6, -1).min(axis=1)[-3:]
    return bool(np.diff(floors).min() > threshold)


def by_a_hundred(processes):
    return {
        letter for letter, one in processes.items() if (one.heap - one.heap[0]).max() > 100 << 20
    }


def end_minus_start(processes):
    return {
        letter for letter, one in processes.items() if one.resident[-1] - one.resident[0] > 20e6
    }


def heap_only(processes):
    return {letter for letter, one in processes.items() if _rises(one.heap)}


def whole_day(processes):
    return {
        letter
        for letter, one in processes.items()
        if one.resident.reshape(6, -1).min(axis=1)[-1] - one.resident[:120].min() > 30e6
    }


SOLUTIONS = {1: since_the_last, 2: Logarithmic, 3: every_ending, 4: by_the_floor}
WRONG = {
    1: {
        all_alike: "counts every look alike",
        until_the_next: "not the time after it",
        from_nought: "Which stretch of time",
        of_the_interval: "do not add up to 1",
    },
    2: {
        LowerEdge: "An edge of a bucket",
        Linear: "the same part of every latency",
        ByMilliseconds: "Too many buckets",
        KeepsAll: "It keeps the latencies",
        TheLarger: "do not add up",
        RankDown: "one at another rank",
        AsTheyCame: "sort them",
    },
    3: {
        as_printed: "in a finally",
        only_exceptions: "A 200 that nobody received",
        swallows: "raise it again",
        keeps_the_leaving: "the handler goes on for nobody",
        until_the_first_part: "Stop the clock at the last part",
    },
    4: {
        by_a_hundred: "«fills a cache» has no leak",
        end_minus_start: "has no leak",
        heap_only: "«leaks beside the heap» got away",
        whole_day: "«fills a cache» has no leak",
    },
}
