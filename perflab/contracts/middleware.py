"""What must hold of a middleware that counts and times the requests of a web application.

Under test is `make(app, clock)`: it wraps an ASGI application and returns a `Watched`, which is
the wrapped application and a function that tells what was counted so far. `by_lines` makes one
of a middleware that logs a line a request, `by_counters` of one with three counters, `by_stats`
of a class like RequestMonitor.

A check plays the server on virtual time: it knows each request that came in, when its last byte
was sent, and who left. A middleware may be wrong about none of them.
"""

import asyncio
import math
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.tally import Make, Tally, by_counters, by_lines, by_stats
from perflab.contracts.parts.webclient import END, PART, START, BrokenError, Client, play, script
from perflab.measure.request import App, Receive, Send
from perflab.measure.virtual import VirtualClock, run_virtual

__all__ = ["Make", "by_counters", "by_lines", "by_stats"]


def _same(seconds: float, true: float) -> bool:
    return math.isclose(seconds, true, rel_tol=1e-6, abs_tol=1e-9)


def _in_all(said: float, true: float) -> Evidence:
    return Evidence(_same(said, true), f"{said:.3g} s in all, true is {true:.3g} s")


def _of(counted: int, true: int, what: str) -> Evidence:
    return Evidence(counted == true, f"{counted} of {true} {what}")


# ── What it counts


@check(
    "an answered request is counted once, with its time",
    "Read the clock when the application is called and when its answer is complete.",
)
def answered(make: Make) -> Evidence:
    tally, _ = play(make, *[(script(0.25, START, END), Client()) for _ in range(3)])
    right = tally.requests == 3 and _same(tally.seconds, 0.75)
    return Evidence(right, f"{tally.requests} of 3 counted, {tally.seconds:.2f} of 0.75 s")


@check(
    "a 500 is told from a 200",
    "The status stands in the message http.response.start. Keep it beside the time.",
)
def status(make: Make) -> Evidence:
    """Two errors among three answers."""
    answers = [script({**START, "status": code}, END) for code in (500, 200, 503)]
    tally, _ = play(make, *[(app, Client()) for app in answers])
    failed = sum(n for code, n in tally.statuses.items() if code >= 500)
    return _of(failed, 2, "errors counted")


@check(
    "a streamed body counts to its last byte",
    "The head of an answer comes long before its end. Stop the clock at the last part.",
)
def streamed(make: Make) -> Evidence:
    tally, _ = play(make, (script(START, PART, 1.0, PART, 2.0, END), Client()))
    return _in_all(tally.seconds, 3.0)


@check(
    "a slow stream is told as slow",
    "What a user waits for is the last byte: compare the whole time with the threshold.",
)
def slow(make: Make) -> Evidence:
    tally, _ = play(make, (script(START, 1.5, END), Client()), (script(0.5, START, END), Client()))
    return _of(tally.slow, 1, "slow requests told")


@check(
    "every part of a stream goes out when it is sent",
    "A wrapper that only writes hides that the application can flush. Pass each part on at once.",
)
def flushed(make: Make) -> Evidence:
    client = Client()
    play(make, (script(START, PART, 1.0, PART, 1.0, PART, 1.0, END), client))
    on_time = sum(seconds < 3.0 for seconds, sent in client.got if sent is PART)
    return _of(on_time, 3, "parts before the end")


@check(
    "0.6 ms is not nothing: 100 requests take 60 ms",
    "Whole milliseconds cut 0.6 to 0. Keep seconds as a float, or nanoseconds.",
)
def short(make: Make) -> Evidence:
    tally, _ = play(make, *[(script(0.0006, START, END), Client()) for _ in range(100)])
    return _in_all(tally.seconds, 0.06)


# ── Who fails


@check(
    "a handler that raises is counted",
    "What stands after the call is skipped when it raises. Count in a finally.",
)
def raises(make: Make) -> Evidence:
    tally, _ = play(make, (script(0.5, BrokenError("no")), Client()))
    return _of(tally.requests, 1, "counted")


@check(
    "a stream that breaks off half-way is counted, and as failed",
    "Its status was a 200, and its client got half a body. Note that the handler raised.",
)
def breaks_off(make: Make) -> Evidence:
    tally, _ = play(make, (script(START, PART, 0.5, BrokenError("no")), Client()))
    right = tally.requests == tally.raised == 1
    return Evidence(right, f"{tally.requests} of 1 counted, {tally.raised} as failed")


@check(
    "an exception goes on to the server",
    "Note it and raise it again: who swallows it leaves the client without an answer.",
)
def raised_on(make: Make) -> Evidence:
    error = BrokenError("no")
    _, raised = play(make, (script(error), Client()))
    return _of(sum(one is error for one in raised), 1, "raised on")


