"""The worker pool beyond its contract: statistics, interrupts, exit, asyncio, nesting, map."""

import asyncio
import itertools
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import CancelledError, wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perflab.contracts.parts.jobs import Gate
from perflab.contracts.threads import Running, eventually
from perflab.errors import ClosedError, StoppedError
from perflab.patterns import WorkerPool
from perflab.patterns.parts.task import LockedTask, Task


class WithoutGil(WorkerPool):
    """Ours as it is where the interpreter has no lock of its own."""

    _task = LockedTask


@pytest.fixture(params=[WorkerPool, WithoutGil])
def pools(request):
    return request.param


def busy(pool, workers=1):
    """The gate at which so many of the pool's workers wait, once they are there."""
    gate = Gate()
    for _ in range(workers):
        pool.submit(gate, 0)
    assert eventually(lambda: gate.inside == workers)
    return gate


def test_what_is_handed_back_can_be_run_elsewhere(pools):
    """Stop returns the calls themselves, with their arguments, and their tasks are cancelled."""
    pool = pools(1, 10)
    gate = busy(pool)
    tasks = [pool.submit(pow, number, exp=2) for number in range(5)]
    stopping = Running(lambda: pool.stop(drain=False))
    assert eventually(lambda: all(task.cancelled() for task in tasks))
    gate.open()
    assert [call() for call in stopping.result()] == [0, 1, 4, 9, 16]
    assert pool.stop(drain=False) == []
    with pytest.raises(CancelledError):
        tasks[0].result()


@given(
    st.lists(st.sampled_from(["submit", "fail", "cancel", "cancel last"]), max_size=20),
    st.booleans(),
)
def test_every_task_is_counted_once(actions, drain):
    """Taken = finished + cancelled + handed back, whatever was done while the worker was busy."""
    pool = WorkerPool(1, 20)
    gate = busy(pool)
    tasks, cancelled = [], set()
    for action in actions:
        if action == "submit":
            tasks.append(pool.submit(abs, 1))
        elif action == "fail":
            tasks.append(pool.submit(abs, "x"))
        elif tasks:
            number = 0 if action == "cancel" else len(tasks) - 1
            assert tasks[number].cancel()
            cancelled.add(number)
    assert pool.stats().queued == len(tasks)
    assert pool.stats().running == 1
    if drain:
        gate.open()
    stopping = Running(lambda: pool.stop(drain=drain))
    eventually(lambda: pool.stats().queued == 0)
    gate.open()
    back, stats = stopping.result(), pool.stats()
    assert stats.handed_back == len(back) == (0 if drain else len(tasks) - len(cancelled))
    assert stats.cancelled == len(cancelled)
    assert 1 + len(tasks) == stats.finished + stats.cancelled + stats.handed_back
    assert stats.failed <= actions.count("fail")
    assert all(task.done() for task in tasks)


def test_a_job_that_is_waited_for_runs_in_the_worker_that_waits(pools):
    """The only worker runs the child itself, and it is counted like any other."""
    with pools(1, 5) as pool:

        def parent():
            child = pool.submit(threading.get_ident)
            return child.result() == threading.get_ident()

        assert pool.submit(parent).result()
    assert pool.stats().finished == 2


def test_a_job_that_waits_with_a_timeout_is_not_kept_by_its_child():
    """Running the child could take longer than the caller wants to wait: it waits, as asked."""
    with WorkerPool(1, 5) as pool:

        def parent():
            child = pool.submit(abs, -1)
            with pytest.raises(TimeoutError):
                child.result(timeout=0)
            return child

        child = pool.submit(parent).result()
        assert child.result() == 1


def test_stop_inside_a_job_does_not_wait_for_it(pools):
    """Two jobs that stop their own pool at the same time would otherwise wait for each other."""
    pool, barrier = pools(2, 5), threading.Barrier(2)

    def job():
        barrier.wait()
        back = pool.stop()
        with pytest.raises(StoppedError):
            pool.submit(abs, 1)
        return back

    assert [task.result(10) for task in [pool.submit(job), pool.submit(job)]] == [[], []]
    with pytest.raises(StoppedError):
        pool.submit(abs, 1)
    assert Running(pool.stop).result() == []


def test_a_pool_that_is_stopped_refuses_as_an_executor_and_as_the_others_here():
    """StoppedError is the RuntimeError of Executor and the ClosedError of this package."""
    pool = WorkerPool(1, 1)
    pool.shutdown(wait=False)
    for kind in (RuntimeError, ClosedError):
        with pytest.raises(kind, match="stopped"):
            pool.submit(abs, 1)


