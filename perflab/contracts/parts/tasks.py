"""What must hold of an Executor's tasks; part of its contract."""

import weakref
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, as_completed, wait
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.jobs import SOON, Gate, switch_often
from perflab.contracts.threads import PATIENCE, at_once, eventually

Make = Callable[[int, int], Executor]


@check(
    "a task is run or cancelled, never both and never neither",
    "Who takes a task must take it alone: a worker that looks whether it is cancelled and then "
    "runs it leaves a gap in which it is cancelled.",
    may_hang=True,
)
def run_xor_cancel(make: Make) -> Evidence:
    switch_often()
    rounds = [_cancel_while_running(make) for _ in range(10)]
    cancelled, wrong = (sum(column) for column in zip(*rounds, strict=True))
    return Evidence(wrong == 0, f"{cancelled} of 1,000 cancelled, {wrong} both, or neither")


def _cancel_while_running(make: Make) -> tuple[int, int]:
    """Of 100 tasks every second is cancelled, twice at once, while they begin."""
    ran: list[int] = []
    pool, gate = make(2, 200), Gate()
    for _ in range(2):
        pool.submit(gate, 0)
    tasks = [pool.submit(ran.append, number) for number in range(100)]

    def cancel(number: int) -> dict[int, bool]:
        if number == 0:
            gate.open()
            return {}
        return {n: tasks[n].cancel() for n in range(0, 100, 2)}

    said = [one.result() for one in at_once(3, cancel)]
    pool.shutdown()
    gone = [task.cancelled() for task in tasks]
    wrong = sum(gone[n] + ran.count(n) != 1 for n in range(100))
    wrong += sum(answers.get(n, gone[n]) != gone[n] for answers in said for n in range(100))
    return sum(gone), wrong


@check(
    "a callback added while the task ends is called, and once",
    "Looking whether it has ended and then adding leaves a gap in which it ends. Add first and "
    "look again, or do both under the lock under which it ends.",
    may_hang=True,
)
def callback_while_ending(make: Make) -> Evidence:
    switch_often()
    pool = make(1, 10)
    for number in range(50):
        if not _called_once(pool):
            return Evidence(False, f"task {number + 1} called back too often or too rarely")
    pool.shutdown()
    return Evidence(True, "50 tasks, each called back once by each")


def _called_once(pool: Executor) -> bool:
    gate, called = Gate(), Counter[int]()
    task = pool.submit(gate, 0)

    def add(number: int) -> None:
        if number == 0:
            gate.open()
        else:
            task.add_done_callback(lambda _: called.update([number]))

    for adder in at_once(3, add):
        adder.result()
    task.result(PATIENCE)
    return eventually(lambda: called == {1: 1, 2: 1}, SOON)


@check(
    "wait and as_completed see its tasks end",
    "They ask for _condition, _state and _waiters of a Future.",
    may_hang=True,
)
def waited_for(make: Make) -> Evidence:
    pool, gate = make(2, 10), Gate()
    calls: list[Callable[[Any], Any]] = [gate, len, abs, abs]  # `len(0)` raises
    tasks = [pool.submit(call, 0) for call in calls]
    tasks[3].cancel()
    seen = 0
    for task in as_completed(tasks, timeout=SOON):
        seen += task.done()
        if seen == 3:
            gate.open()
    over = wait(tasks, timeout=SOON)
    pool.shutdown()
    return Evidence(seen == len(over.done) == 4, f"{seen} of 4 seen to end")


class _Thing(list[int]):
    """Something of which a weak reference tells whether anybody still holds it."""


@check(
    "nothing is kept of a task that has ended and is forgotten",
    "A worker that waits for its next task must not hold the last one, nor what it was given.",
    may_hang=True,
)
def holds_nothing(make: Make) -> Evidence:
    with make(2, 10) as pool:
        kept = [_kept(pool, work) for work in (len, _raise_with)]
    return Evidence(not any(kept), f"{sum(kept)} of 2 arguments still held")


def _kept(pool: Executor, work: Callable[[_Thing], Any]) -> bool:
    thing = _Thing()
    reference = weakref.ref(thing)
    task = pool.submit(work, thing)
    wait([task])
    del thing, task
    return not eventually(lambda: reference() is None)


def _raise_with(thing: _Thing) -> None:
    raise OSError(repr(thing))