@check(
    "a cancelled request is counted",
    "A server that shuts down cancels: CancelledError is no Exception, but finally sees it.",
)
def cancelled(make: Make) -> Evidence:
    async def impatient(scope: Any, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        now_or_never = asyncio.get_running_loop().call_later(0.5, task.cancel)
        try:
            await asyncio.sleep(3600)
        finally:
            now_or_never.cancel()

    clock, client = VirtualClock(), Client()
    watched = make(impatient, clock)

    async def serve() -> None:
        task = asyncio.ensure_future(watched.app(client.scope, client.receive, client.send))
        await asyncio.wait([task])

    run_virtual(serve(), clock)
    return _of(watched.tally().requests, 1, "counted")


# ── Who leaves


def _three(make: Make) -> Tally:
    """One stays; one leaves before the answer; one leaves a stream, and the handler notices."""
    tally, _ = play(
        make,
        (script(1.0, START, END), Client()),
        (script(1.0, START, END), Client(leaves=1.5, refuses=True)),
        (script(START, PART, Client), Client(leaves=3.0)),
    )
    return tally


@check(
    "requests in are requests counted, whoever leaves",
    "The event of a complete answer never comes for a client that left. Count when the handler "
    "ends, however it ends.",
)
def in_is_out(make: Make) -> Evidence:
    return _of(_three(make).requests, 3, "counted")


@check(
    "who left is told from who got an answer",
    "A 200 that nobody received is none. OSError from send tells it, and so does the message "
    "http.disconnect that the handler received.",
)
def left(make: Make) -> Evidence:
    """Nor is leaving a failure of the handler."""
    tally = _three(make)
    right = tally.left == 2 and tally.raised == 0
    return Evidence(right, f"{tally.left} of 2 known to have left, {tally.raised} failures made up")


@check(
    "who left unnoticed is told, too",
    "Many servers drop in silence what is sent to a client that has left, and the handler never "
    "asked. Look whether receive has http.disconnect ready before the last part is sent.",
)
def unnoticed(make: Make) -> Evidence:
    tally, _ = play(make, (script(1.0, START, END), Client(leaves=0.5)))
    return _of(tally.left, 1, "known to have left")


@check(
    "the time of who left ends with the leaving",
    "The handler may clean up for long after that. Take the time when the message came.",
)
def until_left(make: Make) -> Evidence:
    tally, _ = play(make, (script(START, PART, Client, 9.0), Client(leaves=1.0)))
    return _in_all(tally.seconds, 1.0)


# ── What comes before


@check(
    "the wait before the application is known where a proxy tells it",
    "The clock of a middleware starts after the queue. A proxy in front writes the moment that it "
    "got the request into X-Request-Start, as t=seconds.",
)
def waited(make: Make) -> Evidence:
    """Twenty come at once to an application that does one at a time, 10 ms each."""
    app = script(0.01, START, END)
    tally, _ = play(make, *[(app, Client(came=b"t=0.000")) for _ in range(20)])
    true = 0.01 * sum(range(20)) / 20
    right = _same(tally.waited / 20, true)
    return Evidence(right, f"mean wait {1e3 * tally.waited / 20:.0f} ms, true is {1e3 * true:.0f}")


@check(
    "a header that makes no sense harms nothing",
    "Anyone can write X-Request-Start. What is no number, or lies in the future, is no wait.",
)
def forged(make: Make) -> Evidence:
    headers = b",t=,t=x,t=nan,t=-inf,t=1e999,t=9,t=-9999,\xff,t=\xb2".split(b",")
    tally, raised = play(make, *[(script(START, END), Client(came=one)) for one in headers])
    right = tally.requests == len(headers) and tally.waited == 0 and not any(raised)
    return Evidence(right, f"{tally.requests} of {len(headers)} counted, {tally.waited:g} s waited")


@check(
    "what is no HTTP request passes untouched",
    "A lifespan or a websocket has other messages. Hand the server's own callables on.",
)
def others(make: Make) -> Evidence:
    got: list[object] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        got.extend([receive, send])

    clock, client = VirtualClock(), Client()
    watched = make(app, clock)
    given = [client.receive, client.send]
    for kind in ("lifespan", "websocket"):
        run_virtual(_called(watched.app, kind, given), clock)
    right = got == given * 2 and watched.tally().requests == 0
    return Evidence(right, f"{watched.tally().requests} counted")


async def _called(app: App, kind: str, given: list[Any]) -> None:
    await app({"type": kind}, *given)
