"""Routes and scenarios: what is asked for, checked before anything is sent."""

import json
import math

import numpy as np
import pytest

from perflab.systems import Closed, Open, Route, Scenario, run_load
from perflab.systems.loadgen.routes import routes_of


def weights(route):
    return {one.name: one.weight for one in routes_of(route)}


def test_routes_are_weighed():
    """One path, several with equal shares, weights as they are given, or routes of their own."""
    assert weights("/a") == {"/a": 1}
    assert weights(["/a", "/b", "/a"]) == {"/a": 2, "/b": 1}
    assert weights({"/a": 3, "/b": 0.5}) == {"/a": 3, "/b": 0.5}
    assert weights(["/a", Route("/a", "POST", weight=4)]) == {"/a": 1, "POST /a": 4}


@pytest.mark.parametrize(
    "bad",
    ["a", "", [], {}, {"/a": 0}, {"/a": -1}, {"/a": math.nan}, 5, [3], "/a b", "/a\r\nX: y", "/ü",
     b"/a", [[]], None],
)  # fmt: skip
def test_a_route_that_makes_no_sense_is_refused_by_name(bad):
    """A route starts with a slash, can be sent as it is, and has a weight."""
    with pytest.raises(ValueError, match=r"route=|weight="):
        routes_of(bad)


def test_a_body_is_bytes_whatever_it_was():
    """Text goes as UTF-8, a dict or list as JSON, and JSON says that it is."""
    assert Route("/x").body is None
    assert Route("/x", "POST", b"\x00").body == b"\x00"
    assert Route("/x", "POST", "ü").body == "ü".encode()
    route = Route("/x", "POST", {"a": [1]})
    assert json.loads(route.body) == {"a": [1]}
    assert route.headers == {"Content-Type": "application/json"}
    own = Route("/x", "POST", [1], {"content-type": "text/x"})
    assert own.headers == {"content-type": "text/x"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("method", {"method": "get"}),
        ("method", {"method": "GET /x HTTP/1.1\r\nA: b\r\n\r\n"}),
        ("headers", {"headers": {"a": "b\r\nc: d"}}),
        ("headers", {"headers": {"a b": "c"}}),
        ("headers", {"headers": {"": "c"}}),
        ("headers", {"headers": {"a": 1}}),
        ("headers", {"headers": "a: b"}),
        ("body", {"body": 3}),
        ("body", {"body": "x", "method": "HEAD"}),
        ("body", {"body": {"a": math.nan}}),
        ("body", {"body": {"a": object()}}),
        ("weight", {"weight": -1}),
        ("weight", {"weight": "1"}),
    ],
)
def test_what_http_cannot_carry_is_refused_by_name(name, options):
    """No header or method smuggles a second request in."""
    with pytest.raises(ValueError, match=f"{name}="):
        Route("/x", **options)


@pytest.mark.parametrize(
    "name", ["warm_up", "timeout", "grace", "connections", "max_bytes", "seed"]
)
@pytest.mark.parametrize("bad", ["x", -1, math.nan, math.inf, True, 10**30])
def test_a_scenario_refuses_nonsense_by_name(name, bad):
    """A limit that makes no sense is named before anything runs."""
    with pytest.raises(ValueError, match=f"{name}="):
        Scenario(Closed(1), **{name: bad})


def test_a_scenario_runs_as_it_is():
    """Its fields cannot be given a second time, and a workload must be one."""
    scenario = Scenario(Open(10, 1), route="/pay", seed=3)
    with pytest.raises(ValueError, match="options='seed'"):
        run_load("http://127.0.0.1:9", scenario, seed=4)
    with pytest.raises(ValueError, match="workload="):
        Scenario("Closed(1)")
    with pytest.raises(TypeError, match="timeuot"):
        run_load("http://127.0.0.1:9", Closed(1), timeuot=3)


def test_a_warm_up_comes_before_the_schedule():
    """Its start times lie before 0, at the same rate, and the schedule stays as it was."""
    workload = Open(100, 1, "poisson")
    times = Scenario(workload, warm_up=2, seed=5).times()
    assert np.array_equal(times[times >= 0], workload.schedule(5))
    assert 150 < (times < 0).sum() < 250
    assert times.min() >= -2
    assert Scenario(Closed(3), warm_up=2).times().size == 0
