"""Routers, ours: what their contract does not ask."""

import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from perflab.patterns import sharding
from perflab.patterns.sharding import ModuloRouter, Moved, RingRouter, open_all

KEYS = [f"user:{number}" for number in range(300)]
ROUTERS = pytest.mark.parametrize("router", [RingRouter, ModuloRouter])
NAMES = st.sampled_from(["a", "b", "c", "d", "é", ""])

FINDS = """
import sys
from perflab.patterns.sharding import ModuloRouter, RingRouter
for router in (RingRouter, ModuloRouter):
    of = router({"a": 1, "b": 2, "c": 1})
    print("".join(of.route(f"user:{number}") for number in range(300)))
"""


class Model(RuleBasedStateMachine):
    """Nodes that join and leave in any order; the model is a dict of weights."""

    @initialize(name=NAMES, weight=st.integers(1, 3))
    def start(self, name, weight):
        self.weights = {name: weight}
        self.ring, self.modulo = RingRouter(self.weights), ModuloRouter(self.weights)

    @rule(name=NAMES, weight=st.integers(1, 3))
    def join(self, name, weight):
        before = self.found()
        if name in self.weights:
            for router in (self.ring, self.modulo):
                with pytest.raises(ValueError, match="node="):
                    router.add(name, weight)
            assert self.found() == before
            return
        self.weights[name] = weight
        self.ring.add(name, weight)
        self.modulo.add(name, weight)
        after = self.found()
        assert {b for a, b in zip(before, after, strict=True) if a != b} <= {name}

    @precondition(lambda self: len(self.weights) > 1)
    @rule(data=st.data())
    def leave(self, data):
        name = data.draw(st.sampled_from(sorted(self.weights)))
        before = self.found()
        del self.weights[name]
        self.ring.remove(name)
        self.modulo.remove(name)
        moved = {a for a, b in zip(before, self.found(), strict=True) if a != b}
        assert moved <= {name}

    @invariant()
    def as_if_made_anew(self):
        """What joined and left before leaves no trace, and the order of joining neither."""
        anew = dict(reversed(self.weights.items()))
        assert self.ring._table == RingRouter(anew)._table
        assert self.modulo._table == ModuloRouter(anew)._table
        assert self.ring.nodes == self.modulo.nodes == self.weights

    def found(self):
        found = [self.ring.route(key) for key in KEYS]
        assert set(found) <= self.weights.keys()
        return found


def test_nodes_that_join_and_leave_in_any_order_leave_no_trace(monkeypatch):
    """A node moves its own keys only. 32 points a node show the same rules as 1,024, sooner."""
    monkeypatch.setattr(sharding, "POINTS", 32)
    run_state_machine_as_test(Model, settings=settings(max_examples=25, stateful_step_count=12))


def test_two_processes_with_other_seeds_find_the_same_nodes():
    """Real processes, each with a hash() of its own."""
    said = [
        subprocess.run(
            [sys.executable, "-c", FINDS],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(said[0].split()[0]) == 300


def test_a_ring_is_the_same_tomorrow():
    """Where keys are stored is a format: a change of the hash or of the points loses them all."""
    ring = RingRouter(["a", "b", "c", "d"])
    assert "".join(ring.route(f"user:{number}") for number in range(40)) == TODAY


TODAY = "adcabacdabbacdbbabcadccccccbabcbabdccdab"
OF_TWO = [RingRouter(["a", "b"]), ModuloRouter(["a", "b"])]


@given(key=st.text(st.characters()))
def test_every_string_has_a_node(key):
    """Empty, long, with lone surrogates: any str is a key."""
    assert {router.route(key) for router in OF_TWO} <= {"a", "b"}


@ROUTERS
def test_a_lone_surrogate_is_a_key_like_others(router):
    """UTF-8 has no bytes for it; the lookup finds some all the same, always the same."""
    of = router(["a", "b", "c"])
    assert len({of.route(f"\ud800{number}") for number in range(50)}) == 3
    assert of.route("\ud800") == of.route("\ud800")


@ROUTERS
def test_moved_counts_the_keys_that_another_router_would_keep_elsewhere(router):
    """Against a router of the same nodes none, and of no keys no share."""
    four, five = router(["a", "b", "c", "d"]), router(["a", "b", "c", "d", "e"])
    elsewhere = sum(four.route(key) != five.route(key) for key in KEYS)
    assert four.moved(iter(KEYS), five) == Moved(300, elsewhere)
    assert four.moved(KEYS, router(["d", "c", "b", "a"])).share == 0.0
    assert four.moved([], five).share == 0.0


FAMILIES = {
    "numbers": lambda n: f"{n}",
    "padded": lambda n: f"{n:08d}",
    "hexadecimal": lambda n: f"{n:08x}",
    "twice the same": lambda n: f"{n}:{n}",
    "pairs": lambda n: f"{n % 100}-{n // 100}",
    "addresses": lambda n: f"{n}@example.com",
    "paths": lambda n: f"/items/{n}/details?page={n % 7}",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_keys_of_any_form_spread_evenly(name):
    """A hash that is good for one form of keys may be bad for another."""
    nodes = [f"shard-{number}" for number in range(16)]
    held = Counter(map(RingRouter(nodes).route, map(FAMILIES[name], range(50_000))))
    assert max(held.values()) * 16 / 50_000 <= 1.10


def test_a_modulo_router_counts_weights_in_their_lowest_terms():
    """Weights 10 and 20 are 1 and 2."""
    held = Counter(map(ModuloRouter({"a": 10, "b": 20}).route, map(str, range(3000))))
    assert held["b"] / held["a"] == pytest.approx(2, rel=0.1)
    assert ModuloRouter({"a": 10, "b": 20})._table == ["a", "b", "b"]


def test_more_weight_takes_keys_and_gives_none_away():
    """A heavier node keeps its points and gets more of them."""
    light, heavy = RingRouter({"a": 1, "b": 1}), RingRouter({"a": 1, "b": 2})
    gone = {light.route(key) for key in KEYS if light.route(key) != heavy.route(key)}
    assert gone == {"a"}


@ROUTERS
def test_what_the_caller_does_with_its_nodes_changes_nothing(router):
    """A router has its own copy, and gives copies."""
    weights = {"a": 1, "b": 1}
    of = router(weights)
    weights.clear()
    of.nodes.clear()
    assert of.nodes == {"a": 1, "b": 1}


@ROUTERS
def test_a_node_that_is_refused_leaves_the_router_as_it_was(router):
    """Every refusal comes before the change."""
    of = router(["a", "b"])
    before = [of.route(key) for key in KEYS]
    for refused in (lambda: of.add("a"), lambda: of.add("c", 0), lambda: of.remove("z")):
        with pytest.raises(ValueError, match="must be"):
            refused()
    assert [of.route(key) for key in KEYS] == before
    of.remove("a")
    with pytest.raises(ValueError, match="not the last"):
        of.remove("b")


class Opened:
    """Something that can be closed."""

    closed = False

    def close(self):
        self.closed = True


def test_open_all_opens_each_under_its_name():
    """All are open, in the order of their names' list."""
    assert list(open_all(["b", "a"], lambda name: Opened())) == ["b", "a"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_open_all_closes_what_is_open_when_one_fails(error):
    """An interrupt is a failure like others, and the error comes through."""
    opened = []

    def connect(name):
        if name == "c":
            raise error
        opened.append(Opened())
        return opened[-1]

    with pytest.raises(error):
        open_all(["a", "b", "c"], connect)
    assert [one.closed for one in opened] == [True, True]
