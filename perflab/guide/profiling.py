"""The guide's profiles and its counting allocator, ported with their defects.

(guide, lines 142–153, Go; 65–75, Node; 155–167, Go; 286–306, Rust.) Kept as they are:

- `start_cpu_profile` defers the stop in the function that starts, so the profile ends before the
  caller gets to do anything (g 153);
- one snapshot is written, and nothing is there to compare it with;
- the allocator counts what is held now: what was allocated and freed leaves no trace.

What the port does of its own: pprof and V8 write files, here the caller gets the profile or the
snapshot; Go samples a hundred times a second, cProfile counts every call; tracemalloc stands for
the heap profile. As printed the Go block does not compile: it uses `os` and `pprof` and imports
neither.
"""

import cProfile
import gc
import tracemalloc
from contextlib import ExitStack


def start_cpu_profile(profile: cProfile.Profile) -> None:
    with ExitStack() as deferred:  # what Go runs when the function returns
        profile.enable()
        deferred.callback(profile.disable)


def heap_snapshot() -> tracemalloc.Snapshot:
    gc.collect()  # get up-to-date statistics
    return tracemalloc.take_snapshot()


class ProfilingAllocator:
    """State: `allocated_bytes`, an atomic in Rust."""

    def __init__(self) -> None:
        self.allocated_bytes = 0

    def alloc(self, size: int) -> bytearray:
        block = bytearray(size)
        self.allocated_bytes += size
        return block

    def dealloc(self, block: bytearray) -> None:
        self.allocated_bytes -= len(block)
        block.clear()  # gives its memory back, whoever still has the name
