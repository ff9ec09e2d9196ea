"""A bulkhead: what no contract can ask of any, on both paths."""

import asyncio
import gc
import os
import signal
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from perflab.contracts import bulkhead as contract
from perflab.contracts import judge, slots
from perflab.contracts.bulkhead import guide_style
from perflab.contracts.parts.work import in_line, pass_through
from perflab.contracts.threads import Running, eventually
from perflab.errors import BulkheadFullError
from perflab.measure import run_virtual
from perflab.patterns import Bulkhead
from perflab.patterns import bulkhead as module
from perflab.patterns.parts.line import Line, ThreadWaiter


@pytest.fixture(autouse=True, params=[True, False], ids=["gil", "locked"])
def lock_free(request, monkeypatch):
    """Each test runs on both paths."""
    monkeypatch.setattr(module, "_LOCK_FREE", request.param)
    return request.param


def test_the_contracts_hold_on_both_paths():
    """With the lock everywhere it does the same as without."""
    for one, thing in ((contract, guide_style(Bulkhead)), (slots, Bulkhead)):
        assert not [what for what, seen in judge(one, thing).items() if not seen.holds]


def test_counters_tell_who_entered_waited_and_was_refused():
    """Two at once, one from the line, two refused."""
    bulkhead, refusing = Bulkhead(2), Bulkhead(1, 0)
    with bulkhead, bulkhead:
        waiting = in_line(bulkhead, lambda: pass_through(bulkhead))
        stats = bulkhead.stats()
        assert (stats.in_use, stats.waiting, stats.entered) == (2, 1, 2)
    waiting.result()
    stats = bulkhead.stats()
    assert (stats.in_use, stats.waiting, stats.entered, stats.waited) == (0, 0, 3, 1)
    with refusing:
        for _ in range(2):
            with pytest.raises(BulkheadFullError, match="all 1 slots were held"):
                refusing.call(print)
    assert (refusing.stats().rejected, refusing.stats().entered) == (2, 1)


def test_a_call_returns_and_raises_what_it_calls():
    """Its slot is free afterwards, however it ends, and nonsense is named."""
    bulkhead = Bulkhead(1, 0)
    assert bulkhead.call(divmod, 7, 2) == (3, 1)
    assert bulkhead.call(dict, a=1) == {"a": 1}
    with pytest.raises(ZeroDivisionError):
        bulkhead.call(divmod, 1, 0)
    with pytest.raises(TypeError, match="unsupported operand"):
        bulkhead.call(divmod, 1, "x")
    with pytest.raises(ValueError, match="fn=None"):
        bulkhead.call(None)
    assert bulkhead.stats().in_use == 0


def test_a_call_within_a_call_takes_a_second_slot():
    """With one slot it is refused and not waited for in vain."""
    assert Bulkhead(2, 0).call(lambda: 1) == 1
    two, one = Bulkhead(2, 0), Bulkhead(1, 0)
    assert two.call(two.call, lambda: "inner") == "inner"
    with pytest.raises(BulkheadFullError):
        one.call(one.call, lambda: "inner")


def test_max_wait_0_does_not_wait_in_a_task_either():
    """It is refused before any other task has had its turn."""
    bulkhead = Bulkhead(1, 0)

    async def main():
        turns = []
        async with bulkhead:
            asyncio.get_running_loop().call_soon(turns.append, 1)
            with pytest.raises(BulkheadFullError):
                async with bulkhead:
                    pass
            assert not turns

    run_virtual(main())


# ── interrupts


def test_a_keyboard_interrupt_in_line_leaves_nothing():
    """The main thread waits; control-C takes it out of the line."""
    bulkhead = Bulkhead(1)

    def interrupt():
        eventually(lambda: bulkhead.stats().waiting == 1)
        os.kill(os.getpid(), signal.SIGINT)

    bulkhead.__enter__()
    interrupting = Running(interrupt)
    with pytest.raises(KeyboardInterrupt):
        bulkhead.call(print)
    interrupting.result()
    bulkhead.__exit__(None, None, None)
    stats = bulkhead.stats()
    assert (stats.in_use, stats.waiting, stats.rejected) == (0, 0, 0)


