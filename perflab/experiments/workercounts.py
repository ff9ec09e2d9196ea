"""Throughput against the number of workers: what pools do, and what a model does."""

import asyncio
import concurrent.futures
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import psutil

from perflab.experiments.jobs import timed
from perflab.measure import run_virtual
from perflab.patterns import WorkerPool

Job = Callable[[], object]
Make = Callable[[int], Executor]


@dataclass(frozen=True)
class Run:
    """What so many workers did."""

    workers: int
    rate: float  # jobs a second
    latency: float  # seconds from a job's beginning to its end, mean
    resident: int  # bytes that all processes together hold, while the pool is there


def threads(workers: int) -> Executor:
    """Our worker pool."""
    return WorkerPool(workers, 2 * workers)


def processes(workers: int) -> ProcessPoolExecutor:
    """Processes that are started anew and not forked: a fork beside threads may hang."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))


def interpreters() -> Make | None:
    """Sub-interpreters, each with a lock of its own; None before Python 3.14."""
    found: Make | None = getattr(concurrent.futures, "InterpreterPoolExecutor", None)
    return found


def locks_here() -> str:
    """What this interpreter has, in a sentence."""
    one = bool(getattr(sys, "_is_gil_enabled", lambda: True)())
    threads_have = "one lock for all threads" if one else "no lock: its threads are free"
    pool = "no pool of sub-interpreters (3.14 has one)"
    if interpreters() is not None:
        pool = "a pool of sub-interpreters, each with a lock of its own"
    return f"Python {sys.version_info[0]}.{sys.version_info[1]} here has {threads_have}; {pool}."


def runs(make: Make, job: Job, jobs: int, counts: Iterable[int], rounds: int = 3) -> list[Run]:
    """So many jobs with each number of workers, which are there and warm before the clock starts.
    They take turns, so that a mood of the machine meets all of them; the best round of each."""
    best: dict[int, Run] = {}
    with ExitStack() as stack:
        pools = [(workers, *_warm(stack, make(workers), workers, job)) for workers in counts]
        for _ in range(rounds):
            for workers, pool, own in pools:
                found = _round(pool, workers, job, jobs // rounds, own)
                if workers not in best or found.rate > best[workers].rate:
                    best[workers] = found
    return list(best.values())


def _warm(
    stack: ExitStack, pool: Executor, workers: int, job: Job
) -> tuple[Executor, set[psutil.Process]]:
    """The pool at work, and the processes that came with it."""
    here = psutil.Process()
    before = set(here.children())
    stack.enter_context(pool)
    list(pool.map(timed, [job] * 2 * workers))
    return pool, {here, *here.children()} - before


def _round(pool: Executor, workers: int, job: Job, jobs: int, own: Iterable[psutil.Process]) -> Run:
    begin = time.perf_counter()
    times = list(pool.map(timed, [job] * jobs))
    rate = jobs / (time.perf_counter() - begin)
    resident = sum(int(one.memory_info().rss) for one in own)
    return Run(workers, rate, float(np.mean(times)), resident)


# ── 1 ms of one processor and 9 ms of waiting


def bound(workers: float, cpu: float = 0.001, wait: float = 0.009) -> float:
    """What Little's law allows: so many workers ÷ the time that a job takes at least, and one
    processor ÷ what a job takes of it."""
    return min(workers / (cpu + wait), 1 / cpu)


def simulated(workers: int, jobs: int = 2_000) -> float:
    """Jobs a second on virtual time: each waits 9 ms, and then needs 1 ms of a processor that
    serves one worker at a time."""

    async def main() -> float:
        clock, processor, left = asyncio.get_running_loop().time, asyncio.Lock(), [jobs]

        async def work() -> None:
            while left[0] > 0:
                left[0] -= 1
                await asyncio.sleep(0.009)
                async with processor:
                    await asyncio.sleep(0.001)

        await asyncio.gather(*(work() for _ in range(workers)))
        return jobs / clock()

    return run_virtual(main())
