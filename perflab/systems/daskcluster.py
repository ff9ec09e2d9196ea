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
from concurrent.futures import Executor
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Self

from perflab.errors import MissingProgramError, ServerError, require

START_TIMEOUT = 60.0  # seconds


class Cluster:
    """A scheduler and its workers; a context manager. Nothing runs until it is entered.

    State: Dask's cluster and its client, None when nothing was started.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._cluster: Any = None
        self._client: Any = None

    def __enter__(self) -> Self:
        dask: Any = import_module("distributed")  # it has no types
        self._cluster = dask.LocalCluster(
            n_workers=self._workers, threads_per_worker=1, processes=True, host="127.0.0.1",
            dashboard_address=None, silence_logs=50, memory_limit=0,
        )  # fmt: skip
        try:
            self._client = dask.Client(self._cluster, set_as_default=False)
            self._client.wait_for_workers(self._workers, timeout=START_TIMEOUT)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for part in (self._client, self._cluster):
            if part is not None:
                part.close()
        self._client = self._cluster = None

    def executor(self) -> Executor:
        """One whose calls run in the workers: give it to a pipeline's stage, or submit to it."""
        self._must_run()
        executor: Executor = self._client.get_executor(pure=False)
        return executor

    def pids(self) -> list[int]:
        """Process ids of the workers; a worker that was killed comes back under another one."""
        self._must_run()
        return sorted(self._client.run(os.getpid).values())

    def kill_worker(self) -> int:
        """Kill one worker with what it is at; returns its process id. Others take its work over."""
        pid = self.pids()[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def _must_run(self) -> None:
        if self._client is None:
            raise ServerError("the cluster was never started, or was stopped")


def cluster(workers: int = 2) -> Cluster:
    """So many worker processes of one thread each.

        with cluster(2) as dask:
            Pipeline(transform(work, workers=8, executor=dask.executor()))

    ValueError for a number that makes no sense, MissingProgramError where Dask is not installed.
    """
    whole = isinstance(workers, int) and not isinstance(workers, bool) and 1 <= workers <= 64
    require(whole, "workers", workers, "a whole number from 1 to 64")
    if find_spec("distributed") is None:
        raise MissingProgramError('Dask is not installed: pip install "perflab[distributed]"')
    return Cluster(workers)
