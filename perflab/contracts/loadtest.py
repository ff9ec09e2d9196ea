"""What must hold of a load tester that promises so many requests a second.

Under test is a function `tester(server, rate, concurrency, duration)` that loads a `Server` on
virtual time and returns a report with `total_requests`, `successful_requests`,
`failed_requests`, `p95_latency` and `p99_latency` in seconds (None or nan where so few requests
do not show a percentile) and `rps`. `on_virtual_time` makes one of an asyncio class.

A check knows what the server did, request for request, and what arithmetic demands of a report.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.loadserver import Server
from perflab.measure.model import ModelServer
from perflab.measure.virtual import run_virtual


class Report(Protocol):
    """What a tester returns."""

    total_requests: int
    successful_requests: int
    failed_requests: int
    p95_latency: float | None
    p99_latency: float | None
    rps: float


Tester = Callable[[Server, int, int, float], Report]


def on_virtual_time(load_test: Callable[..., Any]) -> Tester:
    """The tester that a class like the guide's is: made with (get, concurrency, duration, rate),
    and with an async `run` that returns the report."""

    def tester(server: Server, rate: int, concurrency: int, duration: float) -> Report:
        report: Report = run_virtual(load_test(server.get, concurrency, duration, rate).run())
        return report

    return tester


def calm(service: float | Callable[[int], float] = 0.001) -> ModelServer:
    """A server at which nobody waits for anybody."""
    return ModelServer(slots=1_000, service=service)


FREEZE = (2.0, 3.0)
RATE, WORKERS, SECONDS = 200, 5, 5.5  # more than 1,000 requests, so that a p99 may be given


def frozen() -> Server:
    return Server(ModelServer(slots=1_000, service=0.001, frozen=FREEZE))


def _given(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _ms(value: float | None) -> str:
    return f"{1e3 * value:.1f} ms" if value is not None and _given(value) else "not given"


def _close(value: float | None, true: float, allowed: float) -> bool:
    return value is not None and abs(value - true) <= allowed * true


@check(
    "the asked rate is sent: 100/s with 30 workers",
    "Ask how many requests a second the workers send together: in whole numbers 100 // 30 is 3, "
    "and 30 × 3 is 90. Share one schedule among the workers: request k is due at k / rate.",
)
def rate(tester: Tester) -> Evidence:
    server = Server(calm())
    tester(server, 100, 30, 5.0)
    sent = sum(1 <= moment < 4 for moment in server.arrivals) / 3
    return Evidence(_close(sent, 100, 0.02), f"sends {sent:.0f}/s")


@check(
    "5/s with 10 workers works: less than one a second for each",
    "5 // 10 is 0, and an interval of 1 / 0 is none. No worker needs a rate of its own.",
)
def below_one(tester: Tester) -> Evidence:
    server = Server(calm())
    tester(server, 5, 10, 4.0)
    sent = len(server.arrivals)
    return Evidence(abs(sent - 20) <= 1, f"sends {sent} in 4 s")


@check(
    "requests leave evenly spaced, not in bursts",
    "All workers start at the same moment and tick together: the server sees five requests at "
    "once and then nothing. One schedule for all, request k due at k / rate.",
)
def evenly(tester: Tester) -> Evidence:
    server = Server(calm())
    tester(server, RATE, WORKERS, 1.0)
    gaps = [b - a for a, b in zip(server.arrivals, server.arrivals[1:], strict=False)]
    together = sum(gap < 0.5 / RATE for gap in gaps)
    fair = not together and bool(gaps)
    return Evidence(fair, f"{together} of {len(server.arrivals)} close behind another")


@check(
    "what was due while the server was frozen is in the report",
    "A worker that waits for an answer misses its turns, and a tick that nobody takes is dropped. "
    "Count on: what was due is sent as soon as a worker is free.",
)
def nothing_missing(tester: Tester) -> Evidence:
    said, due = tester(frozen(), RATE, WORKERS, SECONDS).total_requests, RATE * SECONDS
    return Evidence(_close(said, due, 0.02), f"{said:,} of {due:,.0f} requests")


@check(
    "frozen for a second: p99 is what arithmetic demands",
    "A user who comes while the server is frozen waits from that moment on. Count the time from "
    "when the request was due, not from when a worker got round to sending it.",
)
def frozen_p99(tester: Tester) -> Evidence:
    """200 of 1,100 come while it is frozen; the first waits 1 s, each later one 5 ms less."""
    said = tester(frozen(), RATE, WORKERS, SECONDS).p99_latency
    beyond = RATE * SECONDS / 100
    true = FREEZE[1] - FREEZE[0] - beyond / RATE
    return Evidence(_close(said, true, 0.02), f"p99 {_ms(said)}, true is {_ms(true)}")


@check(
    "neither a 500 nor a broken connection is a success",
    "An exception means that no answer came, a status of 400 and more that it was no good one. "
    "Count both as failed.",
)
def failures(tester: Tester) -> Evidence:
    broken = Server(
        ModelServer(slots=1_000, service=0.001, fails=lambda n: n % 4 == 0),
        breaks=lambda n: n % 4 == 1,
    )
    said = tester(broken, 100, 10, 2.0)
    all_of_them = said.successful_requests + said.failed_requests == said.total_requests
    right = said.failed_requests == broken.failed > 0 and all_of_them
    return Evidence(right, f"{said.failed_requests} failed, true is {broken.failed}")


@check(
    "a server that fails fast does not look fast",
    "A 500 comes back at once. Percentiles of successes and failures together praise a server "
    "that fails; take those of the successes (and none where there are too few).",
)
def fails_fast(tester: Tester) -> Evidence:
    """Of 25 requests 24 fail within a millisecond; a success takes 100 ms."""
    model = ModelServer(slots=1_000, service=0.1, fails=lambda n: n % 25 != 0)
    said = tester(Server(model), 100, 20, 3.0).p95_latency
    honest = not _given(said) or _close(said, 0.1, 0.02)
    return Evidence(honest, f"p95 {_ms(said)}; a success takes 100.0 ms")


@check(
    "rps is what was answered, by the time that it took",
    "The last answers come after the asked duration, and the clock runs on until then: divide by "
    "the time until the last answer, or leave out what came after the end.",
)
def requests_a_second(tester: Tester) -> Evidence:
    """One slot of 20 ms answers 50 requests a second, whatever is asked of it."""
    server = Server(ModelServer(slots=1, service=0.02))
    said = tester(server, 200, 40, 4.0).rps
    return Evidence(_close(said, 50, 0.05), f"{said:.0f}/s, the server can do 50")


@check(
    "p95 and p99 are at the nearest rank, also where n·p is whole",
    "The p95 of 200 requests is the 190th in order, which a list that counts from 0 has at 189: "
    "⌈n·p⌉ − 1. int(n·p) is the next one.",
)
def ranks(tester: Tester) -> Evidence:
    """Request k takes k + 1 ms. Testers disagree on whether one is due at 0 or at the end."""
    found = ""
    for duration in (4.99, 5.01):
        server = Server(calm(lambda number: (number + 1) / 1e3))
        said = tester(server, 40, 40, duration)
        n = said.total_requests
        for p, value in ((95, said.p95_latency), (99, said.p99_latency)):
            rank = -(-n * p // 100)
            if not _given(value) and n * (100 - p) < 1_000:
                continue
            if not _close(value, rank / 1e3, 1e-6):
                return Evidence(False, f"p{p} of 1…{n} ms: {_ms(value)}, true is {rank} ms")
            found = f"p{p} of 1…{n} ms: {rank} ms"
    return Evidence(bool(found), found or "p95 of 200 requests not given")


@check(
    "a p99 of 50 requests is not given: it would be the slowest",
    "At least ten requests have to lie beyond a percentile before it says more than the slowest "
    "few did: 1,000 for a p99. Give None or nan for fewer.",
)
def too_few(tester: Tester) -> Evidence:
    said = tester(Server(calm()), 10, 5, 5.0).p99_latency
    return Evidence(not _given(said), f"p99 {_ms(said)}")


@check(
    "latency includes the body",
    "The header is there after 1 ms, the last byte 50 ms later. Stop the clock after the body was "
    "read.",
)
def whole_answer(tester: Tester) -> Evidence:
    said = tester(Server(calm(), body=0.05), 100, 10, 3.0).p95_latency
    return Evidence(_close(said, 0.051, 0.02), f"p95 {_ms(said)}, true is 51.0 ms")


@check(
    "connections are used again",
    "An answer that is closed unread takes its connection with it. Read the body to its end.",
)
def connections(tester: Tester) -> Evidence:
    server = Server(calm())
    tester(server, 100, 10, 3.0)
    few = server.connections <= 10
    return Evidence(few, f"{len(server.arrivals)} requests, {server.connections} connections")
