"""Trying what may hang: in a forked child process, for a limited time.

A fork carries what no import could: a class that a reader has just written in a notebook. The
child runs nothing but the check and ends without clean-up, so threads that hang in it are gone.
"""

import json
import os
import select
import signal
import warnings
from collections.abc import Callable
from typing import Any

SLICE = 0.1  # seconds
SLICES = 20  # on a machine that stalls the parent too, a slice takes longer, and so may the child


class ChildError(Exception):
    """What was tried in the child raised this."""


def in_child(function: Callable[[Any], Any], thing: Any) -> tuple[bool, str]:
    """`function(thing)` in a child process: the `holds` and `found` of the evidence it returns.

    (False, "still waiting …") where it did not end in about two seconds. Raises
    NotImplementedError as the child did (a stub), and ChildError for what else it raised.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns that a fork of many threads may hang in the child: it has a deadline
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        _run_and_exit(function, thing, writing)
    os.close(writing)
    try:
        answer = _read(reading)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return _evidence(answer)


def _run_and_exit(function: Callable[[Any], Any], thing: Any, writing: int) -> None:
    """In the child: the answer goes into the pipe, and the process ends on the spot."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's interrupt is not the child's
        try:
            seen = function(thing)
            answer = {"holds": bool(seen.holds), "found": str(seen.found)}
        except BaseException as error:
            answer = {"raised": type(error).__name__, "message": str(error)}
        with os.fdopen(writing, "w") as pipe:
            json.dump(answer, pipe)
    finally:
        os._exit(0)


def _read(reading: int) -> bytes | None:
    """All that the child wrote until it ended; None where it took too long."""
    chunks: list[bytes] = []
    for _ in range(SLICES):
        while select.select([reading], [], [], SLICE)[0]:
            chunk = os.read(reading, 65536)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
    return None


def _evidence(answer: bytes | None) -> tuple[bool, str]:
    if answer is None:
        return False, f"still waiting after {SLICE * SLICES:g} s"
    if not answer:
        return False, "the process died"
    said = json.loads(answer)
    if said.get("raised") == "NotImplementedError":
        raise NotImplementedError(said["message"])
    if "raised" in said:
        raise ChildError(f"{said['raised']}: {said['message']}")
    return said["holds"], said["found"]
