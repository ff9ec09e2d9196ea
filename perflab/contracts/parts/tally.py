"""What a middleware counted, in one form for all: of lines, of counters, of a monitor's stats."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from perflab.measure.request import App

Clock = Callable[[], float]


@dataclass(frozen=True)
class Tally:
    """What a middleware counted."""

    requests: int
    seconds: float  # in all, each from the call of the application to its end
    slow: int  # longer than one second
    statuses: Mapping[int, int] = field(default_factory=dict)  # none where it keeps none
    raised: int = 0  # known to have failed
    left: int = 0  # known to have left
    waited: float = 0.0  # seconds in all before the application was called, where known


@dataclass(frozen=True)
class Watched:
    """A wrapped application, and what its middleware knows."""

    app: App
    tally: Callable[[], Tally]


Make = Callable[[App, Clock], Watched]


def by_lines(middleware: Callable[..., App]) -> Make:
    """Of `middleware(app, log, clock)`, which calls `log(line)` for each request.

    A line has `status`, `seconds` and `slow`; a better one also has `ending` ("answered",
    "raised" or "left") and `waited`, seconds.
    """

    def make(app: App, clock: Clock) -> Watched:
        lines: list[Any] = []
        wrapped = middleware(app, lines.append, clock)

        def tally() -> Tally:
            endings = Counter(getattr(line, "ending", "answered") for line in lines)
            return Tally(
                len(lines),
                sum(line.seconds for line in lines),
                sum(line.slow for line in lines),
                Counter(line.status for line in lines if line.status is not None),
                endings["raised"],
                endings["left"],
                sum(getattr(line, "waited", 0.0) for line in lines),
            )

        return Watched(wrapped, tally)

    return make


def by_counters(middleware: Callable[..., App], monitor: Callable[[], Any]) -> Make:
    """Of `middleware(app, monitor, clock)`, whose monitor gives count, milliseconds and slow."""

    def make(app: App, clock: Clock) -> Watched:
        counters = monitor()

        def tally() -> Tally:
            count, total, slow = counters.get_stats()
            return Tally(count, total / 1000, slow)

        return Watched(middleware(app, counters, clock), tally)

    return make


def by_stats(monitor: Callable[..., Any]) -> Make:
    """Of a class like RequestMonitor: made with (app, slow, clock, wall), with `stats()`."""

    def make(app: App, clock: Clock) -> Watched:
        watching = monitor(app, slow=1.0, clock=clock, wall=clock)

        def tally() -> Tally:
            stats = watching.stats()
            routes = list(stats.routes.values())
            statuses: Counter[int] = Counter()
            for route in routes:
                statuses.update(route.statuses)
            return Tally(
                sum(route.requests for route in routes),
                sum(_total(route.latency) for route in routes),
                stats.slow_requests,
                statuses,
                sum(route.exceptions for route in routes),
                sum(route.left for route in routes),
                sum(_total(route.wait) for route in routes),
            )

        return Watched(watching, tally)

    return make


def _total(histogram: Any) -> float:
    return float(histogram.count * histogram.mean) if histogram.count else 0.0
