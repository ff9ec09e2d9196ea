"""A circuit breaker: its rules against a simple model, and what no contract can ask of any."""

import asyncio
import contextlib
import contextvars
import gc
import threading

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from perflab.contracts import breaker as contract
from perflab.contracts import guarding, judge
from perflab.contracts.breaker import guide_style
from perflab.contracts.threads import Running
from perflab.errors import CircuitOpenError
from perflab.measure import VirtualClock, run_virtual
from perflab.patterns import CircuitBreaker, State
from perflab.patterns import breaker as module
from perflab.patterns.parts.guarding import under_way


@pytest.fixture(autouse=True, params=[True, False], ids=["gil", "locked"])
def lock_free(request, monkeypatch):
    """Each test runs on both paths."""
    monkeypatch.setattr(module, "_LOCK_FREE", request.param)
    return request.param


def good():
    return "good"


def bad():
    raise ConnectionError


def fail(breaker, times):
    for _ in range(times):
        with contextlib.suppress(ConnectionError, CircuitOpenError):
            breaker.call(bad)


def half_open(**options):
    """An open breaker whose time-out has passed, and its clock."""
    clock = VirtualClock()
    breaker = CircuitBreaker(1, 10.0, clock=clock, **options)
    fail(breaker, 1)
    clock.advance(10.0)
    return breaker, clock


def test_the_contracts_hold_on_both_paths():
    """With the lock everywhere it does the same as without."""
    for one, thing in ((contract, guide_style(CircuitBreaker)), (guarding, CircuitBreaker)):
        assert not [what for what, seen in judge(one, thing).items() if not seen.holds]


# ── when it trips


def test_only_failures_in_a_row_trip_it():
    """A success between them begins the count anew."""
    breaker = CircuitBreaker(3)
    for _ in range(10):
        fail(breaker, 2)
        breaker.call(good)
    assert breaker.state is State.CLOSED
    fail(breaker, 3)
    assert breaker.state is State.OPEN


@pytest.mark.parametrize(("gap", "state"), [(30.0, State.OPEN), (30.1, State.CLOSED)])
def test_failures_count_for_within_seconds(gap, state):
    """The first of three failures counts with the third 60 s later, but not longer."""
    breaker = CircuitBreaker(3, within=60.0, clock=(clock := VirtualClock()))
    for _ in range(3):
        fail(breaker, 1)
        clock.advance(gap)
    assert breaker.state is state


def test_a_rate_is_judged_when_the_window_is_full():
    """Seven of the first nine say nothing yet; with the tenth it is 70 %."""
    breaker = CircuitBreaker(None, failure_rate=0.7, window=10)
    for fn in (bad, bad, good, bad, good, bad, bad, bad, good):
        with contextlib.suppress(ConnectionError):
            breaker.call(fn)
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.state is State.OPEN
    assert (breaker.stats().failures, breaker.stats().successes) == (7, 3)


def test_the_window_moves_on():
    """Failures that are more than a window of calls ago do not count."""
    breaker = CircuitBreaker(None, failure_rate=0.5, window=10)
    fail(breaker, 9)
    breaker = CircuitBreaker(None, failure_rate=0.5, window=10)
    for _ in range(4):
        fail(breaker, 1)
    for _ in range(10):
        breaker.call(good)
    fail(breaker, 4)
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.state is State.OPEN


def test_a_new_closed_time_begins_with_nothing():
    """What tripped it once is not held against it after it has closed."""
    breaker = CircuitBreaker(3, 10.0, failure_rate=0.5, window=4, clock=(clock := VirtualClock()))
    fail(breaker, 3)
    clock.advance(10.0)
    breaker.call(good)
    fail(breaker, 2)
    assert breaker.state is State.CLOSED


def test_a_reading_of_the_clock_that_comes_late_gives_no_probe_up():
    """A thread reads the clock, is held up, and sets out after one that read it later."""
    readings = iter([0.0, 40.0, 5.0, 41.0])
    breaker = CircuitBreaker(1, 30.0, max_probes=2, clock=lambda: next(readings))
    fail(breaker, 1)
    breaker.admit()
    breaker.admit()
    with pytest.raises(CircuitOpenError):
        breaker.admit()


# ── ways to call


def test_a_decorated_method_is_a_method():
    """It keeps its name, gets its object and its keyword arguments, and is refused when open."""
    breaker = CircuitBreaker(1)

    class Shop:
        @breaker
        def price(self, *, of):
            """What it costs."""
            if of == "nothing":
                raise ConnectionError
            return self, of

    shop = Shop()
    assert shop.price(of="tea") == (shop, "tea")
    assert (Shop.price.__name__, Shop.price.__doc__) == ("price", "What it costs.")
    with pytest.raises(ConnectionError):
        shop.price(of="nothing")
    with pytest.raises(CircuitOpenError, match="open for another 30 s"):
        shop.price(of="tea")


