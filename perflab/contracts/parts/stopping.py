"""What must hold of a worker pool when it is stopped; part of the worker pool's contract."""

import threading
import time

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.jobs import (
    SOON,
    Gate,
    Job,
    Make,
    all_out,
    rest,
    started,
    stop_when_full,
    switch_often,
    until_refused,
)
from perflab.contracts.threads import Running, eventually


@check(
    "what was taken before stop is in the results, or handed back",
    "A worker that finds both a job and the stop takes either. Stop takes no more jobs, but the "
    "queue is emptied: by the workers, or by stop, which returns what it found there.",
    may_hang=True,
)
def stop_loses_nothing(make: Make) -> Evidence:
    pool, stopping, late = stop_when_full(make, Gate())
    ran = {result.job_id for result in rest(pool)}
    handed_back = len(stopping.result() or [])
    late.join()
    out = len(ran) + handed_back
    taken = 12 + (99 in ran or out > 12)  # what became of the waiting one another check asks
    lost = taken - out
    found = f"{taken} taken, {len(ran)} run, {handed_back} handed back, {lost} lost"
    return Evidence(lost == 0, found)


@check(
    "a submit that waits while the pool stops is refused, or done",
    "It returns as if the job had been taken, when it was not. Raise an error.",
    may_hang=True,
)
def waiting_submit(make: Make) -> Evidence:
    pool, stopping, late = stop_when_full(make, Gate())
    results = rest(pool)
    handed_back = len(stopping.result() or [])
    late.join()
    taken = 12 + (late.error is None)
    out = len(results) + handed_back
    said = "taken" if late.error is None else "refused"
    return Evidence(out == taken, f"{said}; {taken} taken, {out} run or handed back")


@check(
    "a submit after stop is refused",
    "It returns as if the job had been taken, or waits for room, and nobody is there to run it. "
    "Raise an error.",
    may_hang=True,
)
def submit_after_stop(make: Make) -> Evidence:
    pool, tried, refused = started(make, 4, lambda data: data), 0, 0
    all_out(pool)
    end = time.monotonic() + SOON  # for a pool that takes its time to refuse
    while tried < 1000 and time.monotonic() < end:
        try:
            pool.submit(Job(tried, tried))
        except Exception:
            refused += 1
        tried += 1
    return Evidence(refused == tried, f"{tried - refused:,} of {tried:,} return as if taken")


@check(
    "submits that race a stop are refused, or done",
    "Looking whether the pool is stopped and then queueing leaves a gap in which it stops. Do "
    "both under the lock, or look again after queueing.",
    may_hang=True,
)
def stop_races_submit(make: Make) -> Evidence:
    switch_often()
    rounds = [_race(make) for _ in range(10)]
    taken, out = (sum(column) for column in zip(*rounds, strict=True))
    return Evidence(out == taken, f"{taken:,} taken, {out:,} run or handed back")


def _race(make: Make) -> tuple[int, int]:
    """Four submit until they are refused, and amidst that it is stopped: taken, and accounted."""
    pool, stopped = started(make, 2, lambda data: data), threading.Event()
    taken: list[int] = []
    reader = Running(lambda: rest(pool))
    submit = until_refused(lambda number: pool.submit(Job(number, number)), taken, stopped)
    submitters = [Running(submit) for _ in range(4)]
    eventually(lambda: len(taken) > 20)
    handed_back = pool.stop() or []
    stopped.set()
    for submitter in submitters:
        submitter.result()
    return len(taken), len(reader.result()) + len(handed_back)


@check(
    "stop ends the workers although nobody reads the results",
    "A worker that waits for a reader does not hear the stop: it is left for ever. No worker may "
    "wait for a reader.",
    may_hang=True,
)
def reader_leaves(make: Make) -> Evidence:
    before = set(threading.enumerate())
    pool = started(make, 4, lambda data: data)
    for number in range(20):  # as many as the guide's pool takes
        pool.submit(Job(number, number))
    stopping = Running(pool.stop)
    eventually(lambda: set(threading.enumerate()) <= before, SOON)
    left = len([one for one in threading.enumerate() if one not in before])
    return Evidence(left == 0 and stopping.ended, f"{left} threads left after stop")