def test_an_interrupt_just_after_a_hand_off_passes_the_slot_on(monkeypatch):
    """It had its slot, and the next in line gets it."""
    bulkhead = Bulkhead(1)
    bulkhead.__enter__()

    def sleep(waiter, seconds):
        bulkhead.__exit__(None, None, None)
        assert waiter.served
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadWaiter, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        pass_through(bulkhead)
    assert bulkhead.stats().in_use == 0


def test_an_interrupt_before_it_stands_in_line_leaves_nothing(monkeypatch):
    """Then there is nothing to leave."""
    bulkhead = Bulkhead(1)

    def join(waiter):
        raise KeyboardInterrupt

    monkeypatch.setattr(bulkhead._line, "join", join)
    with bulkhead._line.lock:
        bulkhead._free.pop()
    with pytest.raises(KeyboardInterrupt):
        pass_through(bulkhead)
    bulkhead._line.give_back()
    assert bulkhead.stats().in_use == bulkhead.stats().waiting == 0


def test_a_forgotten_generator_frees_its_slot():
    """Its block ends when the collector closes it, also under the line's own lock."""
    bulkhead = Bulkhead(1)

    def block():
        with bulkhead:
            yield

    items = block()
    next(items)
    waiting = in_line(bulkhead, lambda: pass_through(bulkhead))
    with bulkhead._line.lock:
        del items
        gc.collect()
    waiting.result()
    assert bulkhead.stats().in_use == 0


def test_the_collector_may_serve_the_line_while_a_thread_is_at_it():
    """A slot that was freed for somebody who has just been served is free for the next."""

    class Free(deque):
        def pop(self):
            super().pop()
            if not nested:
                nested.append(True)
                line.give_back()

    nested, line, waiter = [], Line(0, careful=False), ThreadWaiter()
    line.free = Free([None])
    assert line.join(waiter)
    assert (len(line.free), len(line.waiting), line.served) == (1, 0, 1)


# ── tasks


def test_a_task_of_a_closed_loop_is_passed_over():
    """It stands in line for ever; the slot goes to the next."""
    bulkhead = Bulkhead(1)
    bulkhead.__enter__()
    loop = asyncio.new_event_loop()

    async def call():
        async with bulkhead:
            pass

    task = loop.create_task(call())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    waiting = in_line(bulkhead, lambda: pass_through(bulkhead))
    bulkhead.__exit__(None, None, None)
    waiting.result()
    assert bulkhead.stats().in_use == 0
    task._log_destroy_pending = False  # it was meant to be


def test_work_that_is_cancelled_holds_its_slot_until_it_has_cleaned_up():
    """Its caller hears at once; the next call begins when the clean-up is over."""
    bulkhead = Bulkhead(1)

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(5)

    async def main():
        clock = asyncio.get_running_loop().time
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await bulkhead.run(work)
        assert clock() == pytest.approx(1)
        async with bulkhead:
            assert clock() == pytest.approx(6)

    run_virtual(main())


def test_run_returns_and_raises_what_it_runs():
    """A coroutine function by itself, any function in an executor."""
    bulkhead = Bulkhead(1, 0)

    async def double(number):
        return 2 * number

    async def main(executor):
        assert await bulkhead.run(double, 21) == 42
        assert await bulkhead.run(divmod, 7, 2, executor=executor) == (3, 1)
        with pytest.raises(TypeError):
            await bulkhead.run(double)
        with pytest.raises(ZeroDivisionError):
            await bulkhead.run(divmod, 1, 0, executor=executor)

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(main(executor))
    assert bulkhead.stats().in_use == 0


def test_threads_serve_tasks_and_tasks_threads():
    """A slot freed in a thread wakes the loop that its next owner runs in."""
    bulkhead, gate = Bulkhead(1), threading.Event()

    async def call():
        async with bulkhead:
            return "task"

    def held():
        with bulkhead:
            gate.wait()

    holding = Running(held)
    eventually(lambda: bulkhead.stats().in_use == 1)
    waiting = in_line(bulkhead, lambda: asyncio.run(call()))
    last = in_line(bulkhead, lambda: bulkhead.call(lambda: "thread"))
    gate.set()
    holding.result()
    assert (waiting.result(), last.result()) == ("task", "thread")
