"""Whoever leaves: a pool whose results nobody reads for a while, a pipeline whose consumer goes.

The guide's ports wait for ever by design. Each run here lets them loose again when it has seen
enough, by reading what they wait to hand over.
"""

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perflab.contracts.pipeline import on_channels
from perflab.guide import pipeline as guide
from perflab.guide.parts.channels import Channel
from perflab.guide.workerpool import Job
from perflab.guide.workerpool import WorkerPool as GuidePool
from perflab.patterns import Pipeline, WorkerPool, transform

Floats = NDArray[np.float64]
Line = tuple[Floats, Floats]
Process = Callable[[Any], Any]
JOB = 0.008  # seconds that a job waits
PATIENCE = 0.6  # seconds until the results are read after all
STAGES, STEP = 3, 0.002  # a pipeline's stages, and seconds that each takes for an item
STILL, LONG = 0.25, 3.0  # seconds without an end of a thread until all that will end have; at most

# ── As the contracts take them


def standard_pool(workers: int, queue_size: int) -> Executor:
    """The standard library's, whose queue has no size."""
    return ThreadPoolExecutor(workers)


# Go's select takes any case that is ready; here the last of them.
guides_start = on_channels(
    guide.Pipeline,
    partial(guide.TransformStage, choose=max),
    partial(guide.FilterStage, choose=max),
    Channel,
)


# ── A pool


@dataclass(frozen=True)
class Pool:
    """A pool in two functions: submit number so and so, and read the next result."""

    submit: Callable[[int], object]
    read: Callable[[], object]
    stop: Callable[[], object]


def guides_pool(workers: int, process: Process) -> Pool:
    pool = GuidePool(workers, process)
    pool.start()
    return Pool(lambda number: pool.submit(Job(number)), pool.get_result().receive, pool.stop)


def our_pool(workers: int, process: Process) -> Pool:
    pool = WorkerPool(workers, 2 * workers)
    tasks: list[Any] = []
    turn = itertools.count()
    return Pool(
        lambda number: tasks.append(pool.submit(process, number)),
        lambda: tasks[next(turn)].result(),
        pool.stop,
    )


@dataclass(frozen=True)
class Unread:
    """Jobs that were submitted one after the other while nobody read the results for a while."""

    taken: Floats  # when each submit returned, in seconds since the first began
    waited: Floats  # how long that submit took
    read: Floats  # when each result was read

    def taken_by(self, moment: float) -> int:
        return int(np.count_nonzero(self.taken <= moment))

    @property
    def held(self) -> Line:
        """Jobs taken whose results were not read yet, over time."""
        times = np.concatenate([[0.0], self.taken, self.read])
        steps = np.concatenate([[0.0], np.ones(len(self.taken)), -np.ones(len(self.read))])
        order = np.argsort(times, kind="stable")
        return times[order], np.cumsum(steps[order])


def unread(make: Callable[[int, Process], Pool], jobs: int = 100, workers: int = 2) -> Unread:
    """Submit so many jobs, wait for a while for that to end, then read the results."""
    pool = make(workers, lambda _: time.sleep(JOB))
    taken: list[float] = []
    waited: list[float] = []
    read: list[float] = []
    began = time.perf_counter()

    def submit_all() -> None:
        for number in range(jobs):
            before = time.perf_counter()
            pool.submit(number)
            taken.append(time.perf_counter() - began)
            waited.append(began + taken[-1] - before)

    submitter = threading.Thread(target=submit_all, daemon=True)
    submitter.start()
    submitter.join(PATIENCE)
    time.sleep(max(0.0, began + PATIENCE - time.perf_counter()))
    for _ in range(jobs):
        pool.read()
        read.append(time.perf_counter() - began)
    submitter.join()
    pool.stop()
    return Unread(np.array(taken), np.array(waited), np.array(read))


# ── A pipeline


@dataclass(frozen=True)
class Left:
    """A pipeline of three stages whose consumer took half of the items and went. In seconds since
    the beginning."""

    gone: float  # when the consumer went
    threads: Line  # the pipeline's threads over time, its producer's among them
    held: Line  # items that are still in memory
    came: Floats  # when each item was delivered
    latency: Floats  # seconds from its taking to its delivery


@dataclass(frozen=True)
class Flowing:
    """A pipeline at work: what comes out, how to stop it, and how to set free what still waits."""

    output: Iterator[Any]
    stop: Callable[[], None]
    free: Callable[[], None]


def guides_pipeline(source: Iterator[Any], step: Process) -> Flowing:
    given = Channel()

    def produce() -> None:
        for item in source:
            given.send(item)
        given.close()

    threading.Thread(target=produce, daemon=True).start()
    pipeline = guide.Pipeline(*(guide.TransformStage(step) for _ in range(STAGES)))
    output = pipeline.process(given)

    def free() -> None:
        for channel in (output, given):
            for _ in channel:
                pass

    return Flowing(iter(output), pipeline.stop, free)


def our_pipeline(source: Iterator[Any], step: Process) -> Flowing:
    results = Pipeline(*(transform(step) for _ in range(STAGES)), queue_size=STAGES).process(source)
    return Flowing(results, results.close, lambda: None)


class _Item:
    """What goes through: an object that can be seen to be still in memory."""


class _Looks:
    """A thread that looks, every few milliseconds, at how many threads there are beside those of
    before, and how many items are in memory. State: the items alive, and what it saw."""

    def __init__(self) -> None:
        self.alive: weakref.WeakSet[_Item] = weakref.WeakSet()
        self.seen: list[tuple[float, int, int]] = []
        self._leaving = threading.Event()
        self._before = threading.active_count() + 1  # itself too
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._leaving.wait(0.004):
            threads = threading.active_count() - self._before
            self.seen.append((time.perf_counter(), threads, len(self.alive)))

    def end_when_still(self) -> NDArray[np.float64]:
        """What it saw, until no thread had ended for a while."""
        began = still = time.perf_counter()
        threads = -1
        while (now := time.perf_counter()) < min(still + STILL, began + LONG):
            time.sleep(0.004)
            if self.seen and self.seen[-1][1] != threads:
                threads, still = self.seen[-1][1], now
        self._leaving.set()
        self._thread.join()
        return np.array(self.seen).T


def left(
    make: Callable[[Iterator[Any], Process], Flowing], stop: bool = False, items: int = 100
) -> Left:
    """Take half of the items, then go, with or without a stop, and watch what stays behind."""
    taken: list[float] = []
    came: list[float] = []
    looks = _Looks()

    def source() -> Iterator[_Item]:
        for _ in range(items):
            taken.append(time.perf_counter())
            looks.alive.add(item := _Item())
            yield item
            del item

    flowing = make(source(), _step)
    output, stopping, free = flowing.output, flowing.stop, flowing.free
    for _ in range(items // 2):
        next(output)
        came.append(time.perf_counter())
    gone = time.perf_counter()
    if stop:
        stopping()
    del flowing, output, stopping  # nobody knows it any more
    moments, threads, held = looks.end_when_still()
    free()
    began = taken[0]
    latency = np.array(came) - np.array(taken[: len(came)])
    moments -= began
    return Left(gone - began, (moments, threads), (moments, held), np.array(came) - began, latency)


def _step(item: Any) -> Any:
    time.sleep(STEP)
    return item
