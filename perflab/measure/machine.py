"""The machine that a figure comes from, and how much it disturbs what is measured on it."""

import hashlib
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cache

import numpy as np
import psutil
from numpy.typing import NDArray

from perflab.errors import is_number, require


@dataclass(frozen=True, slots=True)
class Machine:
    """What a result depends on beside the code. No name of a user or a host is in it."""

    cpu: str  # model, as the system calls it
    cores: int  # logical ones
    memory_gib: int  # main memory, whole GiB: kernels keep a varying bit for themselves
    system: str  # Linux, Darwin, Windows
    python: str  # version in full
    implementation: str  # CPython, PyPy
    gil: bool  # whether one lock guards the interpreter

    @staticmethod
    @cache
    def here() -> "Machine":
        """This machine and this interpreter."""
        return Machine(
            cpu=_cpu_model(),
            cores=os.cpu_count() or 1,
            memory_gib=round(psutil.virtual_memory().total / 2**30),
            system=platform.system(),
            python=platform.python_version(),
            implementation=platform.python_implementation(),
            gil=getattr(sys, "_is_gil_enabled", lambda: True)(),
        )

    @property
    def id(self) -> str:
        """Eight hex digits: the same for one machine, also after an update of Python's last digit.

        Two machines of the same make share it; the price of storing nobody's name.
        """
        series = ".".join(self.python.split(".")[:2])
        facts = [series if fact is self.python else fact for fact in astuple(self)]
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:8]

    @property
    def label(self) -> str:
        """One line for a figure: "AMD EPYC, 2 cores, Linux, Python 3.11"."""
        name = "Python" if self.implementation == "CPython" else self.implementation
        series = ".".join(self.python.split(".")[:2]) + ("" if self.gil else " without GIL")
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{self.cpu}, {cores}, {self.system}, {name} {series}"

    def same_as(self, other: "Machine") -> bool:
        """Whether figures from both may stand in one series."""
        require(isinstance(other, Machine), "other", other, "a Machine")
        return self.id == other.id

    @staticmethod
    def load(seconds: float = 0.1) -> float:
        """Share of all cores busy during the next `seconds`, 0 to 1; whoever keeps them so."""
        require(_positive(seconds), "seconds", seconds, "a number > 0, below a billion")
        return float(psutil.cpu_percent(interval=seconds)) / 100


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What a thread that only wants to read the clock loses to others; times in seconds."""

    seconds: float  # how long it was watched
    resolution: float  # smallest step of the clock that was seen
    hiccups: NDArray[np.float64]  # gaps longer than HICCUP between two readings, in order

    @property
    def max_gap(self) -> float:
        """Longest hiccup; 0 where there was none."""
        return float(self.hiccups.max(initial=0.0))

    @property
    def p99_gap(self) -> float:
        """99 of 100 hiccups were no longer (nearest rank over those seen: no estimate)."""
        if len(self.hiccups) == 0:
            return 0.0
        return float(np.percentile(self.hiccups, 99, method="inverted_cdf"))

    @property
    def stolen(self) -> float:
        """Share of the time that the hiccups took, 0 to 1."""
        return float(self.hiccups.sum()) / self.seconds


HICCUP = 10e-6  # seconds; two readings of the clock are 0.1 µs apart when nobody interferes


def noise_floor(
    seconds: float = 1.0, *, clock: Callable[[], float] = time.perf_counter
) -> NoiseFloor:
    """Read the clock in a tight loop for `seconds` and note what comes between, as jHiccup does.

    ValueError for a time that is no number > 0 and for a clock that stands still.
    """
    require(_positive(seconds), "seconds", seconds, "a number > 0, below a billion")
    require(callable(clock), "clock", clock, "a function that returns seconds")
    resolution = clock_resolution(clock)
    require(resolution > 0, "clock", clock, "one that runs on")
    gaps: list[float] = []
    begin = last = clock()
    end = begin + seconds
    while last < end:
        now = clock()
        gap = now - last
        if gap > HICCUP:
            gaps.append(gap)
        last = now
    return NoiseFloor(last - begin, resolution, np.array(gaps))


def clock_resolution(clock: Callable[[], float], readings: int = 1000) -> float:
    """The smallest step of `clock` in seconds over so many readings; 0 where it stood still."""
    read = [clock() for _ in range(readings)]
    number = isinstance(read[0], int | float) and abs(read[0]) <= sys.float_info.max
    require(number, "clock", clock, "a function that returns seconds")
    times = np.array(read, np.float64)
    steps = np.diff(times)
    return float(steps[steps > 0].min(initial=math.inf)) if (steps > 0).any() else 0.0


def _positive(value: float) -> bool:
    return is_number(value) and 0 < value < 1e9


def _cpu_model() -> str:
    """Where the model's name stands: 1. Linux: /proc/cpuinfo (not on Arm). 2. macOS: sysctl.
    3. Elsewhere, or where that fails: what the platform module knows."""
    try:
        if platform.system() == "Linux":
            with open("/proc/cpuinfo", encoding="utf-8") as lines:
                names = [line.split(":", 1)[1] for line in lines if line.startswith("model name")]
            if names:
                return names[0].strip()
        elif platform.system() == "Darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(
                command, capture_output=True, text=True, timeout=5, check=True
            ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass  # a machine without a model's name is still a machine
    return platform.processor() or platform.machine() or "unknown processor"