def test_a_guarded_generator_is_one_still():
    """What is sent reaches it, what it returns comes back, and it counts once."""
    breaker = CircuitBreaker(1)

    @breaker
    def sums():
        total = 0
        while (number := (yield total)) is not None:
            total += number
        return total

    items = sums()
    assert [next(items), items.send(3), items.send(4)] == [0, 3, 7]
    assert breaker.stats().successes == 0
    with pytest.raises(StopIteration) as stop:
        items.send(None)
    assert (stop.value.value, breaker.stats().successes) == (7, 1)


def test_a_generator_that_is_given_up_says_nothing():
    """As a probe it leaves its place, whoever drops it; of both kinds."""
    breaker, _ = half_open()

    @breaker
    def forever():
        while True:
            yield 1

    @breaker
    async def forever_async():
        while True:
            yield 1

    async def first():
        return await anext(forever_async())

    for _ in range(3):
        next(forever())
        gc.collect()
        run_virtual(first())
    assert breaker.state is State.HALF_OPEN
    assert breaker.stats().ignored == 6
    assert breaker.call(good) == "good"


@pytest.mark.parametrize("by", ["decorator", "call"])
def test_a_coroutine_function_called_wrongly_gives_its_place_back(by):
    """As a probe it fails before there is anything to await."""
    breaker, clock = half_open()

    async def fetch(url):
        return url

    async def main():
        await (breaker(fetch)() if by == "decorator" else breaker.call(fetch))

    with pytest.raises(TypeError):
        run_virtual(main())
    assert breaker.state is State.OPEN
    clock.advance(10.0)
    assert breaker.call(good) == "good"


def test_the_collector_may_close_a_generator_at_any_moment():
    """Also while this very thread holds the breaker's lock."""
    breaker, _ = half_open()

    @breaker
    def forever():
        while True:
            yield 1

    def under_the_lock():
        items = forever()
        next(items)
        with breaker._lock:
            del items
            gc.collect()

    Running(under_the_lock).result()
    assert breaker.stats().ignored == 1


def test_blocks_of_generators_that_take_turns_keep_their_eras():
    """A block of another breaker that is left first is found beneath the last one."""
    first, second = CircuitBreaker(), CircuitBreaker()

    def block(breaker):
        with breaker:
            yield

    one, two = block(first), block(second)
    next(one)
    next(two)
    for items in (one, two):
        assert next(items, "end") == "end"
    assert first.stats().successes == second.stats().successes == 1
    assert first.stats().late == second.stats().late == 0
    assert under_way.get() is None


def test_a_block_that_is_left_in_another_context_is_late():
    """Nobody knows when it was let in; it decides nothing, and the breaker goes on."""
    breaker, clock = half_open()

    def block():
        with breaker:
            yield

    items = block()
    contextvars.copy_context().run(next, items)
    assert breaker.stats().late == 0
    assert next(items, "end") == "end"
    assert (breaker.state, breaker.stats().late) == (State.HALF_OPEN, 1)
    with pytest.raises(CircuitOpenError, match="probes"):
        breaker.call(good)
    clock.advance(10.0)
    assert breaker.call(good) == "good"
    assert breaker.state is State.CLOSED


def test_blocks_nest_and_stack():
    """A block within a block, by statement or by ExitStack, is a call within a call."""
    breaker = CircuitBreaker()
    with breaker, contextlib.ExitStack() as stack:
        stack.enter_context(breaker)
        with breaker:
            pass
    assert breaker.stats().successes == 3
    assert under_way.get() is None


def test_a_task_made_within_a_block_is_a_call_of_its_own():
    """It begins with its maker's blocks in its context, and leaves only its own."""
    breaker = CircuitBreaker()

    async def inner():
        with breaker:
            await asyncio.sleep(1)

    async def outer():
        with breaker:
            await asyncio.gather(inner(), inner())

    run_virtual(outer())
    assert (breaker.stats().successes, breaker.stats().late) == (3, 0)


def test_what_is_no_function_is_refused_and_counts_as_nothing():
    """The breaker stays as it was."""
    breaker = CircuitBreaker(1)
    with pytest.raises(ValueError, match="fn=None"):
        breaker.call(None)
    assert breaker.stats() == CircuitBreaker(1).stats()


# ── hooks


def test_what_a_hook_raises_is_logged(caplog):
    """It neither replaces the call's own error nor hinders the breaker."""

    def hook(old, new):
        raise RuntimeError("hook")

    breaker = CircuitBreaker(1, on_change=hook)
    with pytest.raises(ConnectionError):
        breaker.call(bad)
    assert breaker.state is State.OPEN
    assert "hook" in caplog.text


def test_an_interrupt_in_a_hook_leaves_the_rest_to_be_told():
    """The next change tells what was not told."""
    told = []

    def hook(old, new):
        told.append(new)
        if len(told) == 1:
            raise KeyboardInterrupt

    breaker = CircuitBreaker(1, 10.0, on_change=hook, clock=(clock := VirtualClock()))
    with pytest.raises(KeyboardInterrupt):
        breaker.call(bad)
    clock.advance(10.0)
    breaker.call(good)
    assert told == [State.OPEN, State.HALF_OPEN, State.CLOSED]


