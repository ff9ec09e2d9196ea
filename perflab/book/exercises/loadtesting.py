"""Chapter 8: the tester mended, the missing requests, the knee, a tester that was the limit."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from perflab.book.exercises.judging import (
    Answer,
    Exercise,
    Judgement,
    Tried,
    accusation,
    by_contract,
    dealt,
)
from perflab.contracts import loadtest
from perflab.measure.percentiles import percentile
from perflab.measure.queueing import response_times

# ── 2: the missing requests


def closed_record(
    seed: int, interval: float = 0.01, seconds: float = 60.0
) -> tuple[np.ndarray, np.ndarray]:
    """Latencies of one client that asks every `interval` seconds, or when its answer has come, if
    that is later; and those of all requests that were due, one every `interval`. The server
    freezes three times, for up to 1.5 s."""
    rng = np.random.default_rng(seed)
    begins = np.array([0.1, 0.4, 0.7]) * seconds + rng.uniform(0, 2, 3)
    ends = begins + rng.uniform(0.5, 1.5, 3)
    due = np.arange(round(seconds / interval)) * interval
    service = rng.uniform(0.001, 0.003, len(due))
    until = np.zeros(len(due))
    for begin, end in zip(begins, ends, strict=True):
        until = np.where((due >= begin) & (due < end), end - due, until)
    every = until + service
    asked, free = [], 0.0
    for number, moment in enumerate(due):
        if moment >= free:
            asked.append(number)
            free = moment + every[number]
    return every[asked], every


def _put_back(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    interval = 0.01
    for seed in (31, 32, 33):
        recorded, every = closed_record(seed, interval)
        said = answer(recorded.copy(), interval)
        if said is None:
            return Judgement("not attempted", "Return all latencies, those put back included.")
        got = np.asarray(said, dtype=float)
        if got.ndim != 1 or not got.size or not np.all(got >= 0):
            return Judgement("wrong", "Return a flat list of latencies, each at least 0.")
        total = abs(len(got) - len(every)) <= 6  # at each end of a freeze one may count or not
        tried.append((f"requests, record {seed}", total, f"{len(got):,} of {len(every):,}"))
        if not total:
            return Judgement(
                "wrong", _count_hint(len(got), len(recorded), len(every)), tuple(tried)
            )
        mine, true = percentile(got, 99), percentile(every, 99)
        right = abs(mine - true) <= 0.02 * true
        tried.append((f"p99, record {seed}", right, f"{mine * 1e3:.0f}, true {true * 1e3:.0f} ms"))
        if not right:
            too = "long: who comes later in a freeze waits less" if mine > true else "short"
            hint = f"As many as were due, but those that you put back wait too {too}."
            return Judgement("wrong", hint + " Each waits one interval less.", tuple(tried))
    hint = (
        "Right, and still a guess: it takes for granted that whoever was not sent would have "
        "waited for the same freeze. Where one request was slow by itself, it invents the others."
    )
    return Judgement("right", hint, tuple(tried))


def _count_hint(got: int, recorded: int, due: int) -> str:
    if got < recorded:
        return "The recorded requests did happen: keep them, and add those that are missing."
    if got == recorded:
        return "Nothing was put back. Which latencies are longer than the interval?"
    if got < due:
        return "Too few: a wait of k intervals hides about k requests, not one."
    return "Too many: only a latency longer than the interval hides requests."


# ── 3: the knee


@dataclass(frozen=True)
class Steps:
    """A load test in steps, in the order in which they were run; rates a second, p99 in seconds."""

    offered: np.ndarray
    goodput: np.ndarray
    p99: np.ndarray
    target: float


def some_steps(seed: int) -> Steps:
    """Ten rates at a server that sheds what it cannot serve (even seeds), or lets it wait."""
    rng = np.random.default_rng(seed)
    capacity = rng.uniform(400, 1_500)
    sheds = seed % 2 == 0
    share = np.array([0.3, 0.45, 0.6, 0.7, 0.8, 0.88, 0.94, 1.12, 1.3, 1.6])
    noise = rng.uniform(0.995, 1.0, len(share))
    past = np.maximum(share - 1, 0)
    answered = np.minimum(share, 1 + 0.12 * past if sheds else 1 - 0.3 * past)
    p99 = 0.012 / (1 - np.minimum(share, 0.6 if sheds else 0.97)) * rng.uniform(1, 1.02, len(share))
    order = rng.permutation(len(share))
    offered = np.round(share * capacity)
    goodput = np.round(answered * capacity * noise)
    return Steps(offered[order], goodput[order], p99[order].round(4), 0.080)


def _knee(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for seed in (41, 42, 43, 44):
        steps = some_steps(seed)
        columns = (steps.offered.copy(), steps.goodput.copy(), steps.p99.copy())
        said = answer(*columns, steps.target)
        if said is None:
            return Judgement("not attempted", "Return one of the offered rates.")
        at = np.flatnonzero(steps.offered == float(said))
        if not at.size:
            return Judgement("wrong", f"{said!r} is none of the offered rates.", tuple(tried))
        row = int(at[0])
        served = steps.goodput / steps.offered >= 0.95
        fast = steps.p99 <= steps.target
        true = steps.offered[served & fast].max()
        right = bool(steps.offered[row] == true)
        tried.append((f"table {seed}", right, f"{said:.0f}/s, the knee is at {true:.0f}/s"))
        if not right:
            return Judgement("wrong", _knee_hint(steps, row, served, fast), tuple(tried))
    return Judgement("right", "The highest rate that is served, and in time.", tuple(tried))


def _knee_hint(steps: Steps, row: int, served: np.ndarray, fast: np.ndarray) -> str:
    if not served[row]:
        part = 100 * steps.goodput[row] / steps.offered[row]
        return f"At that rate only {part:.0f} % are answered well: it is past the knee."
    if not fast[row]:
        return f"At that rate the p99 is {1e3 * steps.p99[row]:.0f} ms: it misses the target."
    return (
        "A higher rate is still served, and within the target. The rows are not in order of rate."
    )


# ── 4: the tester that was the limit


@dataclass(frozen=True)
class LoadReport:
    """A load test in a line: requests a second asked for and sent, how late they left (p99), the
    share of a core that the tester used, the response time from when a request was due (p99), and
    the share of its capacity that the server used. Times in seconds."""

    asked: float
    sent: float
    lateness_p99: float
    tester_cpu: float
    response_p99: float
    server_cpu: float


# rate, tester's seconds a request, its one pause in seconds, server's seconds a request, and
# requests a second that the test's connections let through (0: no limit)
CASES = {
    "calm": (400, 0.00005, 0.0, 0.0010, 0),
    "the server is full": (960, 0.00005, 0.0, 0.0010, 0),
    "the tester is full": (1_500, 0.00070, 0.0, 0.0002, 0),
    "a busy tester on time": (900, 0.00080, 0.0, 0.00109, 0),
    "late by a little": (1_800, 0.00050, 0.0, 0.00005, 0),
    "connections are the limit": (1_500, 0.00005, 0.0, 0.0010, 980),
    "the tester paused": (400, 0.00005, 0.7, 0.0004, 0),
    "late, and it hardly counts": (1_100, 0.00070, 0.0, 0.0011, 0),
}
GUILTY = {"the tester is full", "late by a little", "the tester paused"}
REQUESTS = 10_000


def _report(case: str, rng: np.random.Generator) -> LoadReport:
    """Two queues in a row: the tester, which sends one request at a time, then the server."""
    asked, cost, pause, service, limit = CASES[case]
    gaps = rng.exponential(1 / (limit or asked), REQUESTS)
    due = np.cumsum(gaps)
    costs = np.full(REQUESTS, cost)
    costs[REQUESTS // 2] += pause
    lateness = response_times(gaps, costs) - costs
    left = due + lateness
    between = np.diff(left, prepend=0.0)
    took = response_times(between, rng.uniform(0.9, 1.1, REQUESTS) * service)
    seconds = float(left[-1])
    rate = REQUESTS / seconds
    return LoadReport(
        asked=asked,
        sent=round(rate),
        lateness_p99=round(percentile(lateness, 99), 5),
        tester_cpu=round(min(1.0, rate * cost), 2),
        response_p99=round(percentile(lateness + took, 99), 5),
        server_cpu=round(min(1.0, rate * service), 2),
    )


def load_reports(seed: int = 1) -> dict[str, LoadReport]:
    """Eight load tests under letters that the seed deals out."""
    rng = np.random.default_rng(seed + 1_000)
    return {letter: _report(case, rng) for letter, case in dealt(CASES, seed).items()}


def _limited(answer: Answer) -> Judgement:
    for seed in (51, 52, 53):
        reports = load_reports(seed)
        said = answer(dict(reports))
        hint = partial(_limited_hint, reports)
        wrong = accusation(said, dealt(CASES, seed), GUILTY, "report", hint)
        if wrong is not None:
            return wrong
    return Judgement("right", "All found, and no tester that was on time accused.")


def _limited_hint(reports: dict[str, LoadReport], case: str, letter: str) -> str:
    one = reports[letter]
    late, took = one.lateness_p99 * 1e3, one.response_p99 * 1e3
    shown = f"lateness {late:.1f} ms of a response time of {took:.1f} ms (p99)"
    if case in GUILTY:
        return f"«{case}» got away: {shown}. Most of it is the tester's own."
    return f"«{case}» is innocent: {shown}. What users wait for there is not the tester."


EXERCISES = [
    Exercise(
        "Exercise 1, mend the guide's tester", by_contract(loadtest, loadtest.on_virtual_time)
    ),
    Exercise("Exercise 2, put the missing requests back", _put_back),
    Exercise("Exercise 3, the knee", _knee),
    Exercise("Exercise 4, the tester that was the limit", _limited),
]
