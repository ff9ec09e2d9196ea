"""What must hold of a bounded `concurrent.futures.Executor` of threads.

Under test is `make(workers, queue_size)`, an Executor. The checks hold for the standard library's
too (`lambda workers, _: ThreadPoolExecutor(workers)`), but for what its queue without a bound, its
eager `map` and its waiting workers break.
"""

import threading
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import mapping, tasks
from perflab.contracts.parts.jobs import SOON, Gate, switch_often, until_refused
from perflab.contracts.parts.tasks import Make
from perflab.contracts.threads import Running, at_once, eventually

# what holds of its tasks
run_xor_cancel = tasks.run_xor_cancel
callback_while_ending = tasks.callback_while_ending
waited_for = tasks.waited_for
holds_nothing = tasks.holds_nothing


def _same(value: Any) -> Any:
    return value


@check(
    "a call that raises SystemExit ends its task, and no worker",
    "SystemExit and KeyboardInterrupt are no Exceptions. Catch BaseException, and keep it for "
    "whoever asks for the result.",
    may_hang=True,
)
def base_exception(make: Make) -> Evidence:
    pool, seen = make(1, 10), 0
    for error in (SystemExit(3), KeyboardInterrupt()):
        task = pool.submit(_raise, error)
        seen += task.exception(SOON) is error
    alive = pool.submit(_same, "alive").result(SOON)
    return Evidence(seen == 2 and alive == "alive", f"{seen} of 2 reach the caller; then: {alive}")


def _raise(error: BaseException) -> None:
    raise error


@check(
    "a callback that raises SystemExit stops neither others nor the worker",
    "Catch BaseException around each callback, in the worker.",
    may_hang=True,
)
def base_exception_in_callback(make: Make) -> Evidence:
    pool, gate = make(1, 10), Gate()
    called: list[int] = []
    task = pool.submit(gate, 0)
    task.add_done_callback(lambda _: _raise(SystemExit(3)))
    task.add_done_callback(lambda _: called.append(1))
    gate.open()
    next_one = pool.submit(_same, "alive")
    alive = eventually(next_one.done, SOON)
    found = f"{len(called)} of 1 other called; the worker {'lives' if alive else 'is gone'}"
    return Evidence(alive and len(called) == 1, found)


@check(
    "submit waits while all workers are busy and the queue is full",
    "A queue without a bound takes an overload and piles it up in memory.",
    may_hang=True,
)
def bounded(make: Make) -> Evidence:
    pool, gate = make(2, 5), Gate()
    taken: list[int] = []

    def submit_all() -> None:
        for number in range(500):
            pool.submit(gate, number)
            taken.append(number)

    submitter = Running(submit_all)
    eventually(lambda: submitter.ended or len(taken) >= 7, SOON)
    eventually(lambda: len(taken) > 7, 0.05)  # there is no eighth
    held = len(taken)
    gate.open()
    done = submitter.join()
    pool.shutdown()
    found = f"2 workers and a queue of 5 hold {held}"
    return Evidence(held == 7 and done, found if done else found + ", and submit never returns")


@check(
    "whoever waits for room gets in when there is some",
    "A worker that took a job before the submitter had lain down has nobody to wake: register "
    "first, and then look again whether there is room.",
    may_hang=True,
)
def room(make: Make) -> Evidence:
    pool, gate = make(2, 1), Gate()
    done: list[int] = []
    for _ in range(2):
        pool.submit(gate, 0)
    submitters = at_once(4, lambda _: [pool.submit(done.append, n) for n in range(100)])
    eventually(lambda: gate.inside == 2)
    gate.open()
    stuck = sum(not one.join(SOON) for one in submitters)
    if not stuck:
        pool.shutdown()
    return Evidence(not stuck and len(done) == 400, f"{stuck} of 4 wait, {len(done)} of 400 done")


@check(
    "jobs nested as deep as there are workers come to their end",
    "Every worker waits for a job that only they could begin. Whoever waits for a job that has "
    "not begun can run it.",
    may_hang=True,
)
def nested(make: Make) -> Evidence:
    workers = 3
    pool, barrier = make(workers, 10), threading.Barrier(workers)

    def parent(number: int) -> int:
        barrier.wait()  # from here on no worker is free
        child: int = pool.submit(pool.submit(_same, number).result).result()
        return child

    parents = [pool.submit(parent, number) for number in range(workers)]
    done = eventually(lambda: all(one.done() for one in parents), SOON)
    return Evidence(
        done, f"{sum(one.done() for one in parents)} of {workers} parents come to an end"
    )


@check(
    "a job may submit more than the queue holds",
    "A worker that waits for room waits for itself. It can run the job instead.",
    may_hang=True,
)
def nested_overflow(make: Make) -> Evidence:
    workers = 2
    pool, barrier = make(workers, 2), threading.Barrier(workers)
    done: list[int] = []

    def parent() -> None:
        barrier.wait()
        for number in range(50):
            pool.submit(done.append, number)

    for _ in range(workers):
        pool.submit(parent)
    eventually(lambda: len(done) == 100, SOON)
    return Evidence(len(done) == 100, f"{len(done)} of 100 jobs done")


# what holds of its map
map_is_lazy = mapping.map_is_lazy
map_left = mapping.map_left
map_in_order = mapping.map_in_order


@check(
    "what submit took while the pool shuts down is done",
    "Looking whether it is shut and then queueing leaves a gap. Look again after queueing.",
    may_hang=True,
)
def shutdown_races_submit(make: Make) -> Evidence:
    switch_often()
    rounds = [_shut_while_submitting(make) for _ in range(10)]
    taken, done = (sum(column) for column in zip(*rounds, strict=True))
    return Evidence(taken == done, f"{taken:,} taken, {done:,} done")


def _shut_while_submitting(make: Make) -> tuple[int, int]:
    pool, stopped = make(2, 1000), threading.Event()
    taken: list[int] = []
    ran: list[int] = []
    submit = until_refused(lambda number: pool.submit(ran.append, number), taken, stopped)
    submitters = [Running(submit) for _ in range(4)]
    eventually(lambda: len(taken) > 20)
    pool.shutdown()
    stopped.set()
    for submitter in submitters:
        submitter.result()
    return len(taken), len(ran)


@check(
    "a submit after shutdown is a RuntimeError",
    "So says the documentation of Executor.",
    may_hang=True,
)
def submit_after_shutdown(make: Make) -> Evidence:
    pool = make(1, 1)
    pool.shutdown()
    pool.shutdown()  # allowed
    try:
        pool.submit(_same, 1)
    except RuntimeError as error:
        return Evidence(True, type(error).__name__)
    return Evidence(False, "taken")


@check(
    "a pool that is dropped leaves no thread",
    "Threads that hold the pool keep it alive, and themselves. Let them hold what they share.",
    may_hang=True,
)
def dropped(make: Make) -> Evidence:
    before = set(threading.enumerate())
    ran: list[int] = []
    pool = make(3, 10)
    for number in range(10):
        pool.submit(ran.append, number)
    del pool
    eventually(lambda: set(threading.enumerate()) <= before, SOON)
    left = len(set(threading.enumerate()) - before)
    return Evidence(left == 0 and len(ran) == 10, f"{left} threads left, {len(ran)} of 10 done")
