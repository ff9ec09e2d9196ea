"""Watching processes come and go: what the tests of servers share."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

# A kernel that starts a server, tells about it and waits for its end.
OWNER = """
import os, sys, time
sys.path.insert(0, {tests!r})
{make}
server.start()
{then}
print(server.pid, server._supervisor.pid, server._folder, flush=True)
time.sleep(600)
"""


def gone(pid: int) -> bool:
    """Whether no program runs under that number; a zombie runs none, it only awaits its parent."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def owner_of(make: str, then: str = "") -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A process that runs `make`, starts `server`, runs `then`; and the words it printed."""
    code = OWNER.format(tests=str(Path(__file__).parent), make=make, then=then)
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with owner:
        try:
            yield owner, owner.stdout.readline().split()
        finally:
            owner.kill()
