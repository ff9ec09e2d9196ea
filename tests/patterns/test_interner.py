"""A string interner, ours: what its contract does not ask."""

import gc
import sys
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from perflab.contracts.interner import copy
from perflab.contracts.threads import Running, eventually
from perflab.patterns import interner as pattern
from perflab.patterns.interner import InternerStats, StringInterner


@pytest.fixture(params=[True, False], ids=["lock-free", "locked"], autouse=True)
def _path(request, monkeypatch):
    """Each test runs with the GIL's path and with the locked one."""
    monkeypatch.setattr(pattern, "LOCK_FREE", request.param)


class Model(RuleBasedStateMachine):
    """Any calls in any order, against the rules: least recently used goes first."""

    texts = Bundle("texts")

    @initialize(bound=st.none() | st.integers(1, 4), counts=st.booleans())
    def start(self, bound, counts):
        self.bound, self.counts = bound, counts or bound is not None
        self.interner = StringInterner(bound, count_hits=self.counts)
        self.kept: dict[str, str] = {}  # in the order of use
        self.hits = self.misses = 0

    @rule(target=texts, text=st.text(min_size=2, max_size=3))
    def draw(self, text):
        return text

    @rule(text=texts)
    def intern(self, text):
        mine = copy(text)
        came = self.interner.intern(mine)
        known = self.kept.pop(text, None)
        assert came is (mine if known is None else known)
        self.hits, self.misses = self.hits + (known is not None), self.misses + (known is None)
        self.kept[text] = came
        if self.bound and len(self.kept) > self.bound:
            del self.kept[next(iter(self.kept))]

    @rule(thing=st.none() | st.integers() | st.booleans() | st.floats() | st.binary())
    def refused(self, thing):
        with pytest.raises(ValueError, match="text="):
            self.interner.intern(thing)

    @invariant()
    def counted(self):
        size = len(self.kept)
        hits = self.hits if self.counts else None
        assert self.interner.stats() == InternerStats(hits, self.misses, size, self.misses - size)


def test_any_calls_in_any_order_keep_the_rules():
    """Objects, counts and what is forgotten are those of a plain model."""
    run_state_machine_as_test(Model, settings=settings(max_examples=50, stateful_step_count=15))


def test_an_interner_of_nothing_has_no_hit_ratio():
    """A ratio of no calls is no number, and one without counts neither."""
    uncounted = StringInterner(count_hits=False)
    uncounted.intern("a")
    assert StringInterner().stats().hit_ratio is None
    assert uncounted.stats().hit_ratio is None


def test_the_hit_ratio_is_the_part_of_calls_that_saved_a_copy():
    """Three calls of one string save two."""
    interner = StringInterner()
    interner.intern_many(["x", "x", "x"])
    assert interner.stats().hit_ratio == pytest.approx(2 / 3)


def test_many_at_once_come_back_in_order_as_the_objects_kept():
    """A batch is what one at a time would have been."""
    interner = StringInterner()
    first = interner.intern(copy("one"))
    assert interner.intern_many(copy(text) for text in ("two", "one", "two")) == [
        "two",
        "one",
        "two",
    ]
    assert interner.intern_many([copy("one")])[0] is first


def test_a_refusal_in_a_batch_keeps_what_came_before_it():
    """The interner works on after any refused call."""
    interner = StringInterner()
    with pytest.raises(ValueError, match="text=3"):
        interner.intern_many(["before", 3, "after"])
    assert interner.stats().size == 1
    assert interner.intern("after") == "after"


def test_what_cannot_be_hashed_is_refused_and_nothing_is_held():
    """A list is no key; the lock is free afterwards."""
    interner = StringInterner()
    with pytest.raises(TypeError):
        interner.intern([])
    assert Running(lambda: interner.intern("another thread")).result() == "another thread"


def test_a_keyword_is_refused_so_that_one_text_has_one_key():
    """`intern(text=…)` would be another key to the cache than `intern(…)`."""
    with pytest.raises((TypeError, ValueError)):
        StringInterner().intern(text="value")


def test_an_interrupt_while_adding_leaves_the_interner_usable(monkeypatch):
    """Ctrl-C comes in the second question, under the lock: it is passed on, and nothing is held."""
    interner = StringInterner()

    def interrupted(text):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(interner, "_cached", interrupted)
        with pytest.raises(KeyboardInterrupt):
            interner.intern("value")
    kept = Running(lambda: interner.intern(copy("value"))).result()
    assert interner.intern(copy("value")) is kept
    assert interner.stats() == InternerStats(hits=1, misses=1, size=1, forgotten=0)


def test_an_interner_and_its_strings_go_with_their_last_user():
    """Nothing global holds them."""
    text = copy("kept by the interner alone")
    interner = StringInterner()
    interner.intern(text)
    held = sys.getrefcount(text)
    del interner
    gc.collect()
    assert sys.getrefcount(text) < held


def test_a_finaliser_that_interns_while_one_is_added_waits_for_nothing():
    """The lock may be taken again by the thread that holds it."""
    interner = StringInterner(1)
    with interner._adding:
        assert interner.intern("inside") == "inside"
    assert interner.intern("after") == "after"


def test_a_reader_of_the_counts_never_sees_more_kept_than_the_bound():
    """Four threads add without end, and a fifth looks."""
    interner, stop = StringInterner(8), threading.Event()

    def add(seed):
        number = seed
        while not stop.is_set():
            interner.intern(f"{number % 50}")
            number += 7

    adding = [Running(lambda seed=seed: add(seed)) for seed in range(4)]
    seen = [interner.stats() for _ in range(200)]
    assert eventually(lambda: interner.stats().forgotten > 0)
    stop.set()
    assert all(one.join() for one in adding)
    assert all(one.size <= 8 and one.size + one.forgotten <= one.misses for one in seen)
