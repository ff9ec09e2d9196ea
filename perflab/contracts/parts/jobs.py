"""What the worker pool's contract is made of: jobs, a gate they wait at, and pools being filled."""

import itertools
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from perflab.contracts.threads import Running, eventually

Make = Callable[[int, Callable[[Any], Any]], Any]
SOON = 1.0  # seconds until a child process reports that something never came, before its deadline


class Job(NamedTuple):
    id: int
    data: Any = None


class Result(NamedTuple):
    job_id: int
    data: Any
    error: BaseException | None


def on_jobs(executor: Callable[[int, int], Any], *, drain: bool = True) -> Make:
    """The pool of jobs that an Executor like ours makes, with a queue of two jobs for a worker."""
    return lambda workers, process: _Jobs(executor(workers, 2 * workers), process, drain)


class _Jobs:
    """A pool of jobs: a job leaves its result in a queue."""

    def __init__(self, executor: Any, process: Callable[[Any], Any], drain: bool) -> None:
        self._executor, self._process, self._drain = executor, process, drain
        self._results: queue.SimpleQueue[Result | None] = queue.SimpleQueue()

    def start(self) -> None:
        """Its workers have been there since it was made."""

    def submit(self, job: Job) -> None:
        self._executor.submit(self._work, job)

    def _work(self, job: Job) -> None:
        try:
            self._results.put(Result(job.id, self._process(job.data), None))
        except BaseException as error:
            self._results.put(Result(job.id, None, error))
            raise

    def get_result(self) -> "_Jobs":
        return self

    def receive(self) -> tuple[Result | None, bool]:
        result = self._results.get()
        if result is None:
            self._results.put(None)
        return result, result is not None

    def stop(self) -> Any:
        handed_back = self._executor.stop(drain=self._drain)
        self._results.put(None)
        return handed_back


class Gate:
    """A job's work: to wait until the gate opens. It counts those inside, and the most of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened = threading.Event()
        self.inside = self.most = 0
        self.open = self._opened.set

    def __call__(self, data: Any) -> Any:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._opened.wait()
        with self._lock:
            self.inside -= 1
        return data


def started(make: Make, workers: int, process: Callable[[Any], Any]) -> Any:
    pool = make(workers, process)
    pool.start()
    return pool


def rest(pool: Any) -> list[Any]:
    """The results that are still to come, to their end."""
    results, channel = [], pool.get_result()
    while (got := channel.receive())[1]:
        results.append(got[0])
    return results


def switch_often() -> None:
    """In a child process: threads take turns every 10 µs instead of 5 ms, so that races happen."""
    sys.setswitchinterval(1e-5)


def received(pool: Any, count: int) -> Running:
    """A reader under way of so many results."""
    return Running(lambda: [pool.get_result().receive() for _ in range(count)])


def all_out(pool: Any) -> tuple[list[Any], int]:
    """The results to their end, and how many jobs were handed back, of a pool that is stopped."""
    reader, handed_back = Running(lambda: rest(pool)), pool.stop()
    return reader.result(), len(handed_back or [])


def fill(make: Make, workers: int, gate: Gate) -> Any:
    """A pool with a job in the hand of each worker, and two waiting for each."""
    pool = started(make, workers, gate)
    for number in range(3 * workers):
        pool.submit(Job(number, number))
        if number == workers - 1 and not eventually(lambda: gate.inside == workers):
            raise TimeoutError(f"only {gate.inside} of {workers} workers took a job")
    return pool


def stop_when_full(make: Make, gate: Gate) -> tuple[Any, Running, Running]:
    """A full pool, the stop of it, and a submit that was waiting for room when the stop came."""
    pool = fill(make, 4, gate)
    late = Running(lambda: pool.submit(Job(99, 99)))
    eventually(lambda: late.ended, 0.02)  # it gets as far as waiting, or has found room
    stopping = Running(pool.stop)
    eventually(lambda: late.ended, SOON)  # the stop has come through to those who wait
    gate.open()
    return pool, stopping, late


def until_refused(
    submit: Callable[[int], Any], taken: list[int], stopped: threading.Event
) -> Callable[[], None]:
    """Submits until it is refused, or 50 more after the stop: at it in any case when that comes.

    `taken` gets the number of each that was not refused.
    """

    def submit_all() -> None:
        late = 0
        for number in itertools.count():
            if late == 50:
                return
            late += stopped.is_set()
            try:
                submit(number)
            except Exception:
                return
            taken.append(number)

    return submit_all


def failing(kind: type[BaseException]) -> Callable[[Any], Any]:
    def process(data: Any) -> Any:
        if data is None:
            raise kind("as asked")
        return data

    return process
