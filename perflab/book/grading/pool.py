"""The nurseries that a grader keeps, one for each answer that is judged at a time."""

import contextlib
import json
import os
import queue
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from perflab.book.grading.limits import Limits
from perflab.book.readers import ROOT
from perflab.errors import PerflabError

# One thread for numpy: more take address space. The same order of sets in every run.
FIXED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}

Task = Mapping[str, Any]


class Nursery:
    """A nursery's process, started anew when an answer has ended it. State: the process."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._process = self._start()
        self.apart = bool(self._result()["apart"])  # whether answers run as another user

    def ask(self, task: Task) -> dict[str, Any]:
        """The result of a task; {"ended": "killed"} where the nursery ended over it."""
        assert self._process.stdin is not None  # a pipe, see _start
        try:
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()
            return self._result()
        except (OSError, PerflabError):  # before it could read, or after
            return self._anew()

    def close(self) -> None:
        """End it, and with it the process of an answer that it has under way."""
        with contextlib.suppress(OSError):
            self._process.kill()
            self._process.communicate()

    def _anew(self) -> dict[str, Any]:
        self.close()
        self._process = self._start()
        self._result()
        return {"ended": "killed"}

    def _start(self) -> "subprocess.Popen[str]":
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "perflab.book.grading.nursery", str(self._number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=kept | FIXED | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
            start_new_session=True,  # the terminal's interrupt is the grader's alone
        )

    def _result(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # a pipe, see _start
        try:
            result: dict[str, Any] = json.loads(self._process.stdout.readline())
        except ValueError as error:
            raise PerflabError("The process that has the judges has ended.") from error
        return result


class Pool:
    """Nurseries, each for one task at a time. State: all of them, and a queue of the idle ones."""

    def __init__(self, size: int, limits: Limits) -> None:
        self._limits = asdict(limits)
        self._all = [Nursery(number) for number in range(size)]
        self._idle: queue.SimpleQueue[Nursery] = queue.SimpleQueue()
        for one in self._all:
            self._idle.put(one)

    @property
    def apart(self) -> bool:
        """Whether answers run as a user of their own."""
        return all(one.apart for one in self._all)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._all:
            one.close()

    def all(self, tasks: Sequence[Task], unit: str) -> list[dict[str, Any]]:
        """The results of all tasks, in order; progress goes to stderr.

        An empty task has an empty result. After an interrupt no other task is begun.
        """
        with ThreadPoolExecutor(len(self._all)) as threads:
            running = [threads.submit(self._one, task) for task in tasks]
            try:
                for _ in tqdm(as_completed(running), total=len(running), unit=unit):
                    pass
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                self.__exit__()
                raise
            return [one.result() for one in running]

    def _one(self, task: Task) -> dict[str, Any]:
        if not task:
            return {}
        nursery = self._idle.get()
        try:
            return nursery.ask({**task, "limits": self._limits})
        finally:
            self._idle.put(nursery)
