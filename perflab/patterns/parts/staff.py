"""The threads of a `WorkerPool` and what they share: the queue, the door, the counts."""

import threading
from collections import deque
from queue import Empty, SimpleQueue
from typing import Any

from perflab.errors import StoppedError
from perflab.patterns.parts.task import RAISED, RETURNED, Call, Task


class Worker:
    """One thread of a pool. Its state, which it alone writes, without a lock:

    - `met`: how many tasks it has met of each kind (RETURNED, RAISED, DROPPED, GONE);
    - `busy`: whether it is in a call.
    """

    def __init__(self, staff: "Staff") -> None:
        self.met = [0, 0, 0, 0]
        self.busy = False
        self._staff = staff
        self.thread = threading.Thread(target=self._loop, daemon=True)
        self.thread.start()

    def _loop(self) -> None:
        staff, ident, met = self._staff, threading.get_ident(), self.met
        staff.by_ident[ident] = self
        get, door = staff.queue.get, staff.door
        while (task := get()) is not None:
            self.busy = True
            if door:
                staff.let_in()
            met[task.run()] += 1
            self.busy = False
            del task  # an idle worker holds on to nothing
        del staff.by_ident[ident]
        staff.queue.put(None)  # the end is for the others too


class Staff:
    """What a pool's threads share; they do not hold the pool, which may be dropped. Its state:

    - `queue`: the tasks taken, and None, the end, once the pool is closed;
    - `limit`: tasks that may wait in the queue; -1, so that every submit sees it, once the pool is
      closed: set before the end is put, never unset;
    - `door`: the locks on which those wait whose task is beyond `limit`; guarded by `_lock`;
    - `workers`, `by_ident`: the threads; in `by_ident` only while they live;
    - `returned`: calls that no worker will run, until `stop` hands them back;
    - `handed_back`, `cancelled`: what `hand_back` found in the queue; guarded by `_lock`.
    """

    def __init__(self, workers: int, size: int) -> None:
        self.limit = size
        self.queue: SimpleQueue[Task[Any] | None] = SimpleQueue()
        self.door: deque[threading.Lock] = deque()
        self.by_ident: dict[int, Worker] = {}
        self.workers: list[Worker] = []
        self.returned: deque[Call] = deque()
        self.handed_back = self.cancelled = 0
        self._lock = threading.Lock()
        try:
            for _ in range(workers):
                self.workers.append(Worker(self))
        except BaseException:  # no more threads to be had, or interrupted
            self.close()
            raise

    @property
    def closed(self) -> bool:
        return self.limit < 0

    @property
    def at_home(self) -> bool:
        """Whether the pool is closed and every worker has ended."""
        return self.closed and not self.by_ident

    @property
    def at_work(self) -> bool:
        """Whether this thread is one of the workers, in the middle of a job."""
        return threading.get_ident() in self.by_ident

    def helps(self, task: Task[Any]) -> bool:
        """Run the task here and now, if this thread is a worker and nobody has begun with it."""
        worker = self.by_ident.get(threading.get_ident())
        if worker is None:
            return False
        outcome = task.run()
        worker.met[outcome] += outcome in (RETURNED, RAISED)
        return outcome in (RETURNED, RAISED)

    def settle(self, task: Task[Any]) -> None:
        """After a put: the queue is over its limit, or the pool was closed meanwhile."""
        if self.at_work:
            _ = self.closed or self.helps(task)
        else:
            self._wait_at_the_door(task)
        if self.closed and task.take() is not None:
            raise StoppedError("the pool was stopped: it takes no more tasks")

    def _wait_at_the_door(self, task: Task[Any]) -> None:
        mine = threading.Lock()
        mine.acquire()
        try:
            with self._lock:
                self.door.append(mine)
            self.let_in()
            mine.acquire()
        except BaseException:  # interrupted: nobody will ever ask for this task
            task.take()
            with self._lock:
                if mine in self.door:
                    self.door.remove(mine)
            raise

    def let_in(self) -> None:
        """Wake the first at the door until only those beyond `limit` are left there."""
        with self._lock:
            while self.door and (self.closed or self.queue.qsize() - self.limit < len(self.door)):
                self.door.popleft().release()

    def close(self) -> None:
        """Take no more; the workers end when they have done what was taken.

        Each time all of it: the time before may have been interrupted, and two ends do no harm.
        """
        self.limit = -1
        self.queue.put(None)
        self.let_in()

    def hand_back(self) -> None:
        """Into `returned`: the calls that nobody has begun. Their tasks end as cancelled."""
        found_the_end = False
        try:
            while True:
                task = self.queue.get_nowait()
                if task is None:
                    found_the_end = True
                else:
                    self._hand_back(task)
        except Empty:
            pass
        finally:
            if found_the_end:
                self.queue.put(None)

    def _hand_back(self, task: Task[Any]) -> None:
        call = task.withdraw()
        with self._lock:
            if call is not None:
                self.returned.append(call)
                self.handed_back += 1
            elif task.cancelled():
                self.cancelled += 1

    def join(self) -> None:
        """Until every worker has ended. A worker does not wait: two could wait for each other."""
        if not self.at_work:
            for worker in self.workers:
                worker.thread.join()
