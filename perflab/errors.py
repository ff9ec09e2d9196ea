"""Every error that perflab raises of its own, and the one way to refuse a bad argument."""

from numbers import Real
from typing import TypeGuard

LONGEST = 200  # characters of a value in a message


class PerflabError(Exception):
    """Something that perflab cannot do; the message says what and how to mend it."""


class TooFewSamplesError(PerflabError):
    """A percentile this far out needs more samples than there are."""


class DifferentMachinesError(PerflabError):
    """Results from two machines were about to be compared as one series."""


class DeadlockError(PerflabError):
    """Virtual time stands still: every task waits and nothing is due that could wake one."""


class ServerError(PerflabError):
    """A server did not start, or died while it was needed."""


class MissingProgramError(ServerError):
    """A server's program is not on this machine; the message says what to install."""


class OtherSystemError(PerflabError):
    """What is tried is another operating system's; the message says which one's."""


class LoadError(PerflabError):
    """The load generator itself failed: nothing can be said about the server."""


class AcquireTimeoutError(PerflabError, TimeoutError):
    """Nothing became free in the time that the caller was ready to wait."""


class ClosedError(PerflabError):
    """It was used after it had been closed, or closed while the caller waited."""


class DoubleReleaseError(PerflabError):
    """Something was given back that had been given back before, or came from elsewhere."""


class CircuitOpenError(PerflabError):
    """The breaker is open, or half-open with all its probes under way: the call was not made."""


class BulkheadFullError(PerflabError):
    """Every slot of the bulkhead was held for as long as the caller was ready to wait."""


class ReentrantLoadError(PerflabError):
    """A load of a key asked for that same key: it would have waited for itself."""


class StageError(PerflabError):
    """A stage of a pipeline, or its source, failed; `item` is what it failed on.

    The original error is its `__cause__`.
    """

    def __init__(self, message: str, item: object = None) -> None:
        super().__init__(message)
        self.item = item


class StoppedError(ClosedError, RuntimeError):
    """A worker pool was stopped and takes no more; RuntimeError is what an Executor raises."""


class PanicError(PerflabError):
    """What ends the whole process in Go, in a port of Go code: a send on a closed channel."""


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Refuse an argument: ValueError that names it, shows its value and says what is allowed."""
    if not condition:
        raise ValueError(f"{name}={_shown(value)}: must be {allowed}")


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is an int and not a bool, which Python counts among the ints."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, numpy's too (infinite and nan are), and not a bool."""
    return isinstance(value, int | float | Real) and not isinstance(value, bool)


def _shown(value: object) -> str:
    """A value in a message: shortened where it is long, its type where it cannot be written."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
