"""Limits that a run keeps or breaks: those of a test, and those of the generator itself."""

import html
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from perflab.errors import TooFewSamplesError, require
from perflab.measure.percentiles import percentile
from perflab.systems.loadgen.workload import MOST_REQUESTS, number, whole

if TYPE_CHECKING:
    from perflab.systems.loadgen.result import LoadResult

BUSY = 0.9  # of a core: beyond it the generator's own queue may be what was measured
LATE = 0.1  # of the p99: what is more than a tenth of the figure reported distorts it …
GRAIN = 1e-4  # … unless it is no more than these seconds, by which any system's timer strays
LEAST = 1e-9  # a limit of 0 s or of 0 requests a second is a slip of the pen
LONGEST = 3600.0  # seconds: the longest time-out; 200 for 200 ms is below it, 5000 is not
PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
HEAD = ("", "limit", "found", "")


class Threshold(NamedTuple):
    """One limit; times in seconds, `errors` a share, `not_sent` a count, throughput a second."""

    name: str
    limit: float
    found: float  # nan where the run does not show it; that never holds
    holds: bool


@dataclass(frozen=True, repr=False)
class Thresholds:
    """What `LoadResult.meets` found: true if all limits hold, and a row for each.

    for name, limit, found, holds in result.meets(p99=0.2, errors=0.01): …
    """

    rows: tuple[Threshold, ...]

    def __bool__(self) -> bool:
        return all(row.holds for row in self.rows)

    def __iter__(self) -> Iterator[Threshold]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        table = [HEAD, *map(_texts, self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            f"{name:<{widths[0]}}  {limit:>{widths[1]}}  {found:>{widths[2]}}  {said}".rstrip()
            for name, limit, found, said in table
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [HEAD, *map(_texts, self.rows)]
        cells = ["".join(f"<td>{html.escape(text)}</td>" for text in row) for row in rows]
        cells[0] = cells[0].replace("td>", "th>")
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def check(result: "LoadResult", limits: dict[str, float | None]) -> Thresholds:
    """What `LoadResult.meets` says."""
    asked = {name: limit for name, limit in limits.items() if limit is not None}
    require(bool(asked), "limits", asked, f"at least one of {', '.join(limits)}")
    return Thresholds(tuple(_row(result, name, limit) for name, limit in asked.items()))


def warnings_of(result: "LoadResult") -> tuple[str, ...]:
    """What `LoadResult.warnings` says."""
    said = []
    if result.tester_cpu > BUSY:
        said.append(f"the generator used {result.tester_cpu:.2f} of a core")
    late = result.percentile(99, "lateness")
    if late > max(LATE * result.percentile(99), GRAIN):
        said.append(f"the generator sent late: p99 {late * 1e3:.2f} ms")
    if result.not_sent:
        said.append(f"{result.not_sent:,} requests were not sent: no connection was free")
    return tuple(said)


def _row(result: "LoadResult", name: str, limit: float) -> Threshold:
    if name == "throughput":
        limit, found = number(name, limit, LEAST, 1e9), result.throughput
        return Threshold(name, limit, found, found >= limit)
    if name == "errors":
        limit, found = number(name, limit, 0, 1), _share_of_errors(result)
    elif name == "not_sent":
        limit, found = whole(name, limit, 0, MOST_REQUESTS), float(result.not_sent)
    elif name == "lateness_p99":
        limit = number(name, limit, LEAST, LONGEST)
        found = _or_nan(lambda: percentile(result.lateness[result.ok], 99))
    else:
        limit, p = number(name, limit, LEAST, LONGEST), PERCENTILES[name]
        found = _or_nan(lambda: percentile(result.response_time[result.ok], p))
    return Threshold(name, limit, found, found <= limit)


def _share_of_errors(result: "LoadResult") -> float:
    sent = result.ok.size
    return (sent - int(np.count_nonzero(result.ok))) / sent if sent else math.nan


def _or_nan(ask: Callable[[], float]) -> float:
    try:
        return ask()
    except TooFewSamplesError:
        return math.nan


def _texts(row: Threshold) -> tuple[str, str, str, str]:
    sign = "≥" if row.name == "throughput" else "≤"
    found = "–" if math.isnan(row.found) else _value(row.name, row.found)
    return row.name, f"{sign} {_value(row.name, row.limit)}", found, _said(row)


def _value(name: str, value: float) -> str:
    if name == "errors":
        return f"{value * 100:.4g} %"
    if name == "not_sent":
        return f"{value:,.0f}"
    if name == "throughput":
        return f"{value:,.1f}/s"
    return f"{value * 1000:.4g} ms"


def _said(row: Threshold) -> str:
    if row.holds:
        return "holds"
    if not math.isnan(row.found):
        return "broken"
    if row.name == "errors":
        return "broken: nothing was sent"
    p = 99.0 if row.name == "lateness_p99" else PERCENTILES[row.name]
    return f"broken: too few successes, {round(1000 / (100 - p)):,} are needed"
