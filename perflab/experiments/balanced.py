"""Three live servers, one of them slow, behind nginx; and the same as a simulation."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perflab.experiments.balancing import responses
from perflab.systems import LoadResult, Open, Trace, balancer, run_load, webapp

Floats = NDArray[np.float64]
SERVICE_MS = (20.0, 20.0, 60.0)  # mean, exponential, one job at a time: 117 jobs a second in all
RATE = 80.0  # of which round robin gives 26.7 a second to the slow one, that can do 16.7
DRAWS = 20


@dataclass(frozen=True)
class Live:
    """A run behind the balancer, the mean response of the same arrivals in each of DRAWS
    simulations, and the jobs that each server got."""

    run: LoadResult
    simulated: Floats
    shares: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Seconds."""
        return float(self.run.response_time[self.run.ok].mean())

    @property
    def between(self) -> tuple[float, float]:
        """Where nine of ten simulations lie, in seconds."""
        low, high = np.percentile(self.simulated, [5, 95])
        return float(low), float(high)

    @property
    def agrees(self) -> bool:
        """Whether the live mean lies there, or within a tenth of it."""
        low, high = self.between
        return low / 1.1 <= self.mean <= 1.1 * high


def balanced(policies: Sequence[str], seconds: float = 2.5) -> dict[str, Live]:
    """Each policy for so many seconds. The simulation is fed with the service times that each
    server showed meanwhile, in their order, and with what a request took besides."""
    found = {}
    with ExitStack() as stack:
        apps = [
            stack.enter_context(webapp(slots=1, service_ms=ms, service="exponential", seed=seed))
            for seed, ms in enumerate(SERVICE_MS, start=1)
        ]
        for number, policy in enumerate(policies):
            for app in apps:
                app.reset_trace()
            with balancer(apps, policy=policy) as front:
                run = run_load(
                    front, Open(RATE, seconds, "poisson"), route="/pay", seed=number, grace=5.0,
                    timeout=60.0,
                )  # fmt: skip
            found[policy] = _held_against(run, [app.trace() for app in apps], policy)
    return found


def _held_against(run: LoadResult, traces: Sequence[Trace], policy: str) -> Live:
    """The run, and what the simulation makes of its arrivals and service times."""
    at_servers = np.concatenate([trace.response for trace in traces])
    besides = float(run.response_time[run.ok].mean() - at_servers.mean())
    service = [trace.holding for trace in traces]
    means = [
        responses(run.intended_start, service, policy, seed).mean() + besides
        for seed in range(DRAWS)
    ]
    return Live(run, np.array(means), tuple(len(trace) for trace in traces))
