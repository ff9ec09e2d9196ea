"""What must hold of a worker pool that takes jobs and leaves results: it finishes what it took.

Under test is `make(workers, process)`, a pool with the guide's methods: `start()`, `submit(job)`,
`get_result()` with a `receive()` that returns (result, True) or, at the end, (None, False), and
`stop()`, which may return the jobs that it hands back. A job has `id` and `data`; a result
`job_id`, `data` and `error`. A submit that returns has taken its job; one that raises has not.
`on_jobs` makes such a pool of an Executor with a `stop`.

A check counts what was taken, what ran and what came out. Jobs wait at a gate, so that a pool is
stopped, filled or left in the very moment at which it fails.
"""

import threading
from functools import partial
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import stopping
from perflab.contracts.parts.jobs import (
    SOON,
    Gate,
    Job,
    Make,
    all_out,
    failing,
    fill,
    on_jobs,
    received,
    started,
)
from perflab.contracts.threads import PATIENCE, Running

__all__ = ["on_jobs"]


@check(
    "all workers work at once, and never more than that",
    "A worker takes the next job when it has left its result; one job at a time.",
    may_hang=True,
)
def all_at_work(make: Make) -> Evidence:
    gate = Gate()
    pool = fill(make, 4, gate)
    together = gate.inside
    gate.open()
    all_out(pool)
    return Evidence(together == gate.most == 4, f"{together} at once, at most {gate.most}, of 4")


@check(
    "100 jobs may be submitted before a result is read",
    "The results have a channel with room for 2 of each worker: when it is full the workers wait "
    "for a reader, the queue fills, and submit waits too. A result needs a place of its own.",
    may_hang=True,
)
def submit_all_then_read(make: Make) -> Evidence:
    pool, taken = started(make, 2, lambda data: data), []

    def submit_all() -> None:
        for number in range(100):
            pool.submit(Job(number, number))
            taken.append(number)

    submitter = Running(submit_all)
    if not submitter.join(SOON):
        return Evidence(False, f"{len(taken)} of 100 taken, then submit waits for ever")
    reader = received(pool, 100)  # before the stop: what that loses another check asks
    if not reader.join(SOON / 2):
        return Evidence(False, "100 of 100 taken, fewer results")
    results = sum(there for _, there in reader.result())
    return Evidence(results == 100, f"{results} results of 100 jobs")


# what holds when it is stopped
stop_loses_nothing = stopping.stop_loses_nothing
waiting_submit = stopping.waiting_submit
submit_after_stop = stopping.submit_after_stop
stop_races_submit = stopping.stop_races_submit
reader_leaves = stopping.reader_leaves


@check(
    "started twice, it is as if started once",
    "Each start makes workers, and one more that closes the results when they have ended: the "
    "second close panics. Refuse the second start, or ignore it.",
    may_hang=True,
)
def start_twice(make: Make) -> Evidence:
    before = set(threading.enumerate())
    panics: list[Any] = []
    threading.excepthook = panics.append  # in a child process: nobody else's
    pool = started(make, 8, lambda data: data)
    once = set(threading.enumerate()) - before
    try:
        pool.start()
    except Exception:
        return Evidence(True, "the second start is refused")
    twice = set(threading.enumerate()) - before
    all_out(pool)
    for thread in twice:
        thread.join(SOON)
    found = f"{len(twice)} threads instead of {len(once)}, {len(panics)} panics"
    return Evidence(once == twice and not panics, found)


@check(
    "a pool without workers is refused",
    "Nobody will ever take a job, and the first submit waits for ever. Raise ValueError.",
    may_hang=True,
)
def no_workers(make: Make) -> Evidence:
    for workers in (0, -1):
        try:
            pool = started(make, workers, lambda data: data)
        except ValueError:
            continue
        submitter = Running(partial(pool.submit, Job(1)))
        waits = "waits for ever" if not submitter.join(SOON) else "is taken"
        return Evidence(False, f"{workers} workers: made, and the first submit {waits}")
    return Evidence(True, "0 and -1 workers are refused")


def _after_failures(make: Make, kind: type[BaseException]) -> Evidence:
    """Two workers get a job each that raises, and then a good one."""
    threading.excepthook = lambda _: None  # in a child process: its words are not wanted
    pool = started(make, 2, failing(kind))
    for data in (None, None, "good"):
        pool.submit(Job(0, data))
    results = []
    for _ in range(3):
        got = Running(pool.get_result().receive)
        if not got.join(SOON) or not got.result()[1]:
            break
        results.append(got.result()[0])
    errors = sum(isinstance(result.error, kind) for result in results)
    good = any(result.data == "good" and result.error is None for result in results)
    found = f"{len(results)} of 3 jobs have a result, {errors} of 2 an error"
    return Evidence(good and errors == 2, found)


@check(
    "a job that raises is a result with its error, and ends no worker",
    "What a job raises ends the thread that runs it (in Go the whole process), and its job is in "
    "no result. Catch it, and put it into the result's error.",
    may_hang=True,
)
def job_raises(make: Make) -> Evidence:
    return _after_failures(make, ValueError)


@check(
    "a job that calls sys.exit ends no worker",
    "SystemExit is no Exception, only a BaseException, and so is KeyboardInterrupt.",
    may_hang=True,
)
def job_exits(make: Make) -> Evidence:
    return _after_failures(make, SystemExit)


@check(
    "jobs that submit jobs do not stop the pool for ever",
    "All workers wait for room in the queue that only they could make. A worker must not wait: let "
    "it run the job itself.",
    may_hang=True,
)
def nested(make: Make) -> Evidence:
    workers, children, barrier = 2, 6, threading.Barrier(2)
    pool: Any = None

    def process(data: Any) -> Any:
        if data == "parent":
            barrier.wait()  # from here on every worker is in a job
            for number in range(children):
                pool.submit(Job(number, "child"))
        return data

    pool = started(make, workers, process)
    expected = workers * (1 + children)
    reader = received(pool, expected)
    for number in range(workers):
        pool.submit(Job(number, "parent"))
    found = "all done" if reader.join(SOON) else "they wait for ever"
    return Evidence(reader.ended, f"{workers} workers, {expected} jobs: {found}")


@check(
    "submit waits while all workers are busy and the queue is full",
    "A queue without a bound takes an overload and piles it up in memory. Give it a size.",
    may_hang=True,
)
def bounded(make: Make) -> Evidence:
    gate, taken = Gate(), []
    pool = fill(make, 2, gate)

    def submit_all() -> None:
        for number in range(1000):
            pool.submit(Job(number, number))
            taken.append(number)

    submitter, seen, still = Running(submit_all), -1, 0
    while still < 20 and not submitter.ended:  # until it has stood still for 20 looks
        still = still + 1 if len(taken) == seen else 0
        seen = len(taken)
        threading.Event().wait(0.002)
    waiting = 4 + len(taken)
    results = received(pool, 1006)
    gate.open()
    done = results.join(PATIENCE)
    return Evidence(done and waiting < 100, f"{waiting:,} jobs wait while 2 are busy")
