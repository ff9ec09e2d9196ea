"""Parents with their children from a database: N+1 queries, one join, or two batches."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perflab.systems.plans import for_postgres
from perflab.systems.slowlink import LinkCounts, link

Run = Callable[..., Sequence[Any]]  # run(query, parameters): all rows
WAYS = ("N+1", "join", "batches")


class Fetching:
    """The first so many products, or other parents, with their order items, in three ways.

    `run(query, parameters)` returns all rows. State: `queries`, how many were sent.
    """

    def __init__(
        self, run: Run, parent: str = "products", key: str = "product_id", first: int = 20
    ) -> None:
        self._run, self.queries = run, 0
        self._parents = f"SELECT * FROM {parent} WHERE id <= {first}"
        self._items = f"SELECT * FROM order_items WHERE {key}"
        self._both = (
            f"SELECT p.*, oi.* FROM {parent} p LEFT JOIN order_items oi ON p.id = oi.{key} "
            f"WHERE p.id <= {first}"
        )

    def run(self, query: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
        self.queries += 1
        return self._run(query, parameters)

    def n_plus_1(self) -> Any:
        parents = self.run(self._parents)
        return [(parent, self.run(f"{self._items} = ?", (parent[0],))) for parent in parents]

    def join(self) -> Any:
        return self.run(self._both)

    def batches(self) -> Any:
        parents = self.run(self._parents)
        marks = ", ".join("?" * len(parents))
        return parents, self.run(f"{self._items} IN ({marks})", [parent[0] for parent in parents])

    def ways(self) -> dict[str, Callable[[], Any]]:
        return dict(zip(WAYS, (self.n_plus_1, self.join, self.batches), strict=True))


@dataclass(frozen=True)
class Trips:
    """Three ways over one connection: seconds of a round trip and of each way."""

    round_trip: float
    seconds: Mapping[str, float]
    passed: Mapping[str, LinkCounts]  # what each way sent over the link; empty without one


def median_time(call: Callable[[], object], times: int) -> float:
    """The median time of a call in seconds, after one that does not count."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def runner(connection: Any) -> Run:
    """`run(query, parameters)` on a psycopg connection, parameters written ?."""
    return lambda query, parameters=(): connection.execute(
        for_postgres(query).encode(), parameters
    ).fetchall()


def fetch_near(connection: Any, times: int = 5, **parents: Any) -> Trips:
    """The three ways over a connection as it is."""
    run = runner(connection)
    trip = median_time(lambda: run("SELECT 1"), 30)
    ways = Fetching(run, **parents).ways()
    return Trips(trip, {name: median_time(way, times) for name, way in ways.items()}, {})


def fetch_far(server: Any, delay: float, times: int = 5, **parents: Any) -> Trips:
    """The three ways over a link to a PostgreSQL server, `delay` seconds long each way."""
    with (
        link(server, delay=delay) as slow,
        server.connect(port=slow.port, autocommit=True, prepare_threshold=None) as far,
    ):
        near = fetch_near(far, times, **parents)
        passed = {}
        for name, way in Fetching(runner(far), **parents).ways().items():
            slow.forget()
            way()
            passed[name] = slow.counts()
    return Trips(near.round_trip, near.seconds, passed)
