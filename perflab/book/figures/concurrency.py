"""Chapter 6's figures. Each title is computed from the result that it stands above."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from perflab.book.chapter import Chapter
from perflab.book.plots import Panel
from perflab.experiments.absorbing import Absorbed
from perflab.experiments.convoy import WAIT, Waits
from perflab.experiments.heartbeat import Heart
from perflab.experiments.leaving import Left, Unread
from perflab.experiments.scaling import Law
from perflab.experiments.workercounts import Run, bound

Floats = NDArray[np.float64]
Line = tuple[Floats, Floats]
SINCE_START = "time since start (s)"
MB = 1e6
GUIDES = "guide's"


def scaling(ch: Chapter, runs: Mapping[str, Sequence[Run]]) -> None:
    """6.1: what more workers bring, how long a job then takes, and memory."""
    gains = {name: [one.rate / many[0].rate for one in many] for name, many in runs.items()}
    most = runs["waiting"][-1].workers
    ch.figure(
        "6.1",
        f"{most} threads do {gains['waiting'][-1]:.1f}× the work of one where they wait, "
        f"{gains['Python code'][-1]:.1f}× in Python code",
        "workers",
        [
            Panel(
                "throughput\n÷ that of one worker",
                {name: (_workers(many), np.array(gains[name])) for name, many in runs.items()},
                height=1.5,
            ),
            Panel(
                "latency of a job (ms)",
                {n: (_workers(m), 1e3 * np.array([r.latency for r in m])) for n, m in runs.items()},
                log=True,
            ),
            Panel(
                "memory (MB)",
                {n: (_workers(m), np.array([r.resident for r in m]) / MB) for n, m in runs.items()},
            ),
        ],
        x_log=True,
    )


def knee(ch: Chapter, measured: Sequence[Run], laws: Mapping[str, Law]) -> None:
    """6.2: live points under the bound, and what fits of a law to a model expect."""
    most = measured[-1].workers
    workers = np.arange(1.0, most + 1)
    lines: dict[str, Line] = {
        "bound": (workers, np.array([bound(float(n)) for n in workers])),
        "measured": (_workers(measured), np.array([one.rate for one in measured])),
    }
    lines |= {name: (workers, law(workers)) for name, law in laws.items()}
    expected = ", ".join(
        f"{float(law(most)) / bound(most):.1f}× ({name.removeprefix('law ')})"
        for name, law in laws.items()
    )
    ch.figure(
        "6.2",
        f"{most} workers, as the law expects ÷ possible: {expected}",
        "workers",
        [Panel("throughput (jobs/s)", lines, height=2.0, points=["measured"])],
    )


def unread(ch: Chapter, runs: Mapping[str, Unread], patience: float) -> None:
    """6.3: how long each submit takes, jobs taken, and what the pool holds."""
    taken = {name: one.taken_by(patience) for name, one in runs.items()}
    jobs = len(next(iter(runs.values())).taken)
    numbers = np.arange(1, jobs + 1)
    ch.figure(
        "6.3",
        f"Of {jobs} jobs the guide's pool takes {taken[GUIDES]} before somebody reads, "
        f"ours {taken['ours']}",
        SINCE_START,
        [
            Panel(
                "latency of submit (ms)",
                {name: (one.taken, 1e3 * one.waited) for name, one in runs.items()},
                points=list(runs),
                log=True,
            ),
            Panel(
                "jobs taken",
                {name: (one.taken, numbers) for name, one in runs.items()},
                steps=True,
            ),
            Panel(
                "memory (items held)",
                {name: one.held for name, one in runs.items()},
                steps=True,
            ),
        ],
        events={"nobody reads the results": (0.0, patience)},
    )


def overload(ch: Chapter, runs: Mapping[str, Absorbed], title: str, unit: str = "s") -> None:
    """6.4: response time of each request by when it came, and what is held."""
    first = next(iter(runs.values()))
    ch.figure(
        "6.4",
        title,
        SINCE_START,
        [
            Panel(
                f"response time ({unit})",
                {n: _thinned(one.came, one.response, unit) for n, one in runs.items()},
                height=1.3,
            ),
            Panel(
                "memory (requests held)",
                {n: _thinned(*one.held, "s") for n, one in runs.items()},
                steps=True,
            ),
        ],
        events={"more comes than can be served": (0.0, first.busy)},
    )


def left(ch: Chapter, runs: Mapping[str, Left]) -> None:
    """6.6: items delivered, threads and items that stay when the consumer has gone."""
    stay = {name: int(one.threads[1][-1]) for name, one in runs.items()}
    gone = float(np.mean([one.gone for one in runs.values()]))
    last = max(float(one.threads[0][-1]) for one in runs.values())
    ch.figure(
        "6.6",
        "Threads that stay for ever: "
        + ", ".join(f"{count} ({name})" for name, count in stay.items()),
        SINCE_START,
        [
            Panel(
                "latency of an item (ms)",
                {name: (one.came, 1e3 * one.latency) for name, one in runs.items()},
            ),
            Panel("threads alive", {n: one.threads for n, one in runs.items()}, steps=True),
            Panel("memory (items held)", {n: one.held for n, one in runs.items()}, steps=True),
        ],
        events={"the consumer has gone": (gone, last)},
    )


def hearts(ch: Chapter, runs: Mapping[str, Heart]) -> None:
    """6.9: when the beats come, a row for each way; the calls begin at the same moment."""
    worst = {name: 1e3 * float(one.lag.max()) for name, one in runs.items()}
    rows = zip(range(len(runs), 0, -1), runs.items(), strict=True)
    begin = min(one.call[0] for one in runs.values())
    ch.figure(
        "6.9",
        "Longest delay of a beat (ms): " + ", ".join(f"{ms:.0f} ({n})" for n, ms in worst.items()),
        SINCE_START,
        [
            Panel(
                "a dot is a beat,\na row a heart",
                {name: (one.at, np.full(len(one.at), float(row))) for row, (name, one) in rows},
                points=list(runs),
                ticks=False,
            )
        ],
        events={"the call": (begin, max(one.call[1] for one in runs.values()))},
    )


def convoy(
    ch: Chapter,
    runs: Mapping[str, Waits],
    beside: Mapping[str, Line],
    busy: tuple[float, float],
) -> None:
    """6.10: waits of a millisecond over time, memory, and waits beside more threads."""
    first = next(iter(runs.values()))
    alone, longer = (1e3 * first.median(*span) for span in ((0.0, busy[0]), busy))
    ch.figure(
        "6.10",
        f"A wait of {1e3 * WAIT:.0f} ms takes {alone:.1f} ms alone, and {longer:.1f} ms beside one "
        "thread that computes",
        SINCE_START,
        [
            Panel(
                "latency of a wait (ms)",
                {name: (one.begin, 1e3 * one.took) for name, one in runs.items()},
                points=list(runs),
                log=True,
                height=1.4,
            ),
            Panel(
                "memory (MB)",
                {name: (one.resident[0], one.resident[1] / MB) for name, one in runs.items()},
                height=0.6,
            ),
            Panel(
                "median wait (ms)",
                {name: (x, 1e3 * y) for name, (x, y) in beside.items()},
                x_label="threads that compute",
            ),
        ],
        events={"one thread computes": busy},
        predicted_in=0,
    )


# ── lines


def _workers(runs: Sequence[Run]) -> Floats:
    return np.array([one.workers for one in runs], float)


def _thinned(time: Floats, values: Floats, unit: str, most: int = 1_500) -> Line:
    """Every so many a point, so that the picture stays small."""
    step = max(1, len(time) // most)
    return time[::step], values[::step] * (1e3 if unit == "ms" else 1)
