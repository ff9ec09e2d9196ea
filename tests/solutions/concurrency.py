"""Chapter 6: an answer to each exercise, and wrong ones with what their hint must name."""

import itertools
import math
import queue
import threading
import time
from collections import deque, namedtuple
from concurrent.futures import ThreadPoolExecutor, as_completed

# ── 1: the fewest workers


def little(rate, cpu_ms, wait_ms):
    if rate * cpu_ms > 1_000:
        return None
    return -(-rate * (cpu_ms + wait_ms) // 1_000)


def rounds_down(rate, cpu_ms, wait_ms):
    return None if rate * cpu_ms > 1_000 else max(1, rate * (cpu_ms + wait_ms) // 1_000)


def the_wait_alone(rate, cpu_ms, wait_ms):
    return None if rate * cpu_ms > 1_000 else -(-rate * wait_ms // 1_000)


def without_a_lock(rate, cpu_ms, wait_ms):
    return -(-rate * (cpu_ms + wait_ms) // 1_000)


def one_to_spare(rate, cpu_ms, wait_ms):
    enough = little(rate, cpu_ms, wait_ms)
    return None if enough is None else enough + 1


def in_floating_seconds(rate, cpu_ms, wait_ms):
    if rate * cpu_ms > 1_000:
        return None
    return math.ceil(rate * ((cpu_ms + wait_ms) / 1_000))


# ── 2: four at once, in order


def window(function, items, workers=4, places=8):
    with ThreadPoolExecutor(workers) as pool:
        ahead = deque()
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) == places:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for task in ahead:
                task.cancel()


def a_loop(function, items):
    for item in items:
        yield function(item)


def eight_at_once(function, items):
    yield from window(function, items, workers=8, places=16)


def reads_all(function, items):
    with ThreadPoolExecutor(4) as pool:
        yield from pool.map(function, items)


def as_they_come(function, items):
    items = iter(items)
    with ThreadPoolExecutor(4) as pool:
        while some := list(itertools.islice(items, 8)):
            for task in as_completed([pool.submit(function, item) for item in some]):
                yield task.result()


def in_groups(function, items, size=4):
    items = iter(items)
    with ThreadPoolExecutor(4) as pool:
        while some := list(itertools.islice(items, size)):
            yield from pool.map(function, some)


def in_larger_groups(function, items):
    yield from in_groups(function, items, size=16)


def four_places(function, items):
    yield from window(function, items, places=4)


def one_too_many(function, items):
    items = iter(items)
    with ThreadPoolExecutor(4) as pool:
        ahead = deque(pool.submit(function, item) for item in itertools.islice(items, 16))
        while ahead:
            value = ahead.popleft().result()
            ahead.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
            yield value


def whichever_fails_first(function, items):
    items = iter(items)
    with ThreadPoolExecutor(4) as pool:
        ahead = deque(pool.submit(function, item) for item in itertools.islice(items, 8))
        while ahead:
            ahead[0].exception()
            for task in [one for one in ahead if one.done()]:
                task.result()
            yield ahead.popleft().result()
            ahead.extend(pool.submit(function, item) for item in itertools.islice(items, 1))


def swallows(function, items):
    try:
        yield from window(function, items)
    except Exception:
        return


def never_ended(function, items):
    jobs = queue.SimpleQueue()

    def work():
        while True:
            item, answer = jobs.get()
            try:
                answer.put((function(item), None))
            except Exception as error:
                answer.put((None, error))

    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()

    def take():
        value, error = ahead.popleft().get()
        if error is not None:
            raise error
        return value

    ahead = deque()
    for item in items:
        ahead.append(queue.SimpleQueue())
        jobs.put((item, ahead[-1]))
        if len(ahead) == 8:
            yield take()
    while ahead:
        yield take()


# ── 3: the guide's pool mended

Result = namedtuple("Result", "job_id data error")


class Mended:
    """A queue under one condition; results have all the room; a worker never waits for room."""

    caught = BaseException
    helps = True

    def __init__(self, workers, process):
        if workers < 1:
            raise ValueError("at least one worker")
        self.workers, self.process, self.size = workers, process, 2 * workers
        self.jobs, self.results = deque(), queue.SimpleQueue()
        self.changed, self.stopped = threading.Condition(), False
        self.crew, self.here = [], threading.local()

    def start(self):
        with self.changed:
            if self.crew:
                return
            self.crew = [
                threading.Thread(target=self.work, daemon=True) for _ in range(self.workers)
            ]
        for thread in self.crew:
            thread.start()

    def work(self):
        self.here.works = True
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.jobs or self.stopped)
                if not self.jobs:
                    return
                job = self.jobs.popleft()
                self.changed.notify_all()
            self.do(job)

    def do(self, job):
        try:
            result = Result(job.id, self.process(job.data), None)
        except self.caught as error:
            result = Result(job.id, None, error)
        self.results.put(result)

    def submit(self, job):
        with self.changed:
            if not (self.helps and getattr(self.here, "works", False)):
                self.changed.wait_for(lambda: len(self.jobs) < self.size or self.stopped)
            if self.stopped:
                raise RuntimeError("stopped")
            if len(self.jobs) < self.size:
                self.jobs.append(job)
                self.changed.notify_all()
                return
        self.do(job)

    def get_result(self):
        return self

    def receive(self):
        result = self.results.get()
        if result is None:
            self.results.put(None)
        return result, result is not None

    def stop(self):
        with self.changed:
            self.stopped = True
            back = list(self.jobs)
            self.jobs.clear()
            self.changed.notify_all()
        for thread in self.crew:
            thread.join()
        self.results.put(None)
        return back


class ResultsInAChannel(Mended):
    def __init__(self, workers, process):
        super().__init__(workers, process)
        self.results = queue.Queue(max(1, 2 * workers))


class LosesTheQueue(Mended):
    def stop(self):
        super().stop()
        return []


class TakesAfterTheStop(Mended):
    def submit(self, job):
        if not self.stopped:
            super().submit(job)


class SaysNo(Mended):
    """Returns False instead of raising an error."""

    def submit(self, job):
        try:
            super().submit(job)
        except RuntimeError:
            return False


class HandsBackNumbers(Mended):
    def stop(self):
        return [job.id for job in super().stop()]


class EndsTooEarly(Mended):
    """Whoever asks after the stop is told the end, though workers are still at it."""

    def receive(self):
        while True:
            try:
                result = self.results.get(timeout=0.01)
                return result, result is not None
            except queue.Empty:
                if self.stopped:
                    return None, False


class EndsOnce(Mended):
    def receive(self):
        result = self.results.get()
        return result, result is not None


class TakesItsTime(Mended):
    """Right, though a submit notices only after a while that it is refused."""

    def submit(self, job):
        try:
            super().submit(job)
        except RuntimeError:
            threading.Event().wait(0.01)
            raise


class ExceptionsAlone(Mended):
    caught = Exception


class WaitsForItself(Mended):
    helps = False


class WithoutABound(Mended):
    def __init__(self, workers, process):
        super().__init__(workers, process)
        self.size = 10**9


class StartsAgain(Mended):
    def start(self):
        self.crew, before = [], self.crew
        super().start()
        self.crew += before


# ── 4: the benchmark that was lucky


def ticks_beside(job, until=0.5):
    """How many times a second thread got the lock in the first half of the job."""
    moments, leaving = [], threading.Event()

    def tick():
        while not leaving.is_set():
            time.sleep(0.0002)
            moments.append(time.perf_counter())

    ticker = threading.Thread(target=tick)
    ticker.start()
    time.sleep(0.005)
    begin = time.perf_counter()
    job()
    end = time.perf_counter()
    leaving.set()
    ticker.join()
    return sum(begin < moment < begin + until * (end - begin) for moment in moments)


def by_ticks(jobs):
    return {
        letter
        for letter, job in jobs.items()
        if sorted(ticks_beside(job) for _ in range(5))[2] <= 2
    }


def nobody(jobs):
    return set()


def all_that_compute(jobs):
    found = set()
    for letter, job in jobs.items():
        begin = time.thread_time()
        job()
        if time.thread_time() - begin > 0.005:
            found.add(letter)
    return found


def any_tick(jobs):
    return {letter for letter, job in jobs.items() if ticks_beside(job, until=1.1) == 0}


def whoever_computes_in_turns(jobs):
    """Fewer than a tick in two milliseconds: a loop in Python too, which gives others turns."""
    found = set()
    for letter, job in jobs.items():
        begin = time.perf_counter()
        job()
        half_ms = 500 * (time.perf_counter() - begin)
        if max(ticks_beside(job) for _ in range(3)) < half_ms / 2:
            found.add(letter)
    return found


def learnt_by_heart(jobs):
    return {"A", "C", "D", "F"}


SOLUTIONS = {1: little, 2: window, 3: Mended, 4: by_ticks}
ALSO_RIGHT = {3: [TakesItsTime]}
WRONG = {
    1: {
        rounds_down: "part of a thread is none",
        the_wait_alone: "its computing and its waiting",
        without_a_lock: "no number of threads is enough",
        one_to_spare: "rounded up",
        in_floating_seconds: "in whole numbers",
    },
    2: {
        a_loop: "before you wait for the result of the first",
        eight_at_once: "and no more",
        reads_all: "do not read all items",
        as_they_come: "in the order in which",
        in_groups: "not when a group of them is done",
        in_larger_groups: "not when a group of them is done",
        four_places: "more than four are taken",
        one_too_many: "Take the next only when one was yielded",
        whichever_fails_first: "is yielded first",
        swallows: "is not swallowed",
        never_ended: "`finally`",
    },
    3: {
        ResultsInAChannel: "A result needs a place of its own",
        LosesTheQueue: "the queue is emptied",
        TakesAfterTheStop: "Raise an error",
        SaysNo: "Raise an error",
        HandsBackNumbers: "the jobs themselves",
        EndsTooEarly: "not while one is still at a job",
        EndsOnce: "not once only",
        ExceptionsAlone: "SystemExit is no Exception",
        WaitsForItself: "A worker must not wait",
        WithoutABound: "Give it a size",
        StartsAgain: "Refuse the second start",
    },
    4: {
        nobody: "got away",
        all_that_compute: "lets others run beside it",
        any_tick: "in the first half of the call",
        whoever_computes_in_turns: "gives the lock away when",
        learnt_by_heart: "second thread tick",
    },
}
