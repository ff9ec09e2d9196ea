"""Throughput by the number of clients, a model fitted to it, and bounds by arithmetic.

The model is the universal scalability law, X(n) = λn ÷ (1 + σ(n − 1) + κn(n − 1)): Gunther,
«Guerrilla Capacity Planning» (2007). The bounds are those of Denning and Buzen, «The Operational
Analysis of Queueing Network Models» (1978): no station works more than all the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from perflab.errors import require
from perflab.experiments.shopfixes import path_of
from perflab.experiments.shopload import GZIP, taking
from perflab.systems import Closed, LoadResult, Route, run_load

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """The universal scalability law with its three parameters."""

    rate: float  # λ, of one client alone
    contention: float  # σ
    coherence: float  # κ

    def __call__(self, clients: ArrayLike) -> Floats:
        n = np.asarray(clients, float)
        slowed = 1 + self.contention * (n - 1) + self.coherence * n * (n - 1)
        found: Floats = np.divide(self.rate * n, slowed)
        return found


def fitted(clients: ArrayLike, throughput: ArrayLike) -> Law:
    """The law that fits best, by least squares on n ÷ X(n), which is linear in what is sought.

    A parameter below 0 means nothing and is set to 0, and the others are fitted again.
    """
    n, x = np.asarray(clients, float), np.asarray(throughput, float)
    require(len(n) == len(x) >= 3, "clients", len(n), "as long as throughput, three or more")
    require(bool(np.all(x > 0)), "throughput", x, "above 0 everywhere")
    terms = np.array([np.ones_like(n), n - 1, n * (n - 1)]).T
    used = [0, 1, 2]
    while True:
        found, *_ = np.linalg.lstsq(terms[:, used], n / x, rcond=None)
        if np.all(found[1:] >= 0) or used == [0]:
            break
        used.remove(used[1 + int(np.argmin(found[1:]))])
    base, *rest = (dict(zip(used, found, strict=True)).get(term, 0.0) for term in range(3))
    return Law(float(1 / base), *(float(one / base) for one in rest))


@dataclass(frozen=True)
class Steps:
    """A run for each number of clients; `demand` is the CPU seconds a page by server."""

    clients: tuple[int, ...]
    runs: tuple[LoadResult, ...]
    demand: Mapping[str, float]

    @property
    def throughput(self) -> Floats:
        return np.array([run.throughput for run in self.runs])

    def in_flight(self) -> Floats:
        """Little's law: throughput × mean response time, which is the number of clients."""
        means = [float(run.response_time[run.ok].mean()) for run in self.runs]
        inside: Floats = self.throughput * np.array(means)
        return inside


def stepped(
    app: Any, servers: Mapping[str, Any], products: Sequence[int], clients: Sequence[int],
    seconds: float,
) -> Steps:  # fmt: skip
    """The page with all fixes but the cache, so that each page does the same work, and without the
    link; for so many clients in turn."""
    routes = [Route(path_of(product, "IPZ"), headers=GZIP) for product in products]
    runs = []
    with taking(servers) as taken:
        for number in clients:
            load = Closed(number, duration=seconds)
            runs.append(run_load(app, load, route=routes, warm_up=0.1))
    pages = sum(int(run.ok.sum()) for run in runs) * (1 + 0.1 / seconds)  # the warm-up's, too
    demand = {name: used / pages for name, used in taken[0].cpu.items()}
    return Steps(tuple(clients), tuple(runs), demand)


def arithmetic(
    steps: Steps, bytes_a_page: float, users: int = 1_000_000, think: float = 30.0
) -> pd.DataFrame:
    """What so many users need who ask for a page every `think` seconds, if each page takes what it
    took here: cores by server, bandwidth, and by Little's law requests in flight."""
    rate = users / think
    alone = steps.runs[0]
    seconds = float(alone.response_time[alone.ok].mean())
    rows = {
        f"{name}: cores": (f"{1e3 * demand:.2f} ms of CPU", rate * demand)
        for name, demand in steps.demand.items()
    }
    rows["network: Gbit/s"] = (f"{bytes_a_page:,.0f} bytes", 8e-9 * rate * bytes_a_page)
    rows["requests in flight"] = (f"{1e3 * seconds:.2f} ms", rate * seconds)
    return pd.DataFrame(
        {
            name: {"a page takes": each, f"{rate:,.0f} pages a second take": f"{together:,.1f}"}
            for name, (each, together) in rows.items()
        }
    ).T
