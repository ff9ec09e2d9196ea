"""`cluster()`: Dask's scheduler and worker processes on this machine, to work past one process.

What stands here runs on a hundred machines as well: a `Client` of any scheduler has an executor.
Two of its ways are others than those of a pool in this process:

- by default Dask takes every call for a pure function and makes it once for equal arguments:
  twenty calls of `os.urandom(8)` give one value. Here calls are impure, as anywhere else.
- functions and values travel pickled between its processes: let nobody in whom you do not trust.
  All of it listens on 127.0.0.1 alone.
"""

import os
import signal
import socket
import sys
from concurrent.futures import Executor
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Self

from perflab.errors import MissingProgramError, ServerError, is_whole, require
from perflab.systems.servers import HOST, Server

START_TIMEOUT = 60.0  # seconds
# Scheduler, workers and what they write are the server's processes and in the server's folder: they
# go with it. What the workers import they find where we do.
START = """
import sys, threading
import dask
from distributed import LocalCluster
dask.config.set({"temporary-directory": sys.argv[3]})
with LocalCluster(
    n_workers=int(sys.argv[1]), scheduler_port=int(sys.argv[2]), threads_per_worker=1,
    processes=True, host="127.0.0.1", dashboard_address=None, silence_logs=50, memory_limit=0,
):
    threading.Event().wait()
"""


class Cluster(Server):
    """A scheduler and its workers: a `Server` of several processes.

    State beside the server's: our `_client`, None while it does not run. The same lock guards it.
    """

    name = "Dask cluster"

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._client: Any = None
        super().__init__(
            [sys.executable, "-c", START, f"{workers}", "{port}", "{folder}"],
            inherits_socket=False,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            timeout=START_TIMEOUT,
        )

    @property
    def url(self) -> str:
        """The scheduler's address, for a `Client`."""
        return f"tcp://{HOST}:{self.port}"

    def start(self) -> Self:
        """Start it and return when all workers are there."""
        with self._lock:
            if self._client is None:
                super().start()
                try:
                    dask: Any = import_module("distributed")  # it has no types
                    self._client = dask.Client(self.url, set_as_default=False)
                    self._client.wait_for_workers(self._workers, timeout=START_TIMEOUT)
                except BaseException:
                    self.stop()
                    raise
        return self

    def kill(self) -> None:
        """End it at once, with all its workers."""
        self._close_client()
        super().kill()

    def restart(self) -> None:
        """Kill it if it runs, and start it again on the same port, with new workers."""
        with self._lock:
            self.kill()
            super().restart()

    def stop(self) -> None:
        """End it cleanly and remove what belonged to it; a second time does nothing."""
        self._close_client()
        super().stop()

    def executor(self, *, pure: bool = False) -> Executor:
        """One whose calls run in the workers: give it to a pipeline's stage, or submit to it.

        With `pure`, Dask's own default, equal calls are made once.
        """
        self._client_must_run()
        executor: Executor = self._client.get_executor(pure=pure)
        return executor

    def pids(self) -> list[int]:
        """Process ids of the workers; a worker that was killed comes back under another one."""
        self._client_must_run()
        return sorted(self._client.run(os.getpid).values())

    def kill_worker(self) -> int:
        """Kill one worker with what it is at; returns its process id. Others take its work over."""
        pid = self.pids()[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def _client_must_run(self) -> None:
        if self._client is None:
            raise ServerError("the cluster was never started, or was stopped")

    def _close_client(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _answers(self, port: int, timeout: float) -> None:
        socket.create_connection((HOST, port), timeout).close()


def cluster(workers: int = 2) -> Cluster:
    """So many worker processes of one thread each.

        with cluster(2) as dask:
            Pipeline(transform(work, workers=8, executor=dask.executor()))

    ValueError for a number that makes no sense, MissingProgramError where Dask is not installed.
    """
    whole = is_whole(workers) and 1 <= workers <= 64
    require(whole, "workers", workers, "a whole number from 1 to 64")
    if find_spec("distributed") is None:
        raise MissingProgramError('Dask is not installed: pip install "perflab[distributed]"')
    return Cluster(workers)
