"""The shop's page under load, before and after the four fixes, and what its three servers take."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from perflab.errors import require
from perflab.experiments.shopfixes import path_of
from perflab.systems import Closed, LoadResult, Route, run_load

Floats = NDArray[np.float64]
STEP = 0.2  # seconds between two looks at memory; each asks every process of the database
USERS = 4
GZIP = {"accept-encoding": "gzip"}


@dataclass(frozen=True)
class Taken:
    """What servers took meanwhile, by name: `cpu` in seconds, `memory` in bytes at each `time`."""

    cpu: Mapping[str, float]
    time: Floats  # seconds since the beginning
    memory: Mapping[str, Floats]


@dataclass(frozen=True)
class Stretch:
    """One run of the load, and what its servers took."""

    run: LoadResult
    taken: Taken

    @property
    def cpu_ms(self) -> dict[str, float]:
        """Milliseconds of processor a page, by server."""
        pages = max(1, int(self.run.ok.sum()))
        return {name: 1e3 * seconds / pages for name, seconds in self.taken.cpu.items()}


def before_and_after(
    line: Any,
    servers: Mapping[str, Any],
    products: Sequence[int],
    requests: Mapping[str, int],
    rounds: int = 2,
) -> dict[str, list[Stretch]]:
    """Four users without think time visit these products; `requests` says how many pages they ask
    for with each subset of the fixes. The subsets take turns, so many rounds."""
    require(rounds >= 1, "rounds", rounds, "at least 1")
    stretches: dict[str, list[Stretch]] = {use: [] for use in requests}
    for number in range(rounds):
        for use, count in requests.items():
            paths = [Route(path_of(product, use), headers=GZIP) for product in products]
            with taking(servers) as taken:
                run = run_load(
                    line, Closed(USERS, requests=count), route=paths, seed=number, timeout=120.0
                )
            stretches[use].append(Stretch(run, taken[0]))
    return stretches


@contextmanager
def taking(servers: Mapping[str, Any]) -> Iterator[list[Taken]]:
    """What these servers, by name, take until the block ends; it is in the list then."""
    started, over, found = time.perf_counter(), threading.Event(), list[Taken]()
    times: list[float] = []
    rows: list[list[float]] = []

    def look() -> None:
        times.append(time.perf_counter() - started)
        rows.append([float(_own_memory(server.pid)) for server in servers.values()])

    def looking() -> None:
        while not over.wait(STEP):
            look()

    before = {name: _cpu(server.pid) for name, server in servers.items()}
    look()
    thread = threading.Thread(target=looking, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
        look()
        used = {name: _cpu(server.pid) - before[name] for name, server in servers.items()}
        memory = dict(zip(servers, np.array(rows).T, strict=True))
        found.append(Taken(used, np.array(times), memory))


def _family(pid: int) -> list[psutil.Process]:
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def _cpu(pid: int) -> float:
    """CPU seconds of a process, of its children, and of those that have ended (where told)."""
    total = 0.0
    for process in _family(pid):
        try:
            total += sum(process.cpu_times()[:4])  # user, system, and both of ended children
        except psutil.NoSuchProcess:  # its parent will tell next time
            continue
    return total


def _own_memory(pid: int) -> int:
    """Bytes that a server's processes hold each for itself; all that is resident where the system
    does not tell (macOS, to other users than root)."""
    total = 0
    for process in _family(pid):
        try:
            total += process.memory_full_info().uss
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            total += process.memory_info().rss
    return total
