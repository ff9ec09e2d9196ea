"""A balancer and its servers as a simulation: who gets the next job, and how long it waits.

Each server works on one job at a time, first come, first served. What the balancer knows of a
server is how many jobs it has there. Policies: Mitzenmacher, «The Power of Two Choices in
Randomized Load Balancing», IEEE TPDS 12(10), 2001.
"""

import heapq
import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perflab.errors import require

Floats = NDArray[np.float64]
Chooser = Iterator[int]


def at_random(jobs: list[int], rng: random.Random) -> Chooser:
    while True:
        yield int(rng.random() * len(jobs))


def round_robin(jobs: list[int], rng: random.Random) -> Chooser:
    while True:
        yield from range(len(jobs))


def two_choices(jobs: list[int], rng: random.Random) -> Chooser:
    """Of two different ones drawn at random, the one with fewer jobs."""
    servers = len(jobs)
    while True:
        one, other = int(rng.random() * servers), int(rng.random() * (servers - 1))
        other += other >= one
        yield one if jobs[one] <= jobs[other] else other


def least_connections(jobs: list[int], rng: random.Random) -> Chooser:
    """The one with the fewest jobs; of several such, the first after a place drawn at random."""
    while True:
        least = 0 if 0 in jobs else min(jobs)
        start = int(rng.random() * len(jobs))
        try:
            yield jobs.index(least, start)
        except ValueError:
            yield jobs.index(least)


POLICIES: dict[str, Callable[[list[int], random.Random], Chooser]] = {
    "random": at_random,
    "round robin": round_robin,
    "two choices": two_choices,
    "least connections": least_connections,
}


def responses(
    arrivals: ArrayLike, service: Sequence[ArrayLike], policy: str, seed: int = 1
) -> Floats:
    """Response time of each job. `arrivals` ascend; `service` has for each server the times that
    its jobs take, one after the other, and again from the first when all are used up.

    ValueError for a policy that is not known and for no servers.
    """
    require(policy in POLICIES, "policy", policy, f"one of {', '.join(POLICIES)}")
    require(len(service) > 1, "service", len(service), "two servers or more")
    times = [np.asarray(one, float).tolist() for one in service]
    jobs, done, free = [0] * len(times), [0] * len(times), [0.0] * len(times)
    choose = POLICIES[policy](jobs, random.Random(seed))
    leaving: list[tuple[float, int]] = []
    found = []
    for now in np.asarray(arrivals, float).tolist():
        while leaving and leaving[0][0] <= now:
            jobs[heapq.heappop(leaving)[1]] -= 1
        server = next(choose)
        takes = times[server][done[server] % len(times[server])]
        free[server] = max(now, free[server]) + takes
        done[server] += 1
        jobs[server] += 1
        heapq.heappush(leaving, (free[server], server))
        found.append(free[server] - now)
    return np.array(found)


def simulated(
    policy: str, load: float, slowness: Sequence[float], jobs: int = 8_000, seed: int = 1
) -> Floats:
    """Response times at servers whose mean service time is their `slowness`, exponential, with
    Poisson arrivals that ask for so much of all capacity."""
    require(0 < load < 1, "load", load, "above 0 and below 1")
    capacity = sum(1 / slow for slow in slowness)
    gaps = np.random.default_rng([seed, 1]).exponential(1 / (load * capacity), jobs)
    draw, each = np.random.default_rng([seed, 2]), 100 + 3 * jobs // len(slowness)
    service = [slow * draw.exponential(size=each) for slow in slowness]
    return responses(np.cumsum(gaps), service, policy, seed)


def mean_response(
    policy: str, load: float, slowness: Sequence[float], jobs: int = 8_000, seed: int = 1
) -> float:
    """The mean of `simulated`, the first tenth left out."""
    return float(simulated(policy, load, slowness, jobs, seed)[jobs // 10 :].mean())
