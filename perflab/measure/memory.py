"""Memory: what one call allocates, and what processes hold over time. All sizes in bytes."""

import gc
import os
import sys
import threading
import time
import tracemalloc
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING

import numpy as np
import psutil
from numpy.typing import NDArray

from perflab.errors import is_number, is_whole, require

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Allocations:
    """What one call allocated, as far as Python's allocators saw it.

    Memory that an extension asks the system for by itself (SQLite's, for one) is in none of these.
    A block that is freed before the call ends shows in `peak_bytes` only, and there only if it was
    alive at the worst moment: churn needs a profiler.
    """

    peak_bytes: int  # most held at one moment of the call, above what was held before it
    held_bytes: int  # held after the call while its result is alive, cycles collected
    held_blocks: int  # the same as a number of blocks
    retained_bytes: int  # still held when the result is gone: caches, globals, leaks
    retained_blocks: int  # the same as a number of blocks


def allocations(fn: Callable[[], object]) -> Allocations:
    """Call `fn` once and tell what it allocated and kept (tracemalloc, sys.getallocatedblocks).

    The first call of a function may fill caches of its own; call it before if they should not
    count. Other threads that allocate meanwhile are counted too. Where tracemalloc is running
    already it goes on, its traces kept, only its peak starts anew. Whatever `fn` raises comes
    through, with tracemalloc as it was.
    """
    require(callable(fn), "fn", fn, "a function without arguments")
    running = tracemalloc.is_tracing()
    # Others may listen to each collection and note it down: that memory is not fn's.
    listeners, gc.callbacks[:] = gc.callbacks[:], []
    if not running:
        tracemalloc.start()
    try:
        return _allocations(fn)
    finally:
        if not running:
            tracemalloc.stop()
        gc.callbacks[:] = listeners


def _allocations(fn: Callable[[], object]) -> Allocations:
    # Readings go into an array made beforehand: an int kept by this function would be counted too.
    blocks, held = array("q", (0, 0, 0)), array("q", (0, 0, 0, 0))
    gc.collect()
    blocks[0] = sys.getallocatedblocks()
    held[0] = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    result = fn()
    held[1] = tracemalloc.get_traced_memory()[1]
    gc.collect()
    blocks[1] = sys.getallocatedblocks()
    held[2] = tracemalloc.get_traced_memory()[0]
    del result
    gc.collect()
    blocks[2] = sys.getallocatedblocks()
    held[3] = tracemalloc.get_traced_memory()[0]
    return Allocations(
        peak_bytes=held[1] - held[0],
        held_bytes=held[2] - held[0],
        held_blocks=blocks[1] - blocks[0],
        retained_bytes=held[3] - held[0],
        retained_blocks=blocks[2] - blocks[0],
    )


@dataclass(frozen=True, slots=True)
class MemoryTrace:
    """Memory of one or several processes over time.

    The series of a process that died is shorter than `time`: it ends with its last sample.
    """

    started: float  # perf_counter() at the first sample: puts other events on the same axis
    time: NDArray[np.float64]  # seconds since `started`, one entry a sample
    rss: Mapping[int, NDArray[np.int64]]  # resident bytes by process id
    python: NDArray[np.int64] | None  # bytes that tracemalloc traced here; None where it was off

    def peak(self, pid: int | None = None) -> int:
        """Most resident bytes of one process; without `pid` of the only one, or the first."""
        pid = next(iter(self.rss)) if pid is None else pid
        require(pid in list(self.rss), "pid", pid, f"one of {sorted(self.rss)}")
        return int(self.rss[pid].max())

    def to_frame(self) -> "pd.DataFrame":
        """A row a sample: `seconds`, `rss_<pid>` each, and `python` where it was traced."""
        import pandas as pd  # a measuring child that needs no table does not pay for pandas

        columns = {"seconds": pd.Series(self.time)}
        columns |= {f"rss_{pid}": pd.Series(series) for pid, series in self.rss.items()}
        if self.python is not None:
            columns["python"] = pd.Series(self.python)
        return pd.DataFrame(columns)


class trace_memory:  # noqa: N801  # reads as a verb: with trace_memory() as tracer
    """Sample the resident memory of processes in a thread while the `with` block runs.

    State: the samples so far, guarded by `_lock`; the processes that still live, touched by the
    sampling thread alone (and by the caller before it starts and after it ended).

    `pid` is one process id, several, or None for this process; `interval` in seconds. A sample is
    taken on entering, one on leaving. `tracer.trace` is a frozen MemoryTrace of what was seen so
    far: read it after the block, or inside it for a live figure. A process that dies ends its
    series. ValueError for a process that is not there or may not be read.

        with trace_memory([os.getpid(), server.pid]) as tracer:
            work()
        print(tracer.trace.peak(server.pid))
    """

    def __init__(self, pid: int | Iterable[int] | None = None, interval: float = 0.02) -> None:
        require(
            is_number(interval) and 0 < interval < 3600,
            "interval",
            interval,
            "seconds > 0, below an hour",
        )
        if pid is None:
            pid = os.getpid()
        pids = list(pid) if isinstance(pid, Iterable) else [pid]
        require(len(pids) > 0, "pid", pid, "at least one process id")
        self._living = {one: _process(one) for one in pids}
        self._interval = interval
        self._lock = threading.Lock()
        self._started = 0.0
        self._time: list[float] = []
        self._rss: dict[int, list[int]] = {one: [] for one in pids}
        self._python: list[int] = []
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trace_memory", daemon=True)

    def __enter__(self) -> "trace_memory":
        require(not self._time, "trace_memory", self, "entered once: make a new one")
        self._started = time.perf_counter()
        self._sample()
        try:
            self._thread.start()
        except BaseException:  # interrupted while it waits for the thread: no exit will follow
            self._leaving.set()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leaving.set()
        self._thread.join()
        self._sample()

    @property
    def trace(self) -> MemoryTrace:
        """What was seen so far."""
        with self._lock:
            return MemoryTrace(
                self._started,
                np.array(self._time),
                MappingProxyType({p: np.array(s, np.int64) for p, s in self._rss.items()}),
                np.array(self._python, np.int64) if any(self._python) else None,
            )

    def _run(self) -> None:
        while not self._leaving.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        # Read without the lock, append under it: a reader never waits for the operating system.
        now = time.perf_counter() - self._started
        read = {pid: _resident(process) for pid, process in self._living.items()}
        python = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0
        with self._lock:
            self._time.append(now)
            self._python.append(python)
            for pid, resident in read.items():
                if resident is None:
                    del self._living[pid]
                else:
                    self._rss[pid].append(resident)


def _process(pid: int) -> psutil.Process:
    allowed = "the id of a running process that may be read"
    require(is_whole(pid) and pid > 0, "pid", pid, allowed)
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        process = None
    require(process is not None and _resident(process) is not None, "pid", pid, allowed)
    return process


def _resident(process: psutil.Process) -> int | None:
    """Resident bytes; None for a process that is gone. A Linux zombie is gone too: it says 0."""
    try:
        return process.memory_info().rss or None
    except psutil.Error:
        return None
