"""The guide's worker pool, ported with its defects (guide, lines 777–870, Go).

Kept as they are:

- results go into a channel of 2·workers: once it is full, every worker waits for a reader, so
  that of jobs submitted before a result is read 5·workers are taken (2 in the one queue, 1 in
  hand, 2 in the other, for each worker) and the next submit waits for ever;
- the channel of results is closed after `stop` only: who reads to its end before waits for ever;
- `stop` cancels: a worker that finds a job waiting and the pool stopped takes either, at random,
  and the jobs that are still in the queue are in no result;
- `submit` after `stop` returns as if the job had been taken, whether it found room or not;
- a worker that waits for a reader does not listen to `stop`: a reader who leaves keeps them all;
- `start` twice starts twice as many workers, and two that close the results: the second panics;
- no workers make channels without room, and the first submit waits for ever;
- `Result.error` is never set.

What Python changes: a job that panics ends the whole process in Go; here it ends one worker, and
its job is in no result. A panic ends the thread that meets it. What the guide leaves to
`processJob`, whose body is a comment there, is an argument here: `process(data)`.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perflab.guide.parts.channels import Channel, Choose, Context, Receive, Send, select


@dataclass(frozen=True)
class Job:
    id: int
    data: Any = None


@dataclass(frozen=True)
class Result:
    job_id: int
    data: Any = None
    error: BaseException | None = None


def _same(data: Any) -> Any:
    return data


class WorkerPool:
    """Workers that take jobs from one channel and leave results in another.

    Go's select takes any of the cases that are ready: `choose` makes that choice.
    """

    def __init__(
        self,
        worker_count: int,
        process: Callable[[Any], Any] = _same,
        *,
        choose: Choose = random.choice,
    ) -> None:
        self.worker_count = worker_count
        self.process = process
        self._choose = choose
        self._job_queue = Channel(worker_count * 2)
        self._result_queue = Channel(worker_count * 2)
        self._context = Context()

    def start(self) -> None:
        workers = [self._go(self._worker) for _ in range(self.worker_count)]

        def close_after_the_last() -> None:
            for worker in workers:
                worker.join()
            self._result_queue.close()

        self._go(close_after_the_last)

    @staticmethod
    def _go(function: Callable[[], None]) -> threading.Thread:
        """Go's `go`. What Go ends without a word at the end of its main is a daemon here."""
        thread = threading.Thread(target=function, daemon=True)
        thread.start()
        return thread

    def _worker(self) -> None:
        cases = [Receive(self._job_queue), Receive(self._context.done)]
        while (taken := select(cases, self._choose)).case == 0:
            self._result_queue.send(self._process_job(taken.value))

    def _process_job(self, job: Job) -> Result:
        return Result(job.id, self.process(job.data))

    def submit(self, job: Job) -> None:
        select([Send(self._job_queue, job), Receive(self._context.done)], self._choose)

    def get_result(self) -> Channel:
        return self._result_queue

    def stop(self) -> None:
        self._context.cancel()
