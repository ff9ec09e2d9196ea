"""Exercise 10.3: a balancer for one slow server, judged by simulation."""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried

SERVERS, JOBS = 4, 6_000
TOO_MANY = (
    "One server is ten times as slow, and it is much worse than fewest jobs first: the slow one "
    "gets more jobs than it can do. To try it, one job in fifty or a hundred is enough."
)


class _Least:
    """Who has the fewest jobs: what an answer is compared with."""

    def __init__(self, servers: int) -> None:
        self._rng = random.Random(1)

    def choose(self, jobs: Sequence[int]) -> int:
        return min(range(len(jobs)), key=lambda server: (jobs[server], self._rng.random()))

    def ended(self, server: int, seconds: float) -> None:
        pass


@dataclass(frozen=True)
class _Balanced:
    mean: float
    late_share: float  # of the slow one, among the last quarter of the jobs


def _balanced(make: Any, slow: float, seed: int, heals: bool = False) -> _Balanced:
    """Four servers, one of them so many times as slow, until half-time where it heals. ValueError
    where a choice is no server."""
    rng, patient = np.random.default_rng([seed, 7]), seed % SERVERS
    capacity = SERVERS - 1 + 1 / slow
    arrivals = np.cumsum(rng.exponential(1 / (0.7 * capacity), JOBS)).tolist()
    work = rng.exponential(size=JOBS).tolist()
    one, jobs, free = make(SERVERS), [0] * SERVERS, [0.0] * SERVERS
    leaving: list[tuple[float, int, float]] = []
    waits, chosen = [], []
    for number, (now, takes) in enumerate(zip(arrivals, work, strict=True)):
        while leaving and leaving[0][0] <= now:
            _, server, seconds = heapq.heappop(leaving)
            jobs[server] -= 1
            one.ended(server, seconds)
        server = one.choose(tuple(jobs))
        if not isinstance(server, int | np.integer) or not 0 <= server < SERVERS:
            raise ValueError(f"choose returned {server!r}, not a number from 0 to {SERVERS - 1}")
        ill = server == patient and not (heals and number >= JOBS / 2)
        free[server] = max(now, free[server]) + takes * (slow if ill else 1.0)
        jobs[server] += 1
        heapq.heappush(leaving, (free[server], int(server), free[server] - now))
        waits.append(free[server] - now)
        chosen.append(server)
    late = np.array(chosen[-JOBS // 4 :]) == patient
    return _Balanced(float(np.mean(waits[JOBS // 10 :])), float(late.mean()))


def _balancer(answer: Answer) -> Judgement:
    if not isinstance(answer, type):  # a function: whatever it does comes through here
        answer(SERVERS)
    answer(SERVERS).choose((0,) * SERVERS)  # and what a stub raises here
    seeds, tried = (1, 2, 3, 4), list[Tried]()
    for slow, most, hint in (
        (1.0, 1.25, "Four servers alike, and it is much worse than fewest jobs first: look at the "
                    "jobs that each one has, too. And one long job makes no slow server."),
        (10.0, 0.9, "One server is ten times as slow, and its job count does not say so: one job "
                    "there takes as long as ten. Learn from `ended` how long each one takes, and "
                    "weigh its jobs with that."),
    ):  # fmt: skip
        theirs, ours = (
            [_balanced(make, slow, seed).mean for seed in seeds] for make in (_Least, answer)
        )
        ratio = sum(ours) / sum(theirs)
        name = "four alike" if slow == 1 else "one ten times as slow"
        tried.append((f"{name}: mean, ÷ fewest jobs first", ratio <= most, f"{ratio:.2f} ≤ {most}"))
        if ratio > max(most, 1.25):  # it knows of the jobs, and the slow one gets too many
            hint = TOO_MANY if slow > 1 else hint
        if ratio > most:
            return Judgement("wrong", hint, tuple(tried))
    share = min(_balanced(answer, 10.0, seed, heals=True).late_share for seed in seeds)
    tried.append(("healed: share of the jobs that it gets", share >= 0.1, f"{share:.0%} ≥ 10 %"))
    if share < 0.1:
        hint = "The slow server was well again at half-time, and hardly gets a job: who is never "
        hint += "asked cannot show it. Ask it now and then."
        return Judgement("wrong", hint, tuple(tried))
    return Judgement("right", "It knows who is slow, and asks again.", tuple(tried), ratio)


EXERCISE = Exercise("Exercise 3, a balancer for one slow server", _balancer)
