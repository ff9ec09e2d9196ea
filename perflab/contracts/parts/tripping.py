"""What must hold of a circuit breaker, the first part: when it opens and closes, and what counts.

The rest, and what is under test, stands in `perflab.contracts.breaker`.
"""

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.dependency import (
    FAILURES,
    RESET,
    Dependency,
    Maker,
    fail,
    outcome,
    tripped,
)
from perflab.measure.virtual import VirtualClock

# ── open and closed again


@check(
    "three failures in a row open it: the next call is not made",
    "Count failures, and at the third begin to refuse: raise CircuitOpenError before the call.",
)
def opens(make: Maker) -> Evidence:
    breaker, dependency = make(FAILURES, RESET, clock=VirtualClock()), Dependency()
    for _ in range(10):
        outcome(breaker, dependency.bad)
    return Evidence(dependency.calls == FAILURES, f"{dependency.calls} of 10 calls made")


@check(
    "what a call returns and raises reaches its caller",
    "Return the result of fn, and raise its error again when it has been counted.",
)
def passes_on(make: Maker) -> Evidence:
    breaker, dependency = make(FAILURES, RESET, clock=VirtualClock()), Dependency()
    result = breaker.execute(dependency.good)
    raised = outcome(breaker, dependency.bad)
    return Evidence(
        result == "good" and raised == "ConnectionError", f"got {result!r} and {raised}"
    )


@check(
    "after the reset time-out one good call closes it",
    "When the time-out has passed let a call through, and if it succeeds, close.",
)
def closes(make: Maker) -> Evidence:
    breaker, _ = tripped(make)
    dependency = Dependency()
    made = [outcome(breaker, dependency.good) for _ in range(5)].count("good")
    return Evidence(made == 5, f"{made} of 5 calls made")


@check(
    "a bad probe opens it for another reset time-out",
    "A failure while half-open opens it at once, and the time-out begins anew with it.",
)
def bad_probe(make: Maker) -> Evidence:
    breaker, clock = tripped(make)
    fail(breaker, 1)
    clock.advance(RESET - 1)
    dependency = Dependency()
    refused = outcome(breaker, dependency.good) == "refused"
    clock.advance(2)
    return Evidence(
        refused and outcome(breaker, dependency.good) == "good",
        f"{'refused' if refused else 'called'} a second before its end",
    )


# ── what counts


@check(
    "a crash counts as a failure too",
    "Only OSError is counted; a bug in the client or an answer it cannot read raises others. "
    "Count every Exception.",
)
def crashes(make: Maker) -> Evidence:
    breaker, made = make(FAILURES, RESET, clock=VirtualClock()), []

    def crash() -> None:
        made.append(1)
        raise ZeroDivisionError

    for _ in range(100):
        outcome(breaker, crash)
    return Evidence(len(made) == FAILURES, f"{len(made)} of 100 let through")


@check(
    "an interrupt or a cancelled task is no failure",
    "KeyboardInterrupt and CancelledError are no Exception: they say that the caller gave up, "
    "not that the dependency failed. Count Exception, not BaseException.",
)
def interrupts(make: Maker) -> Evidence:
    breaker, dependency = make(FAILURES, RESET, clock=VirtualClock()), Dependency()

    def interrupted() -> None:
        raise KeyboardInterrupt

    for _ in range(10):
        outcome(breaker, interrupted)
    outcome(breaker, dependency.good)
    return Evidence(dependency.calls == 1, f"after 10 of them {dependency.calls} of 1 call made")


@check(
    "a dependency that fails every second time is left alone",
    "Every success sets the count of failures to 0, so it never gets to three. Look at the share "
    "of failures among the last calls, 20 say, as well.",
)
def alternating(make: Maker) -> Evidence:
    breaker, dependency = make(FAILURES, RESET, clock=VirtualClock()), Dependency()
    for number in range(10_000):
        outcome(breaker, dependency.bad if number % 2 else dependency.good)
    return Evidence(dependency.calls <= 100, f"{dependency.calls:,} of 10,000 let through")


@check(
    "three failures an hour apart do not open it",
    "They are in a row, but say nothing of the present. Forget failures after some time: a minute.",
)
def hours_apart(make: Maker) -> Evidence:
    clock, dependency = VirtualClock(), Dependency()
    breaker = make(FAILURES, RESET, clock=clock)
    for _ in range(FAILURES):
        clock.advance(3600)
        fail(breaker, 1)
    outcome(breaker, dependency.good)
    return Evidence(dependency.calls == 1, f"{dependency.calls} of 1 call made")
