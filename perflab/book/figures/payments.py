"""Chapter 10's figures of the payment case. Each title is computed from the result below it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from perflab.book import panels
from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.experiments.payments import PEAK, RECEIPT, Payments
from perflab.measure import percentile
from perflab.systems import LoadResult

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Line = tuple[Floats, Floats]
SINCE_START = "time since start (s)"


def peak(ch: Chapter, runs: Mapping[str, Payments]) -> None:
    """10.3: latency through the peak, receipts that wait to be written, payments held."""
    p95 = {name: 1e3 * percentile(one.of(*PEAK), 95) for name, one in runs.items()}
    ch.figure(
        "10.3",
        "p95 (ms) at the peak: " + ", ".join(f"{ms:,.0f} ({name})" for name, ms in p95.items()),
        SINCE_START,
        [
            Panel(
                "p95 latency (ms)",
                {name: _p95(one) for name, one in runs.items()},
                marks={"a second": 1_000},
                log=True,
                height=1.4,
            ),
            Panel("receipts to write", {name: _mean(*one.receipts) for name, one in runs.items()}),
            Panel(
                "memory (payments held)",
                {name: _mean(*one.held) for name, one in runs.items()},
            ),
        ],
        events={"three times as many come": PEAK},
        predicted_in=0,
    )


def reported(runs: Mapping[str, Payments]) -> pd.DataFrame:
    """10.3: the three figures that the guide reports, beside ours; the first run is «before»."""
    before = next(iter(runs.values()))
    p95 = percentile(before.of(*PEAK), 95)
    calm = float(np.median(before.of(0, PEAK[0])))
    rows = {
        name: {
            "within 1 s at the peak (guide: 99.9 % uptime)": f"{one.within():.1%}",
            "p95 at the peak (guide: −60 %)": f"{percentile(one.of(*PEAK), 95) / p95 - 1:+.0%}",
            "median in the calm": f"{float(np.median(one.of(0, PEAK[0]))) / calm - 1:+.0%}",
            "capacity (guide: 3 ×)": f"{one.capacity / before.capacity:.1f} ×",
            "answers a second, at the peak": f"{one.served():.0f}",
        }
        for name, one in runs.items()
    }
    return pd.DataFrame(rows)


def live(ch: Chapter, runs: Mapping[str, LoadResult], rush: tuple[float, float]) -> None:
    """10.3: two real servers under the same peak: each payment, and the servers' memory."""
    late = {name: 100 * float(np.mean(one.response_time > 1)) for name, one in runs.items()}
    ch.figure(
        "10.3",
        "Live, above a second at the same peak: "
        + ", ".join(f"{share:.0f} % ({name})" for name, share in late.items()),
        SINCE_START,
        [
            Panel(
                "response time (ms)",
                {n: (one.intended_start, 1e3 * one.response_time) for n, one in runs.items()},
                points=list(runs),
                marks={"a second": 1_000},
                log=True,
                height=1.4,
            ),
            panels.memory(runs),
        ],
        events={"three times as many come": rush},
    )


def money(ch: Chapter, runs: Mapping[str, Payments]) -> None:
    """10.4: each payment's response time, how far the books are out, and answers kept."""
    cached = runs["guide's cache"]
    ch.figure(
        "10.4",
        f"{cached.unpaid} of {cached.orders} orders were approved by the cache and never paid",
        SINCE_START,
        [
            Panel(
                "response time (ms)",
                {
                    "no key": _dots(runs["no key"]),
                    "guide's cache": _dots(cached, cached.response <= RECEIPT + 1e-9),
                },
                points=["no key", "guide's cache"],
                height=1.2,
            ),
            Panel(
                "given away, less\ncharged twice (€)",
                {name: _over(one, *one.missing(), 0.01) for name, one in runs.items()},
                marks={"books in order": 0},
                steps=True,
                height=1.2,
            ),
            Panel(
                "memory (answers kept)",
                {name: _mean(*one.remembered) for name, one in runs.items()},
            ),
        ],
        predicted_in=1,
    )


def death(ch: Chapter, runs: Mapping[str, Payments]) -> None:
    """10.5: each payment around the death of a worker, those that went wrong, those held."""
    died = runs["no retry"].died
    begin, end = died - 1.5, died + 2.5
    near = {n: (one.public.due >= begin) & (one.public.due < end) for n, one in runs.items()}
    wrong = {name: _cut(_wrong(one), begin, end) for name, one in runs.items()}
    ch.figure(
        "10.5",
        "Payments that go wrong: "
        + ", ".join(f"{line[1][-1]:.0f} ({name})" for name, line in wrong.items()),
        SINCE_START,
        [
            Panel(
                "response time (ms)",
                {name: _dots(runs[name], near[name]) for name in list(runs)[::-1]},
                points=list(runs),
                height=1.2,
            ),
            Panel("failed, or charged\ntwice, so far", wrong, steps=True, height=1.2),
            Panel(
                "memory (payments held)",
                {name: _cut(_mean(*one.held, 0.1), begin, end) for name, one in runs.items()},
            ),
        ],
        events={"two workers are left": (died, end)},
        predicted_in=1,
    )


# ── lines


def _dots(one: Payments, which: Bools | None = None) -> Line:
    """When each request came, and what it took in milliseconds; of these requests alone."""
    chosen = np.isfinite(one.response) if which is None else which
    return one.public.due[chosen], 1e3 * one.response[chosen]


def _p95(one: Payments, step: float = 0.5) -> Line:
    """Of the requests that came in each step, those without an answer left out."""
    edges = np.arange(0, float(one.public.due[-1]), step)
    slots = np.floor(one.public.due / step).astype(int)
    values = np.full(len(edges), np.nan)
    for slot in range(len(edges)):
        inside = one.response[(slots == slot) & np.isfinite(one.response)]
        if len(inside):
            values[slot] = 1e3 * np.percentile(inside, 95, method="inverted_cdf")
    return edges + step / 2, values


def _mean(time: ArrayLike, count: ArrayLike, step: float = 0.25) -> Line:
    """A count that changes at these times, averaged over each step."""
    time, count = np.asarray(time, float), np.asarray(count, float)
    edges = np.arange(0, max(float(time[-1]), 15.0) + step, step)
    area = np.concatenate([[0.0], np.cumsum(np.diff(time) * count[:-1])])
    rest = count[-1] * np.maximum(edges - time[-1], 0)
    return edges[:-1] + step / 2, np.diff(np.interp(edges, time, area) + rest) / step


def _over(one: Payments, time: ArrayLike, count: ArrayLike, scale: float = 1.0) -> Line:
    """A count that holds until it changes, from the start to the end of the run."""
    moments = np.arange(0, float(np.nanmax(one.answered_at)), 0.02)
    now = np.searchsorted(np.asarray(time, float), moments, side="right") - 1
    return moments, scale * np.asarray(count, float)[now]


def _cut(line: Line, begin: float, end: float) -> Line:
    inside = (line[0] >= begin) & (line[0] < end)
    return line[0][inside], line[1][inside]


def _wrong(one: Payments) -> Line:
    """Requests that failed by then, which they did when the worker died, and charges beyond the
    first of an order."""
    failed = np.full(np.count_nonzero(np.isnan(one.response)), one.died)
    times = np.sort(np.concatenate([failed, one.charged_at[one.again()]]))
    return _over(one, np.append(0.0, times), np.arange(len(times) + 1))
