"""Chapter 6, exercise 3: what its text promises of a pool, which no check of section 6.3 asks."""

from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.jobs import Gate, Job, Make, fill, rest, started
from perflab.contracts.threads import PATIENCE, Running, eventually


@check(
    "the end comes after the last result, and is told for ever",
    "receive gives (None, False) when the pool is stopped, all workers have ended and every result "
    "was given: not while one is still at a job, and not once only. It must reach a reader, too, "
    "who has been waiting since before the stop.",
    may_hang=True,
)
def _end(make: Make) -> Evidence:
    gate, got = Gate(), list[Any]()
    pool = started(make, 2, gate)
    for number in range(2):
        pool.submit(Job(number, number))
    eventually(lambda: gate.inside == 2)

    def read() -> None:
        for _ in range(5):
            got.append(pool.get_result().receive())

    reader, stopping = Running(read), Running(pool.stop)
    eventually(lambda: reader.ended or stopping.ended, 0.1)  # too early an end comes now
    gate.open()
    reader.join(PATIENCE / 2)
    flags = [there for _, there in got]
    found = f"{flags.count(True)} of 2 results, then {flags[2:].count(False)} of 3 times the end"
    return Evidence(flags == [True, True, False, False, False], found)


@check(
    "what stop hands back are the jobs that did not run",
    "Return a list of the jobs themselves, each that did not run, and none that did.",
    may_hang=True,
)
def _handed_back(make: Make) -> Evidence:
    gate = Gate()
    pool = fill(make, 2, gate)
    stopping = Running(pool.stop)
    eventually(lambda: stopping.ended, 0.1)
    gate.open()
    ran = [result.job_id for result in rest(pool)]
    back = list(stopping.result() or [])
    jobs = all(isinstance(one, Job) for one in back)
    twice = jobs and len({*ran, *(one.id for one in back)}) < len(ran) + len(back)
    what = ", some of them twice" if twice else "" if jobs else f", among them {back[0]!r}"
    return Evidence(jobs and not twice, f"{len(ran)} run, {len(back)} handed back{what}"[:80])


PROMISED = (_end, _handed_back)
