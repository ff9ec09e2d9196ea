"""How fine work is cut: what idle workers lose, and what messages cost."""

import heapq
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from perflab.errors import PerflabError
from perflab.experiments.jobs import same, where
from perflab.experiments.workercounts import processes
from perflab.patterns import Pipeline, transform


@dataclass(frozen=True)
class Cut:
    """What comes of work that is cut into pieces of so many jobs."""

    messages: int
    idle: float  # share of the workers' time, until the last of them has ended
    end: float  # seconds until the last has ended


def uneven(seed: int, jobs: int = 10_000) -> list[float]:
    """Seconds of each job: most take some microseconds, a few a hundred times as long."""
    drawn = np.random.default_rng(seed).lognormal(np.log(30e-6), 2.0, jobs)
    return [float(seconds) for seconds in drawn]


def cut(seconds: Sequence[float], piece: int, message: float, workers: int = 4) -> Cut:
    """Whoever is free takes the next piece; each costs its jobs and `message` seconds."""
    sums = [float(sum(seconds[at : at + piece])) for at in range(0, len(seconds), piece)]
    free = [0.0] * workers
    for work in sums:
        heapq.heapreplace(free, free[0] + message + work)
    busy = sum(sums) + message * len(sums)
    return Cut(len(sums), 1 - busy / (workers * max(free)), max(free))


def hand_offs(pool: Executor, pieces: Sequence[int], items: int = 2_000) -> dict[int, float]:
    """Seconds that an item costs which needs no work, sent in pieces of so many."""
    list(pool.map(same, range(8)))
    found = {}
    for piece in pieces:
        begin = perf_counter()
        list(pool.map(same, range(items), chunksize=piece))
        found[piece] = (perf_counter() - begin) / items
    return found


# ── One worker is killed


def through_a_kill(executor: Executor, kill: Any, items: int = 40) -> tuple[list[Any], str]:
    """A pipeline's results on this executor, of which one worker is killed when a quarter of them
    is there; and the error that ended it, if one did."""
    found: list[Any] = []
    with Pipeline(transform(where, workers=8, executor=executor)).process(range(items)) as results:
        try:
            for item, _ in results:
                found.append(item)
                if len(found) == items // 4:
                    kill()
        except PerflabError as error:
            return found, type(error.__cause__ or error).__name__
    return found, ""


def in_processes_through_a_kill() -> tuple[list[Any], str]:
    """The same in a pool of two processes."""
    others = set(multiprocessing.active_children())
    with processes(2) as pool:
        list(pool.map(same, range(8)))

        def kill() -> None:
            next(iter(set(multiprocessing.active_children()) - others)).kill()

        return through_a_kill(pool, kill)