# ── counters


def test_no_success_is_lost_between_threads():
    """Four threads count 4 × 5,000 successes without a lock."""
    breaker = CircuitBreaker(failure_rate=0.5)
    guarded = breaker(good)

    def many():
        for _ in range(5_000):
            guarded()

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert breaker.stats().successes == 20_000
    assert breaker.stats().successes == 20_000  # looking does not count


# ── against a model


class Model:
    """What a breaker should do, by its whole history: no deques, no flags, no eras."""

    def __init__(self, threshold, rate, window, probes, successes):
        self.threshold, self.rate, self.window = threshold, rate, window
        self.probes, self.successes = probes, successes
        self.state, self.turns = State.CLOSED, 0
        self.history = []  # (failed, when) of the calls that count in this state
        self.under_way, self.latest = set(), 0.0
        self.opened = 0.0
        self.late = 0

    def turn(self, state, now):
        self.state, self.turns, self.history = state, self.turns + 1, []
        self.under_way = set()
        self.opened = now

    def admit(self, call, now):
        """The turn in which it is let in, or None."""
        if self.state is State.OPEN and now - self.opened >= 10:
            self.turn(State.HALF_OPEN, now)
        if self.state is State.OPEN:
            return None
        if self.state is State.HALF_OPEN:
            if len(self.under_way) >= self.probes and now - self.latest < 10:
                return None
            self.under_way.add(call)
            self.latest = now
        return self.turns

    def end(self, call, turn, failed, now):
        """`failed` is None for a call that says nothing."""
        if turn != self.turns:
            self.late += failed is not None
            return
        self.under_way.discard(call)
        if failed is None:
            return
        self.history.append((failed, now))
        if self.state is State.HALF_OPEN:
            if failed:
                self.turn(State.OPEN, now)
            elif len(self.history) >= self.successes:
                self.turn(State.CLOSED, now)
        elif failed and self.too_many(now):
            self.turn(State.OPEN, now)

    def too_many(self, now):
        row = self.history[-(self.threshold or 99) :]
        in_a_row = len(row) == self.threshold and all(failed for failed, _ in row)
        last = [failed for failed, _ in self.history[-self.window :]]
        share = len(last) == self.window and sum(last) / self.window >= self.rate
        return (in_a_row and now - row[0][1] <= 60) or share


class AgainstTheModel(RuleBasedStateMachine):
    """Calls begin and end in any order, time passes, and the two agree on everything."""

    @initialize(
        threshold=st.sampled_from([1, 2, 3, 4, None]),
        rate=st.sampled_from([0.3, 0.5, 0.7, 1.0]),
        window=st.integers(2, 10),
        probes=st.integers(1, 3),
        successes=st.integers(1, 3),
    )
    def make(self, threshold, rate, window, probes, successes):
        self.clock, self.changes = VirtualClock(), []
        self.breaker = CircuitBreaker(
            threshold, 10, successes, failure_rate=rate, window=window, max_probes=probes,
            ignore=KeyError, clock=self.clock, on_change=lambda *news: self.changes.append(news),
        )  # fmt: skip
        self.model = Model(threshold, rate, window, probes, successes)
        self.calls = []  # (number, the breaker's era, the model's turn)
        self.number = self.ended = self.refused = 0

    @rule(times=st.integers(1, 3))
    def begin(self, times):
        for _ in range(times):
            self.number += 1
            turn = self.model.admit(self.number, self.clock())
            try:
                era = self.breaker.admit()
            except CircuitOpenError:
                assert turn is None
                self.refused += 1
            else:
                assert turn is not None
                self.calls.append((self.number, era, turn))

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 100), how=st.sampled_from(["good", "bad", "bad", "ignored", "stop"]))
    def end(self, which, how):
        number, era, turn = self.calls.pop(which % len(self.calls))
        self.ended += 1
        error = {"bad": OSError(), "ignored": KeyError(), "stop": KeyboardInterrupt()}.get(how)
        if error is None:
            self.breaker.succeeded(era)
        else:
            self.breaker.failed(era, error)
        failed = {"good": False, "bad": True}.get(how)
        self.model.end(number, turn, failed, self.clock())

    @rule(seconds=st.sampled_from([0.5, 5.0, 10.0, 61.0]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @invariant()
    def agree(self):
        stats = self.breaker.stats()
        assert self.breaker.state is self.model.state
        assert stats.successes + stats.failures + stats.ignored == self.ended
        assert stats.rejected == self.refused
        assert stats.late == self.model.late
        assert len(self.changes) == self.model.turns
        assert stats.trips == sum(new is State.OPEN for _, new in self.changes)


def test_it_agrees_with_a_simple_model():
    """Whatever calls do and whenever they end, states, refusals and counts are the model's."""
    run_state_machine_as_test(AgainstTheModel)
