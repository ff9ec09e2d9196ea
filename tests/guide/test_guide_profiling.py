"""The guide's profile and its allocator, with the defects that they are ported for."""

import cProfile
import tracemalloc

from perflab.guide.profiling import ProfilingAllocator, heap_snapshot, start_cpu_profile


def work():
    pass


def calls(profile):
    return sum(one.callcount for one in profile.getstats() if one.code is work.__code__)


def test_the_profile_has_ended_before_the_caller_works():
    """The stop is deferred in the function that starts, so none of 1,000 calls is recorded."""
    profile = cProfile.Profile()
    start_cpu_profile(profile)
    for _ in range(1_000):
        work()
    assert calls(profile) == 0
    profile.runcall(work)  # a profile that the caller stops has them
    assert calls(profile) == 1


def test_the_counter_is_back_where_it_was():
    """What was allocated and freed in between leaves no trace."""
    allocator = ProfilingAllocator()
    block = allocator.alloc(1_000)
    assert allocator.allocated_bytes == len(block) == 1_000
    allocator.dealloc(block)
    assert allocator.allocated_bytes == len(block) == 0


def test_a_snapshot_is_of_what_is_traced():
    """It names the line that holds a thousand bytes."""
    tracemalloc.start()
    try:
        kept = bytes(1_000_000)
        first = heap_snapshot().statistics("lineno")[0]
    finally:
        tracemalloc.stop()
    assert first.size >= len(kept)
    assert first.traceback[0].filename == __file__
