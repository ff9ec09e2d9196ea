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

from perflab.contracts.threads import eventually

BEGIN = """
import time
from contextlib import ExitStack
from pathlib import Path
from perflab.systems import balancer, cluster, link, postgres, scratch, valkey, webapp
print("begins", flush=True)
with ExitStack() as stack:
    use = stack.enter_context
    {use}
    print("ready", flush=True)
    time.sleep(600)
"""
SERVERS = """
    use(valkey()), use(postgres())
    shop = use(webapp())
    use(link(shop)), use(balancer([shop]))
    Path(use(scratch()), "file").write_text("…")
"""
DASK = "use(cluster(2))"
DATABASES = """
    from perflab.experiments.twodatabases import TwoDatabases
    from perflab.systems import shop
    use(TwoDatabases(shop(1_000)))
"""
LOCUST = """
    from threading import Thread
    from perflab.systems import Closed, Scenario, run_locust
    target = use(link(use(webapp())))
    Thread(target=run_locust, args=(Scenario(Closed(2, duration=60)), target)).start()
    while target.counts().connections < 2: time.sleep(0.05)
"""
# At the least: the kernel, the servers with their supervisors, Dask's workers,
# Locust's master and workers.
PROCESSES = {SERVERS: 10, DASK: 5, DATABASES: 4, LOCUST: 8}
MOMENTS = [(SERVERS, 0.05), (SERVERS, 0.3), (SERVERS, 0.6), (SERVERS, 1.0), (SERVERS, None),
           (DASK, 0.7), (DASK, 1.4), (DASK, 2.1), (DASK, None),
           (DATABASES, 1.2), (DATABASES, None), (LOCUST, 1.5), (LOCUST, None)]  # fmt: skip


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


@pytest.mark.parametrize(("use", "moment"), MOMENTS)
def test_nothing_is_left_of_a_killed_kernel(use, moment, folder):
    """While what it uses starts, one after the other, and once all is ready (None)."""
    env = {**os.environ, "TMPDIR": str(folder)}
    code = BEGIN.format(use=use.strip())
    kernel = subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True
    )
    with kernel:
        try:
            assert kernel.stdout.readline() == "begins\n"
            if moment is None:
                assert kernel.stdout.readline() == "ready\n"
                assert len(left(folder)) >= PROCESSES[use]
                assert list(folder.iterdir())
            else:
                with pytest.raises(subprocess.TimeoutExpired):  # any moment will do
                    kernel.wait(moment)
        finally:
            kernel.send_signal(signal.SIGKILL)
    assert eventually(lambda: not left(folder), 5), left(folder)
    assert eventually(lambda: not list(folder.iterdir()), 5), list(folder.iterdir())
