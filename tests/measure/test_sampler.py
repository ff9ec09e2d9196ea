"""A sampling profiler, on scripted looks and on live threads."""

import threading
from types import SimpleNamespace

import pytest

from perflab.measure import VirtualClock
from perflab.measure.sampler import Sampler, read_folded


def frame(*names):
    """A stack of frames, outermost name first."""
    below = None
    for name in names:
        code = SimpleNamespace(co_qualname=name)
        below = SimpleNamespace(f_code=code, f_globals={"__name__": "app"}, f_back=below)
    return below


def scripted(schedule):
    """The profile of looks at these moments, each at one thread's stack."""
    clock = VirtualClock()
    seen = {}
    sampler = Sampler(clock=clock, frames=lambda: seen)
    sampler._last = 0.0
    for moment, *names in schedule:
        clock.advance(moment - clock.now)
        seen[1] = frame(*names)
        sampler.look()
    return sampler.profile


# A sort holds the GIL from 0.005 to 0.105: no look in between, and the next one sees it at its end.
LATE = [(0.005, "main", "parse"), (0.105, "main", "sort"), (0.110, "main", "parse")]


def test_a_look_that_came_late_stands_for_all_the_time_it_was_late():
    """By seconds the sort is 100 of 110 ms, by looks it is one of three."""
    profile = scripted(LATE)
    assert profile.share("sort") == pytest.approx(100 / 110)
    assert profile.share("sort", by="looks") == pytest.approx(1 / 3)
    assert profile.share("main") == 1


def test_a_name_is_found_with_or_without_its_module():
    """«sort» and «app.sort» are the same function, «ort» is none."""
    profile = scripted(LATE)
    assert profile.share("app.sort") == profile.share("sort")
    assert profile.share("ort") == 0


def test_a_profile_survives_its_text():
    """Folded stacks, as flame graph tools read them."""
    profile = scripted(LATE)
    assert "app.main;app.sort 100000\n" in profile.folded()
    assert read_folded(profile.folded()).seconds == pytest.approx(dict(profile.seconds))
    with pytest.raises(ValueError, match="line="):
        read_folded("no weight here")


def test_the_table_tells_own_time_from_total_time():
    """What is on top of the stack runs, what is below waits for it."""
    table = scripted(LATE).to_frame()
    assert table.loc["app.main", "own s"] == 0
    assert table.loc["app.main", "total s"] == pytest.approx(0.110)
    assert table.index[0] == "app.sort"


def test_it_sees_what_another_thread_does_and_not_itself():
    """A thread that waits is seen where it waits."""
    gate, there = threading.Event(), threading.Event()

    def waits_here():
        there.set()
        gate.wait()

    thread = threading.Thread(target=waits_here)
    thread.start()
    there.wait()
    sampler = Sampler()
    sampler.look()
    with Sampler(0.001, thread=thread.ident) as only:
        while not only.profile.looks:
            pass
    gate.set()
    thread.join()
    assert sampler.profile.share("waits_here") > 0
    assert only.profile.share("waits_here") == 1
    assert only.profile.share("Sampler._run") == 0


def test_it_stops_and_goes_on():
    """Its thread is gone after each stop, and what was seen stays."""
    sampler = Sampler(0.001)
    for _ in range(2):
        with sampler, pytest.raises(ValueError, match="start="):
            sampler.start()
        assert not [one for one in threading.enumerate() if one.name == "sampler"]
    sampler.stop()


def test_a_stack_without_end_is_cut():
    """Recursion costs bounded memory: the innermost frames stay."""
    (stack,) = scripted([(1, *(f"f{n}" for n in range(1000)))]).seconds
    assert len(stack) == 200
    assert stack[-1] == "app.f999"


def test_who_waits_is_charged_with_the_wait():
    """By the clock on the wall, not by the processor's: a page that waits is slow as well."""
    sampler = Sampler(frames=lambda: {-1: frame("wait")})
    sampler.look()
    before = sum(sampler.profile.seconds.values())
    threading.Event().wait(0.02)
    sampler.look()
    assert sum(sampler.profile.seconds.values()) - before >= 0.019
