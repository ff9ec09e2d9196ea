"""A process that has the judges loaded and forks one for each answer: an import takes half a
second, a fork some milliseconds.

It reads a task from each line of its input and writes a result to each line of its output. It runs
no code of a student's itself. An answer that kills it costs its own mark: the grader starts
another one.
"""

import contextlib
import ctypes
import json
import os
import secrets
import select
import shutil
import signal
import sys
import tempfile
import time
from typing import Any

import numpy as np
import psutil

from perflab.book.exercises.borrowing import borrowed
from perflab.book.grading import judged
from perflab.book.grading.limits import FIRST_USER, Limits
from perflab.systems import shop

LARGEST = 4 << 20  # bytes of a result
ORPHANS, DUMPABLE = 36, 4  # prctl: orphans come to this process; /proc shows it to nobody else


def main(number: int) -> None:
    """Serve tasks until the input ends, as the nursery of that number."""
    _prepare()
    user = _user_of_its_own(FIRST_USER + number)
    print(json.dumps({"apart": user is not None}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(_do(task, Limits(**task["limits"]), user)), flush=True)


def _prepare() -> None:
    """What each answer would else pay for; and what keeps answers away from this process."""
    shop()
    borrowed(_prepare)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the grader ends this process itself
    if sys.platform == "linux":
        control = ctypes.CDLL(None).prctl
        control(ORPHANS, 1, 0, 0, 0)
        control(DUMPABLE, 0, 0, 0, 0)


def _user_of_its_own(user: int) -> int | None:
    """This user, if answers can be run as they: we are root, and they can read the judges."""
    if os.getuid() != 0:
        return None
    files = (judged.__file__, np.__file__, tempfile.__file__, shop().path)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            status = 0 if all(os.access(one, os.R_OK) for one in files) else 1
        finally:
            os._exit(status)
    return user if os.waitpid(child, 0)[1] == 0 else None


def _do(task: dict[str, Any], most: Limits, user: int | None) -> dict[str, Any]:
    """The result of a task, or how its process ended without one: {"ended": …}."""
    folder = tempfile.mkdtemp(prefix="answer-")
    reading, writing = os.pipe()
    try:
        if user is not None:
            os.chown(folder, user, user)
        busy = 0 if user is not None else _busy()
        secret = secrets.token_hex(16).encode()
        parent, child = os.getpid(), os.fork()
        if child == 0:
            judged.run_and_exit(task, folder, writing, secret, most, user, busy, parent)
        os.close(writing)
        written = _read(reading, most.wall)
        how = _end(child)
        if written is None or (not written and how == -signal.SIGXCPU):
            return {"ended": "late"}
        return _result(written, secret)
    finally:
        os.close(reading)
        shutil.rmtree(folder, ignore_errors=True)


def _busy() -> int:
    """Threads that this user has: the system counts them together with those of the answer."""
    mine, threads = os.getuid(), 0
    for one in psutil.process_iter(["uids", "num_threads"]):
        uids = one.info["uids"]
        threads += one.info["num_threads"] or 0 if uids and uids.real == mine else 0
    return threads


def _read(reading: int, seconds: float) -> bytes | None:
    """All that was written until the end; None where there was no end in time."""
    end, size = time.monotonic() + seconds, 0
    chunks: list[bytes] = []
    while (left := end - time.monotonic()) > 0 and size <= LARGEST:
        if select.select([reading], [], [], left)[0]:
            chunk = os.read(reading, 65_536)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
    return None


def _end(child: int) -> int:
    """End the answer's process and all that it has left, also in sessions of their own.

    Returns its exit code, or minus the signal that ended it; one that had ended keeps what it had.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    how = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen: set[int] = set()
    while new := [one for one in _left() if one.pid not in seen]:
        seen |= {one.pid for one in new}  # stopped first, so that none has time to fork
        for one in new:
            with contextlib.suppress(psutil.Error):
                one.suspend()
    for one in _left():
        with contextlib.suppress(psutil.Error):
            one.kill()
    with contextlib.suppress(ChildProcessError):
        while _left():
            os.waitpid(-1, 0)
    return how


def _left() -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    return found


def _result(written: bytes, secret: bytes) -> dict[str, Any]:
    if not written:
        return {"ended": "died"}
    if not written.startswith(secret):
        return {"ended": "forged"}
    try:
        result: dict[str, Any] = json.loads(written[len(secret) :])
    except ValueError:
        return {"ended": "forged"}
    return result


if __name__ == "__main__":
    main(int(sys.argv[1]))
