"""What a call allocates and what processes hold."""

import gc
import math
import os
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest

from perflab.measure.memory import allocations, trace_memory

SLEEPER = [sys.executable, "-c", "import sys; sys.stdin.read()"]  # lives until its input ends


def test_nothing_allocated_is_nothing_held() -> None:
    """A function that does nothing leaves no byte and no block."""
    found = allocations(lambda: None)
    assert (found.held_bytes, found.held_blocks) == (0, 0)
    assert (found.retained_bytes, found.retained_blocks) == (0, 0)
    assert 0 <= found.peak_bytes < 1000


def test_a_result_is_held_and_then_gone() -> None:
    """A megabyte returned is held while the result lives and not retained after it."""
    found = allocations(lambda: bytearray(1 << 20))
    assert 1 << 20 <= found.held_bytes < (1 << 20) + 1000
    assert found.retained_bytes == 0


def test_what_is_freed_inside_shows_in_the_peak_only() -> None:
    """A megabyte used and dropped within the call is the peak and nothing else."""
    found = allocations(lambda: len(bytearray(1 << 20)))
    assert 1 << 20 <= found.peak_bytes < (1 << 20) + 1000
    assert found.held_bytes < 100


def test_a_leak_is_retained() -> None:
    """A thousand objects put into a global list stay when the call is over."""
    leak: list[object] = []
    found = allocations(lambda: leak.extend(object() for _ in range(1000)))
    assert 1000 <= found.retained_blocks <= 1010


def test_cycles_that_the_collector_frees_are_not_retained() -> None:
    """A thousand lists that hold themselves are garbage, not a leak."""

    def knots() -> None:
        for _ in range(1000):
            knot: list[object] = []
            knot.append(knot)

    assert allocations(knots).held_blocks <= 5


def test_tracing_goes_on_where_it_was_on() -> None:
    """Traces taken before are still there afterwards, and figures are the call's own."""
    tracemalloc.start()
    try:
        mine = bytearray(3 << 20)
        found = allocations(lambda: bytearray(1 << 20))
        assert found.peak_bytes < 2 << 20
        assert tracemalloc.is_tracing()
        assert tracemalloc.get_object_traceback(mine) is not None
    finally:
        tracemalloc.stop()


def test_an_error_comes_through_and_tracing_is_off_again() -> None:
    """The state is restored when the function raises."""

    def broken() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        allocations(broken)
    assert not tracemalloc.is_tracing()


def test_allocations_refuses_what_cannot_be_called() -> None:
    """ValueError names the argument."""
    with pytest.raises(ValueError, match="fn"):
        allocations(3)  # type: ignore[arg-type]  # that is the test


def test_a_trace_sees_memory_that_was_touched() -> None:
    """Forty touched megabytes lie between the lowest and the highest sample."""
    with trace_memory(interval=10) as tracer:  # no sample but the first and the last
        block = np.ones(5 << 20)
    trace = tracer.trace
    series = trace.rss[os.getpid()]
    assert block.nbytes == 40 << 20
    assert series[-1] - series[0] > 30 << 20
    assert trace.peak() == trace.peak(os.getpid()) == series.max()
    assert len(trace.time) == len(series) == 2
    assert trace.time[0] < trace.time[1]


def test_samples_come_by_themselves_and_can_be_read_meanwhile() -> None:
    """Inside the block the trace grows without help, and lies on perf_counter's axis."""
    before = time.perf_counter()
    with trace_memory(interval=0.001) as tracer:
        while len(tracer.trace.time) < 5:
            time.sleep(0.001)
    assert before <= tracer.trace.started <= time.perf_counter()
    assert (np.diff(tracer.trace.time) > 0).all()


def test_a_process_that_dies_ends_its_series() -> None:
    """The others' series go on; nobody raises; a zombie counts as dead."""
    with subprocess.Popen(SLEEPER, stdin=subprocess.PIPE) as child:
        with trace_memory([os.getpid(), child.pid], interval=0.001) as tracer:
            child.kill()
            while len(tracer.trace.rss[child.pid]) == len(tracer.trace.time):
                time.sleep(0.001)
            seen = len(tracer.trace.rss[child.pid])
        trace = tracer.trace
    assert len(trace.rss[child.pid]) == seen >= 1
    assert len(trace.rss[os.getpid()]) == len(trace.time) > seen
    assert trace.peak(child.pid) > 0
    frame = trace.to_frame()
    assert list(frame) == ["seconds", f"rss_{os.getpid()}", f"rss_{child.pid}"]
    assert math.isnan(frame[f"rss_{child.pid}"].iloc[-1])


def test_the_thread_is_gone_after_the_block_also_after_an_error() -> None:
    """Whatever happens inside, no sampling thread is left."""
    with pytest.raises(OSError, match="inside"), trace_memory() as tracer:
        raise OSError("inside")
    assert "trace_memory" not in [thread.name for thread in threading.enumerate()]
    assert len(tracer.trace.time) == 2


def test_python_memory_is_there_where_it_is_traced() -> None:
    """None without tracemalloc; with it a series that sees a megabyte come."""
    with trace_memory(interval=10) as tracer:
        pass
    assert tracer.trace.python is None
    tracemalloc.start()
    try:
        with trace_memory(interval=10) as tracer:
            block = bytearray(1 << 20)
    finally:
        tracemalloc.stop()
    python = tracer.trace.python
    assert python is not None
    assert python[-1] - python[0] >= len(block)
    assert "python" in tracer.trace.to_frame()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"pid": []}, "pid"),
        ({"pid": -1}, "pid"),
        ({"pid": True}, "pid"),
        ({"pid": 2.5}, "pid"),
        ({"pid": "1"}, "pid"),
        ({"pid": 2**22 + 12345}, "pid"),  # above Linux's and macOS's highest process id
        ({"interval": 0}, "interval"),
        ({"interval": math.nan}, "interval"),
        ({"interval": True}, "interval"),
        ({"interval": "fast"}, "interval"),
    ],
)
def test_trace_memory_refuses_nonsense_by_name(arguments: dict, named: str) -> None:
    """ValueError says which argument it was, before any thread runs."""
    with pytest.raises(ValueError, match=named):
        trace_memory(**arguments)


def test_the_peak_of_a_process_not_traced_is_refused() -> None:
    """ValueError names the process ids there are."""
    with trace_memory() as tracer:
        pass
    with pytest.raises(ValueError, match="pid"):
        tracer.trace.peak(1)


def test_who_listens_to_the_collector_does_not_count() -> None:
    """A callback that notes down each collection neither adds to the figures nor is lost."""
    noted: list[float] = []

    def note(phase: str, info: dict[str, int]) -> None:
        noted.append(time.perf_counter())

    gc.callbacks.append(note)
    try:
        found = allocations(lambda: None)
        assert note in gc.callbacks
    finally:
        gc.callbacks.remove(note)
    assert (found.retained_bytes, found.retained_blocks) == (0, 0)


def test_a_trace_interrupted_while_it_starts_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C comes while `with` waits for the thread: there will be no leaving the block."""
    start, started = threading.Thread.start, []

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), trace_memory():
        pass
    started[0].join(10)
    assert not started[0].is_alive()


def test_a_trace_serves_for_one_block() -> None:
    """A second block would join two times on one axis."""
    tracer = trace_memory()
    with tracer:
        pass
    with pytest.raises(ValueError, match="trace_memory="), tracer:
        pass