def interrupted(call, when):
    """KeyboardInterrupt in this, the main thread, as soon as `when()` is true."""

    def interrupt():
        assert eventually(when)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    interrupter = Running(interrupt)
    with pytest.raises(KeyboardInterrupt):
        call()
    interrupter.result()


def test_an_interrupted_wait_for_room_takes_the_job_back(pools):
    """Nobody has its task: it is not run, and the pool goes on."""
    pool, ran = pools(1, 1), []
    gate = busy(pool)
    pool.submit(ran.append, "waits in the queue")
    interrupted(lambda: pool.submit(ran.append, "never"), lambda: pool._staff.door)
    gate.open()
    pool.submit(ran.append, "next")
    pool.stop()
    assert ran == ["waits in the queue", "next"]


def test_an_interrupted_stop_can_be_repeated(pools):
    """What the first one found is handed back by the second."""
    pool = pools(1, 5)
    gate = busy(pool)
    pool.submit(pow, 2, 3)
    interrupted(lambda: pool.stop(drain=False), lambda: pool._staff.returned)
    gate.open()
    assert [call() for call in pool.stop()] == [8]


def test_a_stop_interrupted_before_it_told_the_workers_can_be_repeated(monkeypatch):
    """Closed, but the end is not in the queue: the next stop puts it there."""
    pool = WorkerPool(2, 5)
    with monkeypatch.context() as patch:
        patch.setattr(pool._staff, "queue", None)  # the line after `limit` raises
        with pytest.raises(AttributeError):
            pool.stop()
    assert Running(pool.stop).result() == []


def test_an_interrupted_result_leaves_the_task_alone(pools):
    """The task ends, and can be asked again."""
    with pools(1, 5) as pool:
        gate = busy(pool)
        task = pool.submit(abs, -3)
        interrupted(task.result, lambda: task._line and task._line.waiters)
        gate.open()
        assert task.result() == 3


EXIT = """
import os
from perflab.patterns import WorkerPool
pool = WorkerPool(2, 100)
for number in range(20):
    pool.submit(os.write, 1, b"%d " % number)
"""


@pytest.mark.parametrize("end", ["", "del pool", "raise SystemExit(0)"])
def test_the_interpreter_finishes_what_was_taken_and_ends(end):
    """A script that forgets to stop its pool neither hangs nor loses a job."""
    done = subprocess.run([sys.executable, "-c", EXIT + end], capture_output=True, timeout=60)
    assert sorted(map(int, done.stdout.split())) == list(range(20))
    assert (done.returncode, done.stderr) == (0, b"")


def test_asyncio_waits_for_its_tasks_and_cancels_them(pools):
    """`run_in_executor` takes the pool like any other."""
    with pools(1, 5) as pool:

        async def main():
            loop = asyncio.get_running_loop()
            results = await asyncio.gather(*(loop.run_in_executor(pool, abs, -n) for n in range(4)))
            gate = Gate()
            running = loop.run_in_executor(pool, gate, "through")
            waiting = loop.run_in_executor(pool, abs, 1)
            waiting.cancel()
            await asyncio.sleep(0)  # asyncio passes it on in its next round
            gate.open()
            with pytest.raises(ZeroDivisionError):
                await loop.run_in_executor(pool, divmod, 1, 0)
            return results, await running, waiting.cancelled()

        assert asyncio.run(main()) == ([0, 1, 2, 3], "through", True)
    assert pool.stats().cancelled == 1


def test_a_result_that_does_not_come_is_a_timeout_and_may_come_later(pools):
    """The wait ends; the task does not."""
    with pools(1, 5) as pool:
        gate = busy(pool)
        task = pool.submit(abs, -1)
        for timeout in (0, -1, 0.001):
            with pytest.raises(TimeoutError):
                task.result(timeout)
        with pytest.raises(TimeoutError):
            task.exception(0)
        assert task._line.waiters == []
        gate.open()
        assert task.result(1e300) == 1


def test_a_cancelled_task_tells_those_who_wait_for_it(pools):
    """Who waits for its result, who waits for several, and who left a callback."""
    with pools(1, 5) as pool:
        gate, told = busy(pool), []
        task = pool.submit(abs, -1)
        task.add_done_callback(told.append)
        waiting = Running(task.result)
        several = Running(lambda: wait([task]))
        assert eventually(lambda: len(task._waiters) == 2)
        assert task.cancel()
        assert waiting.join(10)
        assert isinstance(waiting.error, CancelledError)
        assert several.result(10).done == {task}
        assert told == [task]
        gate.open()


