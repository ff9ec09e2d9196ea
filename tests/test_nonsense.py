"""Nonsense in any public call: a ValueError that names the argument, never another traceback."""

import asyncio
import itertools
import math
import sqlite3

import numpy as np
import pytest

from perflab.book import Chapter, Choice, Interval, Panel, Place, YesNo, knob, show_source
from perflab.contracts import checks_of, judge
from perflab.measure import (
    LatencyHistogram,
    Machine,
    ModelServer,
    Sampler,
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
from perflab.measure.monitor import RequestMonitor
from perflab.systems import (
    Closed,
    HttpGet,
    LoadResult,
    Open,
    Route,
    Scenario,
    Server,
    balancer,
    cluster,
    explain,
    link,
    neighbour,
    postgres,
    run_load,
    run_locust,
    run_model,
    shop,
    valkey,
    webapp,
)
from perflab.systems.loadgen import arrival_times
from tests import cases

MODELLED = run_model(ModelServer(), Closed(1, requests=1_000))
NOT_A_NUMBER = [None, "x", [], {}, True, math.nan, -1, object()]


def run_on(clock):
    """An asyncio program on this clock."""
    coroutine = asyncio.sleep(0)
    try:
        run_virtual(coroutine, clock)
    finally:
        coroutine.close()


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
    "run_model(server)": (lambda bad: run_model(bad, Closed(1)), [None, 1, "x"]),
    "run_model(workload)": (lambda bad: run_model(ModelServer(), bad), [None, 1, "x"]),
    "run_locust(workers)": (
        lambda bad: run_locust(Scenario(Closed(1)), "http://127.0.0.1:9", bad),
        [None, "x", 0, 1.5, True],
    ),
    "Route(path)": (Route, [None, 1, "x", "/a b", "/\r\n"]),
    "Route(body)": (lambda bad: Route("/x", "POST", bad), [1, 1.5, {1, 2}, {"a": math.nan}]),
    "Scenario(timeout)": (
        lambda bad: Scenario(Closed(1), timeout=bad),
        [*NOT_A_NUMBER, 0, math.inf],
    ),
    "ModelServer(slots)": (ModelServer, [*NOT_A_NUMBER, 0, 1.5]),
    "ModelServer(service)": (lambda bad: ModelServer(1, bad), [None, "x", -1, math.nan]),
    "HttpGet(url)": (HttpGet, [None, 1, "x", "https://127.0.0.1"]),
    "LoadResult.load": (LoadResult.load, [None, 1, b"x"]),
    "LoadResult.compare": (lambda bad: MODELLED.compare(bad), [None, 1, "x"]),
    "LoadResult.compare(p)": (lambda bad: MODELLED.compare(MODELLED, bad), [None, "x", -1, 101]),
    "LoadResult.meets": (lambda bad: MODELLED.meets(p99=bad), [*NOT_A_NUMBER, 0, -1]),
    "shop(scale)": (shop, [None, "huge", 0, -1, 1.5, True]),
    "webapp(slots)": (lambda bad: webapp(slots=bad), [*NOT_A_NUMBER, 0, 1.5]),
    "webapp(service_ms)": (lambda bad: webapp(service_ms=bad), [*NOT_A_NUMBER, math.inf]),
    "webapp(service)": (lambda bad: webapp(service=bad), [None, "normal", 1]),
    "webapp(tls)": (lambda bad: webapp(tls=bad), [None, True, "1.1", 1.3]),
    "WebApp.profile": (webapp().profile, [*NOT_A_NUMBER, 0, math.inf]),
    "Sampler(interval)": (Sampler, [*NOT_A_NUMBER, 0, math.inf]),
    "Sampler(thread)": (lambda bad: Sampler(thread=bad), ["x", True, 1.5]),
    "Sampler(clock)": (lambda bad: Sampler(clock=bad), [None, 1]),
    "Profile.share": (lambda bad: Sampler().profile.share("x", bad), [None, "x", 1]),
    "WebApp.set_remote": (webapp().set_remote, [None, 1, "broken", []]),
    "webapp(port)": (lambda bad: webapp(port=bad), [-1, 70_000, "x", None]),
    "valkey(max_bytes)": (lambda bad: valkey(max_bytes=bad), [*NOT_A_NUMBER, 1.5]),
    "valkey(policy)": (lambda bad: valkey(policy=bad), [None, 1, "lru", []]),
    "postgres(settings)": (
        lambda bad: postgres(settings=bad),
        [1, "x", [], {1: 2}, {"a b": 1}, {"a": None}, {"a": "\0"}],
    ),
    "postgres(timeout)": (lambda bad: postgres(timeout=bad), [*NOT_A_NUMBER, 0, math.inf]),
    "balancer(servers)": (
        balancer,
        [None, [], "x", 1, ["x"], [webapp()], ["https://127.0.0.1:1"], ["http://10.0.0.1:80"]],
    ),
    "balancer(policy)": (
        lambda bad: balancer(["http://127.0.0.1:9"], policy=bad),
        [None, 1, "fair", "least_conn;"],
    ),
    "balancer(retries)": (lambda bad: balancer(["http://127.0.0.1:9"], retries=bad), [None, 1]),
    "cluster(workers)": (cluster, [*NOT_A_NUMBER, 0, 1.5, 65]),
    "link(target)": (link, [None, 1, "x", "http://10.0.0.1:80", "http://127.0.0.1", webapp()]),
    "link(bandwidth)": (lambda bad: link("http://127.0.0.1:9", bandwidth=bad), ["x", 0, -1, True]),
    "link(delay)": (lambda bad: link("http://127.0.0.1:9", delay=bad), [*NOT_A_NUMBER, math.inf]),
    "link(jitter)": (lambda bad: link("http://127.0.0.1:9", jitter=bad), [*NOT_A_NUMBER, 61]),
    "link(seed)": (lambda bad: link("http://127.0.0.1:9", seed=bad), [*NOT_A_NUMBER, 1.5]),
    "explain(connection)": (lambda bad: explain(bad, "SELECT 1"), [None, 1, "x"]),
    "explain(query)": (
        lambda bad: explain(sqlite3.connect(":memory:"), bad),
        [None, 1, "", "DELETE FROM users"],
    ),
    "Shop.copy_to": (lambda bad: shop(100).copy_to(bad), [None, 1, "x"]),
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
    "compare(clock) tells nonsense": (
        lambda bad: compare(FAST, clock=lambda: bad),
        [None, "x", math.nan, math.inf, 10**400, 5.0],
    ),
    "compare(clock) counts its readings": (
        lambda step: compare(FAST, clock=itertools.count(step=step).__next__),
        [1, 0.001],
    ),
    "noise_floor(clock)": (lambda bad: noise_floor(1, clock=bad), [None, 1, list, lambda: None]),
    "Machine.load(seconds)": (Machine.load, [*NOT_A_NUMBER, 0, math.inf, 1e308]),
    "Machine.same_as(other)": (Machine.here().same_as, [None, 1, "x"]),
    "VirtualClock(start)": (VirtualClock, [None, "x", [], True, math.nan, math.inf, 10**400]),
    "VirtualClock.advance, no number": (
        lambda bad: VirtualClock().advance(bad),
        [None, "x", [], True, np.array([1.0, 2.0]), 10**400],
    ),
    "run_virtual(clock)": (run_on, [1, "x", object()]),
    "percentiles(ps), no sequence": (
        lambda bad: percentiles([1.0] * 99, bad),
        [None, "", object()],
    ),
    "response_times, no numbers": (
        lambda bad: response_times(bad, bad),
        [None, ["x"], {}, [10**400]],
    ),
    "InFlight.at": (in_flight([1], [2]).at, [None, 0.5, "x", [math.nan]]),
    "RequestMonitor(app)": (RequestMonitor, [None, 1, "x"]),
    "RequestMonitor(clock)": (lambda bad: RequestMonitor(print, clock=bad), [None, 1]),
    "RequestMonitor(keep)": (lambda bad: RequestMonitor(print, keep=bad), [*NOT_A_NUMBER, 10**400]),
    "Closed(requests), beyond any float": (lambda bad: Closed(1, requests=bad), [10**400]),
    "Open(arrivals), no numbers": (
        lambda bad: Open(arrivals=bad),
        [{}, ["x"], object(), [10**400]],
    ),
    "arrival_times(stages)": (
        arrival_times,
        [None, 1, [None], [(1, 1)], [(1, 1, 0)], [(1, -1, 1)]],
    ),
    "arrival_times(arrivals)": (lambda bad: arrival_times([(1, 1, 1)], bad), [None, "x", 1]),
    "run_load(target) without a port": (
        lambda bad: run_load(bad, Closed(1)),
        ["http://127.0.0.1:0", webapp()],
    ),
    "run_load(watch)": (
        lambda bad: run_load("http://127.0.0.1:9", Closed(1), watch=bad),
        [1, "x", []],
    ),
    "shop(seed)": (lambda bad: shop(100, bad), [*NOT_A_NUMBER, 10**400]),
    "shop(folder)": (lambda bad: shop(100, folder=bad), [1, "", [], "\0", True]),
    "webapp(shop)": (webapp, [0, "", [], "x", False]),
    "webapp(routes)": (
        lambda bad: webapp(routes=bad),
        [None, 1, ":", "os:", ":path", "os", "a:b:c"],
    ),
    "webapp, beyond all bounds": (
        lambda name: webapp(**{name: 10**400}),
        ["slots", "threads", "seed", "service_ms", "slow_ms", "trace_size", "timeout"],
    ),
    "WebApp.get(path)": (webapp().get, [None, "", "x", b"/", "/a b", "/\n"]),
    "Server(command)": (lambda bad: Server(bad, print), [None, "x", [], [1]]),
    "Server(ready)": (lambda bad: Server(["x"], bad), [None, 1]),
    "Server(env)": (lambda bad: Server(["x"], print, env=bad), [1, "x"]),
    "Chapter.predict(claim)": (
        lambda bad: Chapter(1).predict(bad, YesNo("?")),
        [None, [], {}, "2.1"],
    ),
    "Chapter.predict(kind)": (lambda bad: Chapter(1).predict("1.1", bad), [None, 1, "x", YesNo]),
    "Chapter.verdict(facts), no names": (
        lambda bad: Chapter(1).verdict("1.1", True, bad),
        [None, "x", {None: 1}],
    ),
    "Chapter.figure(panels)": (
        lambda bad: Chapter(1).figure("1.1", "?", "s", bad),
        [None, 1, [], [1]],
    ),
    "Chapter.figure(x_label)": (
        lambda bad: Chapter(1).figure("1.1", "?", bad, [Panel("ms", {})]),
        [None, 1],
    ),
    "Chapter.figure(events)": (
        lambda bad: Chapter(1).figure("1.1", "?", "s", [Panel("ms", {})], events=bad),
        [0, "x", {"e": (2, 1)}, {"e": None}],
    ),
    "Chapter.figure(predicted_in)": (
        lambda bad: Chapter(1).figure("1.1", "?", "s", [Panel("ms", {})], bad),
        [1, -1, False, ""],
    ),
    "Interval(unit)": (lambda bad: Interval("?", bad, (1, 2)), [None, 1]),
    "Place(unit)": (lambda bad: Place("?", bad, (1, 2)), [None, 1]),
    "Panel(height)": (lambda bad: Panel("ms", {}, height=bad), [*NOT_A_NUMBER, 0, 11]),
    "Panel(marks)": (lambda bad: Panel("ms", {}, marks=bad), [None, 1, {"m": None}, {"m": "x"}]),
    "Panel(points)": (lambda bad: Panel("ms", {}, points=bad), [None, 1, "x", ["x"]]),
    "Panel(log)": (lambda bad: Panel("ms", {}, log=bad), [None, 1, "x"]),
    "Panel(lines), names": (lambda bad: Panel("ms", {bad: ([1], [1])}), [None, 1]),
    "knob(function)": (knob, [None, 1, "x"]),
    "judge(contract)": (lambda bad: judge(bad, print), [None, 1, math]),
}
for _case in cases.ALL:
    CALLS |= _case.NONSENSE
TRIED = [(name, bad) for name, (_, values) in CALLS.items() for bad in values]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PERFLAB_MY", str(tmp_path))


def shown(value: object) -> str:
    """A name for the test that is the same in every process."""
    return repr(value).split(" at 0x")[0][:30]


@pytest.mark.parametrize(("name", "bad"), TRIED, ids=shown)
def test_nonsense_is_refused_by_name(name, bad):
    """The message says which argument it was and what is allowed."""
    call = CALLS[name][0]
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"=.*: must be "):
        call(bad)
