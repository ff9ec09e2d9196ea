"""Chapter 9's figures. Each title is computed from the result that it stands above."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.experiments.hanging import Ordeal
from perflab.experiments.outlasting import SlowSpell
from perflab.experiments.overload import Outcome, Overload
from perflab.experiments.retrying import Tiers

Floats = NDArray[np.float64]
Line = tuple[Floats, Floats]
SINCE_START = "time since start (s)"
GUIDES = "guide's"
NAMES = {"none": "no guard", GUIDES: GUIDES, "breaker": "ours", "bulkhead": "bulkhead"}


def hang(ch: Chapter, ordeals: Mapping[str, Ordeal], hung: tuple[float, float]) -> None:
    """9.1: the other page's latency, the breakers' states, threads held, memory."""
    last = max(float(one.run.end.max()) + one.shift for one in ordeals.values())
    by = {NAMES[name]: one for name, one in ordeals.items()}
    waits = {NAMES[name]: f"{ms:,.3g} ms" for name, ms in p90_while_it_hangs(ordeals, hung).items()}
    ch.figure(
        "9.1",
        f"While it hangs, the other page's p90 is {waits['no guard']} without protection, "
        f"{waits[GUIDES]} with the guide's breaker, {waits['ours']} with ours, "
        f"{waits['bulkhead']} with a bulkhead",
        SINCE_START,
        [
            Panel(
                "p90 latency of the\nother page (ms)",
                {name: _p90(*one.own(), last) for name, one in by.items()},
                log=True,
                height=1.3,
            ),
            Panel("breaker", {}, bands={n: _bands(by[n], last) for n in ("guide's", "ours")}),
            Panel("threads held", {name: _mean(*one.held, last) for name, one in by.items()}),
            Panel("memory (MB)", {name: _resident(one) for name, one in by.items()}, height=0.9),
        ],
        events={"the dependency hangs": hung},
        predicted_in=0,
    )


def p90_while_it_hangs(
    ordeals: Mapping[str, Ordeal], hung: tuple[float, float]
) -> dict[str, float]:
    """The p90 in ms, for each service, of its page that needs no dependency."""
    found = {}
    for name, one in ordeals.items():
        due, seconds = one.own()
        inside = (due >= hung[0]) & (due < hung[1])
        found[name] = 1e3 * float(np.percentile(seconds[inside], 90))
    return found


def in_line(ch: Chapter, times: Mapping[str, Floats]) -> None:
    """9.2: how long each of a crowd waits for its answer, and how many callers are held."""
    slowest = {name: float(one.max()) for name, one in times.items()}
    crowd = len(times["ours"])
    ch.figure(
        "9.2",
        f"{crowd} callers at once: the last answer after {slowest[GUIDES] * 1e3:,.0f} "
        f"ms with the guide's breaker, {slowest['ours'] * 1e3:.0f} ms with ours",
        SINCE_START,
        [
            Panel(
                "response time (ms)",
                {name: (np.arange(1, crowd + 1), 1e3 * one) for name, one in times.items()},
                points=list(times),
                x_label="caller, in the order of their answers",
            ),
            Panel(
                "memory (callers held)",
                {
                    name: (np.append(0.0, one), np.append(crowd, crowd - np.arange(1, crowd + 1)))
                    for name, one in times.items()
                },
                steps=True,
            ),
        ],
        predicted_in=0,
        predicted_on="y",
    )


def slow_spell(ch: Chapter, spells: Mapping[str, SlowSpell], slow: tuple[float, float]) -> None:
    """9.5: response times of callers, work under way, and all that is held."""
    most = {name: int(one.under_way[1].max()) for name, one in spells.items()}
    ch.figure(
        "9.5",
        f"Limit 4: up to {most[GUIDES]} calls under way at once behind the guide's "
        f"bulkhead, {most['ours']} behind ours",
        SINCE_START,
        [
            Panel(
                "response time (ms)",
                {name: (one.due, 1e3 * one.response) for name, one in spells.items()},
                points=list(spells),
            ),
            Panel(
                "work under way",
                {name: one.under_way for name, one in spells.items()},
                marks={"limit": 4},
                steps=True,
            ),
            Panel(
                "memory (calls held)",
                {name: _sum(one.under_way, one.callers) for name, one in spells.items()},
                steps=True,
                height=0.7,
            ),
        ],
        events={"work takes 2 s": slow},
        predicted_in=1,
    )


def tiers(ch: Chapter, runs: Mapping[str, Tiers], rate: float, outage: tuple[float, float]) -> None:
    """9.6: calls that reach the dependency, response time, requests held."""
    peak = {name: _calls_each(one, *outage) for name, one in runs.items()}
    last = max(max(one.ended) for one in runs.values())
    ch.figure(
        "9.6",
        "During the outage one request makes "
        + ", ".join(f"{times:.2g} calls ({name})" for name, times in peak.items()),
        SINCE_START,
        [
            Panel(
                "calls/s at the\ndependency",
                {name: _per_step(one.calls, last) for name, one in runs.items()},
                marks={"requests": rate},
                height=1.3,
            ),
            Panel(
                "response time (ms)",
                {name: _mean_response(one, last) for name, one in runs.items()},
                log=True,
            ),
            Panel(
                "memory (requests held)",
                {name: _held(one, last) for name, one in runs.items()},
            ),
        ],
        events={"the dependency fails": outage},
        predicted_in=0,
        predicted_at=lambda calls: calls * rate,
    )


def metastable(ch: Chapter, runs: Mapping[str, Outcome], trouble: Overload) -> None:
    """9.7: answers in time, their response time, and what waits."""
    last = max(runs["nothing"].sent)
    late = {name: _rate(one.good, last - 20, last) for name, one in runs.items()}
    ch.figure(
        "9.7",
        f"{last - trouble.slow[1]:.0f} s after the trouble has ended: {late['nothing']:.0f} good "
        f"answers a second, with a bounded queue {late['bounded queue']:.0f}",
        SINCE_START,
        [
            Panel(
                "answered in time (1/s)",
                {name: _per_step(one.good, last, 2.0) for name, one in runs.items()},
                height=1.3,
            ),
            Panel(
                "response time\nof these (ms)",
                {name: _of_answers(one, last) for name, one in runs.items()},
                log=True,
            ),
            Panel(
                "memory (requests held)",
                {name: _queue(one, last) for name, one in runs.items()},
                height=0.9,
            ),
        ],
        events={f"service takes {trouble.factor:.0f} times as long": trouble.slow},
    )


def windows(ch: Chapter, passed: Mapping[str, Sequence[float]]) -> None:
    """9.11: how many passed in the second before each moment."""
    moments = np.linspace(0.9, 3.0, 400)
    lines = {}
    for name, times in passed.items():
        until = np.searchsorted(times, moments, side="right")
        lines[name] = (moments, until - np.searchsorted(times, moments - 1, side="right"))
    most = {name: int(line[1].max()) for name, line in lines.items()}
    ch.figure(
        "9.11",
        "A limit of 100/s, and up to " + ", ".join(f"{n} ({name})" for name, n in most.items()),
        "time (s)",
        [Panel("requests in the\nlast second", lines, marks={"the limit": 100}, height=1.5)],
    )


# ── lines


def _p90(due: Floats, seconds: Floats, last: float, step: float = 0.2) -> Line:
    edges = np.arange(0, last, step)
    slots, values = np.floor(due / step).astype(int), np.full(len(edges), np.nan)
    for slot in range(len(edges)):
        if np.any(slots == slot):
            values[slot] = 1e3 * np.percentile(seconds[slots == slot], 90, method="inverted_cdf")
    return edges + step / 2, values


def _bands(one: Ordeal, last: float) -> list[tuple[float, float, str]]:
    moments = [max(moment, 0.0) for moment, _ in one.states] + [last]
    stretches = zip(moments, moments[1:], one.states, strict=False)
    return [(begin, end, state) for begin, end, (_, state) in stretches if end > begin]


def _mean(time: Floats, count: Floats, last: float, step: float = 0.05) -> Line:
    """A count that changes at these times, averaged over `step` seconds."""
    edges = np.arange(0, last, step)
    area = np.concatenate([[0.0], np.cumsum(np.diff(time) * count[:-1])])
    rest = count[-1] * np.maximum(edges - time[-1], 0)
    return edges[:-1] + step / 2, np.diff(np.interp(edges, time, area) + rest) / step


def _resident(one: Ordeal) -> Line:
    return one.run.readings["time"] + one.shift, one.run.readings["server_rss"] / 1e6


def _sum(one: Line, other: Line) -> Line:
    time = np.union1d(one[0], other[0])
    first, second = (
        line[1][np.searchsorted(line[0], time, side="right") - 1] for line in (one, other)
    )
    return time, first + second


def _rate(times: ArrayLike, begin: float, end: float) -> float:
    times = np.asarray(times)
    return float(np.count_nonzero((times >= begin) & (times < end)) / (end - begin))


def _calls_each(one: Tiers, begin: float, end: float) -> float:
    """Calls to the dependency in this time, for each request that came in it."""
    came = np.array(one.ended) - np.array(one.response)
    return _rate(one.calls, begin, end) / _rate(came, begin, end)


def _per_step(times: ArrayLike, last: float, step: float = 0.5) -> Line:
    edges = np.arange(0, last, step)
    return edges[:-1] + step / 2, np.histogram(times, edges)[0] / step


def _mean_response(one: Tiers, last: float, step: float = 0.5) -> Line:
    """Of the requests that ended in each step."""
    edges = np.arange(0, last, step)
    sums = np.histogram(one.ended, edges, weights=one.response)[0]
    counts = np.histogram(one.ended, edges)[0]
    return edges[:-1] + step / 2, 1e3 * sums / np.where(counts, counts, np.nan)


def _held(one: Tiers, last: float, step: float = 0.5) -> Line:
    moments = np.arange(0, last, step)
    ended, began = np.array(one.ended), np.array(one.ended) - np.array(one.response)
    inside = [
        np.clip(np.minimum(ended, at + step) - np.maximum(began, at), 0, None) for at in moments
    ]
    return moments + step / 2, np.array([float(part.sum()) / step for part in inside])


def _of_answers(one: Outcome, last: float, step: float = 2.0) -> Line:
    edges = np.arange(0, last, step)
    sums = np.histogram(one.good, edges, weights=one.response)[0]
    counts = np.histogram(one.good, edges)[0]
    return edges[:-1] + step / 2, 1e3 * sums / np.where(counts, counts, np.nan)


def _queue(one: Outcome, last: float, step: float = 0.5) -> Line:
    time, waiting = np.array(one.waiting).T
    moments = np.arange(time[0], last, step)
    return moments, waiting[np.searchsorted(time, moments, side="right") - 1]
