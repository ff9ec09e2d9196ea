"""Nonsense in any public call: a ValueError that names the argument, never another traceback."""

import math

import numpy as np
import pytest

from perflab.book import Chapter, Choice, Interval, Panel, Place, YesNo, knob, show_source
from perflab.contracts import checks_of
from perflab.measure import (
    LatencyHistogram,
    VirtualClock,
    allocations,
    compare,
    in_flight,
    mm1_response_time,
    noise_floor,
    percentile,
    percentile_interval,
    percentiles,
    response_times,
    run_virtual,
    trace_memory,
)
from perflab.systems import Closed, Open, neighbour, run_load, shop, webapp

NOT_A_NUMBER = [None, "x", [], {}, True, math.nan, -1, object()]
FAST = {"a": lambda: None, "b": lambda: None}
CALLS = {
    "compare(variants)": (lambda bad: compare(bad), [None, {}, [], "x", {"a": 1, "b": 2}, 3]),
    "compare(budget_s)": (lambda bad: compare(FAST, bad), [*NOT_A_NUMBER, 0, math.inf]),
    "compare(clock)": (lambda bad: compare(FAST, clock=bad), [None, 1, "x"]),
    "allocations(fn)": (allocations, [None, 1, "x"]),
    "trace_memory(interval)": (lambda bad: trace_memory(interval=bad), [0, -1, True, math.nan]),
    "trace_memory(pid)": (lambda bad: trace_memory(pid=bad), [-1, 0, [], True]),
    "noise_floor(seconds)": (noise_floor, [*NOT_A_NUMBER, 0, math.inf]),
    "percentile(p)": (lambda bad: percentile([1.0] * 99, bad), [None, "x", [], True, -1, 101]),
    "percentile(samples)": (
        lambda bad: percentile(bad, 50),
        [None, "x", [-1.0], [math.nan], [[1]]],
    ),
    "percentiles(ps)": (lambda bad: percentiles([1.0] * 99, bad), [50, [None], ["x"], [-1], [101]]),
    "percentile_interval(confidence)": (
        lambda bad: percentile_interval([1.0] * 999, 50, bad),
        [None, "x", 0, 1, -1, True, math.nan],
    ),
    "LatencyHistogram(precision)": (
        lambda bad: LatencyHistogram(precision=bad),
        [*NOT_A_NUMBER, 0, 1],
    ),
    "LatencyHistogram.record": (lambda bad: LatencyHistogram().record(bad), [-1.0, math.nan]),
    "LatencyHistogram.merge": (lambda bad: LatencyHistogram().merge(bad), [None, 1, "x"]),
    "VirtualClock.advance": (lambda bad: VirtualClock().advance(bad), [-1, math.nan, math.inf]),
    "run_virtual(main)": (run_virtual, [None, 1, "x", print]),
    "in_flight(start_ns)": (lambda bad: in_flight(bad, [1]), [[], [1, 2], [0.5], [2]]),
    "response_times(gaps)": (
        lambda bad: response_times(bad, [1.0]),
        [[], [1, 2], [-1], [math.nan]],
    ),
    "mm1_response_time": (lambda bad: mm1_response_time(bad, 1.0), [1.0, 2.0, -1.0, math.nan]),
    "Closed(users)": (lambda bad: Closed(bad), [*NOT_A_NUMBER, 0, 1.5, 10**9]),
    "Closed(duration)": (lambda bad: Closed(1, bad), ["x", 0, -1, math.nan, math.inf, True]),
    "Open(rate)": (lambda bad: Open(bad), [*NOT_A_NUMBER, 0, math.inf, 10**9]),
    "Open(arrivals)": (lambda bad: Open(5, arrivals=bad), ["x", None, 3, [1.0]]),
    "run_load(target)": (lambda bad: run_load(bad, Closed(1)), [None, 1, "x", "http://10.0.0.1"]),
    "run_load(workload)": (lambda bad: run_load("http://127.0.0.1:9", bad), [None, 1, "x"]),
    "run_load(route)": (
        lambda bad: run_load("http://127.0.0.1:9", Closed(1), route=bad),
        [None, 1, "x", [], {}, {"/": -1}, ["/a b"]],
    ),
    "shop(scale)": (shop, [None, "huge", 0, -1, 1.5, True]),
    "webapp(slots)": (lambda bad: webapp(slots=bad), [*NOT_A_NUMBER, 0, 1.5]),
    "webapp(service_ms)": (lambda bad: webapp(service_ms=bad), [*NOT_A_NUMBER, math.inf]),
    "webapp(service)": (lambda bad: webapp(service=bad), [None, "normal", 1]),
    "webapp(port)": (lambda bad: webapp(port=bad), [-1, 70_000, "x", None]),
    "neighbour(after)": (neighbour, NOT_A_NUMBER),
    "Chapter(number)": (Chapter, [None, 0, 11, "1", True, 1.5]),
    "Chapter(scale)": (lambda bad: Chapter(1, bad), ["huge", 1, ""]),
    "Chapter.verdict(claim)": (lambda bad: Chapter(1).verdict(bad, True, {"a": 1}), ["2.1", "x"]),
    "Chapter.verdict(holds)": (
        lambda bad: Chapter(1).verdict("1.1", bad, {"a": 1}),
        [None, "yes", 2],
    ),
    "Chapter.verdict(facts)": (lambda bad: Chapter(1).verdict("1.1", True, bad), [{}]),
    "Chapter.measured(holds)": (lambda bad: Chapter(1).measured("1.1", "x", holds=bad), ["yes", 2]),
    "Chapter.check(number)": (lambda bad: Chapter(1).check(bad, print), [None, 0, 5, "1", True]),
    "Chapter.solved(culprit)": (lambda bad: Chapter(1).solved(bad), [None, 1]),
    "Interval(between)": (
        lambda bad: Interval("?", "ms", bad),
        [(2, 1), (0, 1), (1,), None, (1, math.inf)],
    ),
    "Interval.read": (
        Interval("?", "ms", (1, 9)).read,
        [None, 5, (5, 2), (0, 2), ("a", 2), (2, 99)],
    ),
    "Place.read": (Place("?", "ms", (1, 9)).read, [*NOT_A_NUMBER, 0, 10]),
    "Choice(options)": (lambda bad: Choice("?", bad), [(), ("one",), None, 1]),
    "YesNo.read": (YesNo("?").read, [None, "no", ("no",), ("maybe", 60), ("no", 10), ("no", 101)]),
    "Panel(lines)": (lambda bad: Panel("ms", bad), [{"a": ([1, 2], [1])}]),
    "knob(ranges)": (lambda bad: knob(lambda n=1: None, n=bad), [(2, 1), (5, 9), None]),
    "show_source(thing)": (show_source, [1, "x", None, len]),
    "checks_of(contract)": (checks_of, [math]),
}
TRIED = [(name, bad) for name, (_, values) in CALLS.items() for bad in values]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PERFLAB_MY", str(tmp_path))


@pytest.mark.parametrize(("name", "bad"), TRIED, ids=lambda value: repr(value)[:30])
def test_nonsense_is_refused_by_name(name, bad):
    """The message says which argument it was and what is allowed."""
    call = CALLS[name][0]
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"=.*: must be "):
        call(bad)
