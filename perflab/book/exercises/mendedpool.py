"""Chapter 6, exercise 3: what its text promises of a pool, which no check of section 6.3 asks."""

from functools import partial
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.jobs import Gate, Job, Make, fill, rest, started
from perflab.contracts.threads import PATIENCE, Running, eventually

TOO_EARLY = 0.05  # seconds in which an end that comes too early has come


@check(
    "the end comes after the last result, and is told for ever",
    "receive gives (None, False) when the pool is stopped, all workers have ended and every result "
    "was given: not while one is still at a job, and not once only. It must reach a reader, too, "
    "who has been waiting since before the stop.",
    may_hang=True,
)
def _end(make: Make) -> Evidence:
    gates, got = (Gate(), Gate()), list[Any]()
    pool = started(make, 2, lambda number: gates[number](number))
    for number in range(2):
        pool.submit(Job(number, number))
    eventually(lambda: all(gate.inside for gate in gates))

    def read() -> None:
        for _ in range(5):
            got.append(pool.get_result().receive())

    reader, stopping = Running(read), Running(pool.stop)
    eventually(lambda: stopping.ended, TOO_EARLY)
    for number, gate in enumerate(gates):
        more = partial(_longer, got, number)
        eventually(more, TOO_EARLY)  # there is nothing more yet
        gate.open()
        eventually(more, PATIENCE / 4)
    reader.join(PATIENCE / 4)
    flags = [there for _, there in got]
    found = f"{flags.count(True)} of 2 results, then {flags[2:].count(False)} of 3 times the end"
    return Evidence(flags == [True, True, False, False, False], found)


def _longer(got: list[Any], length: int) -> bool:
    return len(got) > length


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
    odd = [one for one in back if not isinstance(one, Job)]
    twice = not odd and len({*ran, *(one.id for one in back)}) < len(ran) + len(back)
    what = ", some of them twice" if twice else f", among them {odd[0]!r}" if odd else ""
    return Evidence(not odd and not twice, f"{len(ran)} run, {len(back)} handed back{what}"[:80])


PROMISED = (_end, _handed_back)
