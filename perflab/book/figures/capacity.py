"""Chapter 10's figures of many servers and many users. Titles are computed from the results."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.experiments.balanced import Live
from perflab.experiments.balancing import POLICIES, mean_response, simulated
from perflab.experiments.scaling import Law, Steps

LOADS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
ALIKE, ONE_SLOW = (1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 3.0)  # mean service times


def policies(ch: Chapter) -> None:
    """10.6: simulated mean response by load, four equal servers, and with one slow among them."""
    lines = {
        servers: {
            policy: (LOADS, [mean_response(policy, load, servers) for load in LOADS])
            for policy in POLICIES
        }
        for servers in (ALIKE, ONE_SLOW)
    }
    at = LOADS.index(0.7)
    alike, slow = (
        {policy: line[1][at] for policy, line in lines[servers].items()}
        for servers in (ALIKE, ONE_SLOW)
    )
    ch.figure(
        "10.6",
        "Round robin ÷ least connections at 70 % load: "
        f"{alike['round robin'] / alike['least connections']:.1f} with four alike, "
        f"{slow['round robin'] / slow['least connections']:,.0f} with one slow",
        "load (share of the capacity of all servers)",
        [
            Panel("mean response, four\nalike (service times)", lines[ALIKE], log=True, height=1.2),
            Panel("mean response, one\nthree times as slow", lines[ONE_SLOW], log=True, height=1.2),
        ],
    )


def held_against(live: Mapping[str, Live]) -> pd.DataFrame:
    """10.6: the live runs beside their simulation."""
    rows = {}
    for policy, one in live.items():
        low, high = one.between
        rows[policy] = {
            "jobs at each server, the slow one last": ", ".join(map(str, one.shares)),
            "mean response, live (ms)": f"{1e3 * one.mean:.0f}",
            "simulated (ms)": f"{1e3 * low:.0f}–{1e3 * high:.0f}",
            "live ÷ simulated": f"{one.mean / one.simulated.mean():.2f}",
            "agrees": "yes" if one.agrees else "no",
        }
    return pd.DataFrame(rows).T


def many_servers(servers: int, jobs: int = 300, load: float = 0.9) -> pd.DataFrame:
    """10.6: mean response at so many servers, of each server's second and third hundred jobs."""
    rows = {}
    for policy in POLICIES:
        thirds = (
            simulated(policy, load, [1.0] * servers, servers * jobs).reshape(3, -1).mean(axis=1)
        )
        rows[policy] = {
            f"jobs {jobs // 3 + 1}–{2 * jobs // 3} of each server": f"{thirds[1]:.2f}",
            f"jobs {2 * jobs // 3 + 1}–{jobs}": f"{thirds[2]:.2f}",
        }
    return pd.DataFrame(rows).T.rename_axis("mean response (service times)")


def extrapolated(ch: Chapter, steps: Steps, laws: Mapping[str, Law]) -> None:
    """10.7: measured throughput, laws fitted to its beginning, and the bound of the processor."""
    last, n = steps.clients[-1], np.geomspace(1, steps.clients[-1], 60)
    told = ", ".join(f"{law(last):,.0f} ({name})" for name, law in laws.items())
    slowest, demand = max(steps.demand.items(), key=lambda one: one[1])
    ch.figure(
        "10.7",
        f"{last} clients, pages a second: {steps.throughput[-1]:,.0f} measured, {told}",
        "clients",
        [
            Panel(
                "pages a second",
                {
                    "measured": (steps.clients, steps.throughput),
                    **{name: (n, law(n)) for name, law in laws.items()},
                },
                points=["measured"],
                marks={f"one core of {slowest}": 1 / demand},
                height=2,
            ),
        ],
        x_log=True,
    )


def missed(steps: Steps, laws: Mapping[str, Law]) -> Sequence[float]:
    """10.7: what each law says of the last run, ÷ what was measured."""
    return [float(law(steps.clients[-1]) / steps.throughput[-1]) for law in laws.values()]
