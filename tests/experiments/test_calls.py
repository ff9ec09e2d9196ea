"""Functions called over and over: each call is noted once, an error is noted and not raised."""

import threading

import numpy as np
import pytest

from perflab.contracts.threads import eventually
from perflab.experiments.calls import calling
from perflab.experiments.changes import changed_twice


def test_every_call_is_noted_in_order():
    """As many entries as calls, with what they returned."""
    numbers = iter(range(10**9))
    with calling({"count": lambda: next(numbers)}) as callers:
        assert eventually(lambda: len(callers["count"].value) >= 5, 30)
    calls, called = callers["count"], next(numbers)
    assert calls.value.tolist() == list(range(called))
    assert (np.diff(calls.time) >= 0).all()
    assert (calls.seconds >= 0).all()
    assert calls.errors == ()


def test_an_error_is_counted_and_the_next_call_follows():
    """The value is nan, the kind is named, the other function goes on."""
    turns = iter([1.0, None, 3.0])

    def sometimes():
        turn = next(turns)
        if turn is None:
            raise ConnectionError
        return turn

    with calling({"fails": sometimes, "works": lambda: 7}) as callers:
        assert eventually(lambda: len(callers["fails"].value) >= 4, 30)
        assert eventually(lambda: len(callers["works"].value) >= 1, 30)
    calls = callers["fails"]
    assert calls.value[[0, 2]].tolist() == [1.0, 3.0]
    assert np.isnan(calls.value[[1, 3]]).all()
    assert calls.errors == ("ConnectionError", "StopIteration")
    assert set(callers["works"].value) == {7.0}


@pytest.mark.parametrize("bad", [None, {}, {"a": 1}, [print]])
def test_functions_are_given_by_name(bad):
    """Refused before any thread is started."""
    with pytest.raises(ValueError, match="functions="):
        calling(bad)


class Page:
    """A page in a cache that loads at once, whose invalidation works or does not."""

    def __init__(self, stale):
        self.loading, self.kept, self.truth, self.stale = threading.Event(), None, 0, stale

    def read(self):
        self.loading.set()
        return self.kept if self.kept is not None else self.truth

    def change(self, version):
        self.truth = version
        self.kept = version - 1 if self.stale else None


def test_a_reader_that_gets_the_current_version_is_never_behind():
    """No answer is behind, and nothing is left behind after any pair."""
    page = Page(stale=False)
    seen = changed_twice(page.read, page.change, page.loading, pairs=3, rest=0.001)
    assert seen.left == (0, 0, 0)
    assert not seen.calls.value.any()


def test_an_old_version_that_stays_is_counted_after_each_pair():
    """The cache keeps the version before: one change behind, every time."""
    page = Page(stale=True)
    seen = changed_twice(page.read, page.change, page.loading, pairs=3, rest=0.001)
    assert page.truth == 7
    assert seen.left == (1, 1, 1)
    assert seen.calls.value.max() == 1
