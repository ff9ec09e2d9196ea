"""What the garbage collector costs: requests that leave objects behind, watched one by one.

Run it apart (`perflab.experiments.apart`): a kernel's own objects would be looked at too.
"""

import gc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import psutil

RECORDS = 1_000  # that each request makes, two containers each: what JSON turns into


def growing(requests: int, collector: bool, keep: bool = True) -> dict[str, Any]:
    """Requests that make objects, and keep them, as a cache does, or let them go.

    Returns columns with an entry a request: `latency` and `collecting` in seconds, `resident` in
    bytes; and `collections`, how many there were.
    """
    kept: list[Any] = []
    columns: dict[str, Any] = {"latency": [], "collecting": [], "resident": []}
    spent, process = _Spent(), psutil.Process()
    gc.collect()
    if not collector:
        gc.disable()
    gc.callbacks.append(spent)
    for _ in range(requests):
        spent.seconds, began = 0.0, perf_counter()
        if keep:
            kept.append([{"number": number, "tags": []} for number in range(RECORDS)])
        else:
            for number in range(RECORDS):
                {"number": number, "tags": []}  # noqa: B018  # made and let go: that is the point
        columns["latency"].append(perf_counter() - began)
        columns["collecting"].append(spent.seconds)
        columns["resident"].append(process.memory_info().rss)
    gc.callbacks.remove(spent)
    return columns | {"collections": spent.collections}


class _Spent:
    """A listener. Its state: seconds in the collector since they were set to 0, collections."""

    def __init__(self) -> None:
        self.seconds, self.collections, self._began = 0.0, 0, 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = perf_counter()
        else:
            self.seconds += perf_counter() - self._began
            self.collections += 1


def kept(records: int = 50_000) -> object:
    """Make records and keep them until the end."""
    return [{"number": number, "tags": []} for number in range(records)]


def let_go(records: int = 50_000) -> None:
    """Make records and let each go at once."""
    for number in range(records):
        {"number": number, "tags": []}  # noqa: B018  # made and let go: that is the point


def without_collector(work: Callable[[], object]) -> Callable[[], None]:
    """The same work with the collector off; afterwards it is as it was."""

    def quietly() -> None:
        was_on = gc.isenabled()
        gc.disable()
        try:
            work()
        finally:
            if was_on:
                gc.enable()

    return quietly


def full_pause(objects: int, freeze: bool) -> dict[str, float]:
    """A full collection beside so many living objects: its seconds, and the objects that the
    collector has to look at; after gc.freeze() if asked."""
    kept = [{"number": number, "next": []} for number in range(objects // 2)]
    gc.collect()
    if freeze:
        gc.freeze()
    began = perf_counter()
    gc.collect()
    seconds = perf_counter() - began
    return {"seconds": seconds, "tracked": len(gc.get_objects()), "kept": len(kept)}


class Node:
    """Half of a cycle: parent and child know each other."""

    def __init__(self, parent: "Node | None" = None) -> None:
        self.payload, self.parent = bytes(2_000), parent
        self.child = Node(self) if parent is None else None


def cycles(count: int, collector: bool) -> dict[str, int]:
    """Make so many pairs in a cycle and let each go: pairs still alive, bytes resident more."""
    gc.collect()
    if not collector:
        gc.disable()
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(count):
        Node()
    grown = process.memory_info().rss - before
    alive = sum(isinstance(thing, Node) for thing in gc.get_objects())
    return {"alive": alive // 2, "grown": grown}
