"""Every error that perflab raises of its own, and the one way to refuse a bad argument."""

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


class LoadError(PerflabError):
    """The load generator itself failed: nothing can be said about the server."""


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Refuse an argument: ValueError that names it, shows its value and says what is allowed."""
    if not condition:
        raise ValueError(f"{name}={_shown(value)}: must be {allowed}")


def _shown(value: object) -> str:
    """A value in a message: shortened where it is long, its type where it cannot be written."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