def test_two_who_cancel_at_the_same_time_are_told_the_same():
    """The second waits until the first has written what became of the task."""
    reached, go_on = threading.Event(), threading.Event()

    class Slow(Task):
        def take(self):
            call = super().take()
            if call is not None:
                reached.set()
                go_on.wait()
            return call

    task = Slow(lambda task: False, abs, (1,), {})
    first = Running(task.cancel)
    reached.wait()
    second = Running(task.cancel)
    assert eventually(lambda: second.ended, 0.05) is False
    go_on.set()
    assert first.result() is second.result() is True


def test_a_task_that_ends_just_before_somebody_lies_down_does_not_let_him_oversleep():
    """It ended after he had looked, and before he stood in line: he looks again."""

    def ends_meanwhile(task):
        task.run()
        return False

    task = Task(ends_meanwhile, abs, (-1,), {})
    assert Running(task.result).result() == 1


def test_a_task_tells_its_state(pools):
    """Waiting, running, ended: as every future does."""
    with pools(1, 5) as pool:
        gate = Gate()
        first, second = pool.submit(gate, 7), pool.submit(abs, 1)
        assert eventually(first.running)
        assert not first.cancel()
        assert not second.done()
        assert second.cancel()
        assert second.cancel()
        gate.open()
        assert first.result() == 7
        assert first.done()
        assert second.done()
        assert "finished returned int" in repr(first)


def test_map_in_chunks_gives_what_map_gives(pools):
    """Chunks change how, not what; several inputs end with the shortest."""
    with pools(3, 2) as pool:
        for chunksize in (1, 2, 7, 100):
            mapped = pool.map(pow, range(20), itertools.count(), chunksize=chunksize)
            assert list(mapped) == [n**n for n in range(20)]
        assert list(pool.map(abs, [])) == []
        assert list(pool.map(abs)) == []


def test_map_takes_an_endless_input(pools):
    """It reads on only when it is asked for more."""
    with pools(2, 4) as pool:
        numbers = itertools.count()
        squares = pool.map(lambda n: n * n, numbers, chunksize=3, buffersize=2)
        assert list(itertools.islice(squares, 100)) == [n * n for n in range(100)]
        assert next(numbers) <= 100 + 3 * 3


def test_map_gives_the_results_before_an_error_also_within_a_chunk(pools):
    """The chunk that fails gives what came before its error."""
    with pools(2, 4) as pool:
        got = []
        with pytest.raises(ZeroDivisionError):
            got.extend(pool.map(lambda n: 6 // (4 - n), range(9), chunksize=9))
        assert got == [1, 2, 3, 6]


def test_map_raises_what_its_input_raises(pools):
    """The error comes to whoever asks, and what is under way is cancelled or ends."""

    def numbers():
        yield from range(30)
        raise OSError("the source is gone")

    with pools(2, 4) as pool, pytest.raises(OSError, match="gone"):
        list(pool.map(abs, numbers()))


def test_map_times_out_and_lets_go(pools):
    """After the time-out nothing more of it is begun."""
    with pools(1, 4) as pool:
        gate = busy(pool)
        results = pool.map(abs, range(4), timeout=0)
        with pytest.raises(TimeoutError):
            next(results)
        gate.open()
    assert pool.stats().cancelled == 4


def test_an_error_that_is_forgotten_is_freed_without_the_collector(pools):
    """No cycle through the traceback keeps a task, its error and all their frames."""

    class Thing:
        pass

    def fail(thing):
        raise ValueError(thing)

    with pools(1, 4) as pool:
        thing = Thing()
        reference = weakref.ref(thing)
        task = pool.submit(fail, thing)
        with pytest.raises(ValueError, match="Thing"):
            task.result()
        del thing, task
        assert eventually(lambda: reference() is None)


def test_workers_that_cannot_be_had_leave_none_behind(monkeypatch):
    """Where the system refuses a thread, those that were started end again."""
    before, start = threading.active_count(), threading.Thread.start
    started = itertools.count()

    def refuse(thread):
        if next(started) == 3:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="new thread"):
        WorkerPool(5, 1)
    assert eventually(lambda: threading.active_count() == before)


def test_many_submitters_wait_in_turn_and_all_get_in(pools):
    """Those who wait for room are let in one by one, the first first."""
    pool, ran = pools(1, 1), []
    gate = busy(pool)
    pool.submit(ran.append, -1)
    submitters = []
    for number in range(5):
        submitters.append(Running(lambda number=number: pool.submit(ran.append, number)))
        assert eventually(lambda number=number: len(pool._staff.door) == number + 1)
    gate.open()
    assert all(submitter.join(10) for submitter in submitters)
    pool.stop()
    assert ran == [-1, 0, 1, 2, 3, 4]
