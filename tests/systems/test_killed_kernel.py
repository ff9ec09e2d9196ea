"""A kernel that is killed at any moment leaves no process, no folder and no socket."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from processes import wait_until

KERNEL = """
import time
from perflab.systems import balancer, link, postgres, valkey, webapp
print("begins", flush=True)
with valkey() as v, postgres() as p, webapp() as w, link(w) as l, balancer([w]) as b:
    print("ready", flush=True)
    time.sleep(600)
"""


def left(folder):
    """Processes that the kernel has started: that folder is in their environment, or, of those
    that clear it, in their command."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("TMPDIR") == str(folder)
            if (
                mine or str(folder) in " ".join(process.cmdline())
            ) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            pass
    return found


@pytest.fixture
def folder():
    """A folder for temporary files that other users may enter: PostgreSQL does not run as root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("moment", [0.05, 0.3, 0.6, 1.0, None])
def test_nothing_is_left_of_a_killed_kernel(moment, folder):
    """While its servers start, one after the other, and once all are ready (None)."""
    env = {**os.environ, "TMPDIR": str(folder)}
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL], env=env, stdout=subprocess.PIPE, text=True
    )
    with kernel:
        try:
            assert kernel.stdout.readline() == "begins\n"
            if moment is None:
                assert kernel.stdout.readline() == "ready\n"
                assert len(left(folder)) >= 10  # the kernel, five servers and their supervisors
            else:
                with pytest.raises(subprocess.TimeoutExpired):  # any moment will do
                    kernel.wait(moment)
        finally:
            kernel.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not left(folder), 5), left(folder)
    assert wait_until(lambda: not list(folder.iterdir()), 5), list(folder.iterdir())
