"""Virtual time: real asyncio code, a clock that jumps, the same result on every machine."""

import asyncio
import gc
import math
import random

import numpy as np
import pytest

from perflab.errors import DeadlockError
from perflab.measure import VirtualClock, run_virtual


def test_a_clock_stands_still_until_it_is_moved() -> None:
    """Reading it costs no time; moving it gives the new one."""
    clock = VirtualClock(5)
    assert (clock(), clock()) == (5.0, 5.0)
    assert clock.advance(2.5) == 7.5 == clock() == clock.now


@pytest.mark.parametrize("seconds", [-1e-9, math.nan, math.inf])
def test_a_clock_refuses_to_run_backwards_or_to_end(seconds: float) -> None:
    """ValueError, and the time is what it was."""
    clock = VirtualClock(1)
    with pytest.raises(ValueError, match=r"^seconds="):
        clock.advance(seconds)
    assert clock() == 1


def test_sleeping_moves_the_clock_by_as_much() -> None:
    """Also across sleeps that overlap: the longest decides."""
    clock = VirtualClock()

    async def main() -> list[float]:
        async def sleeper(seconds: float) -> float:
            await asyncio.sleep(seconds)
            return clock()

        return list(await asyncio.gather(sleeper(3), sleeper(1), sleeper(2)))

    assert run_virtual(main(), clock) == [3, 1, 2]
    assert clock() == 3


def test_a_year_of_sleep_is_a_jump() -> None:
    """A loop that waited for real would not come back from this line."""
    clock = VirtualClock()
    run_virtual(asyncio.sleep(365 * 86_400), clock)
    assert clock() == 365 * 86_400


def test_the_loops_time_is_the_clocks() -> None:
    """So that code which asks its loop sees virtual time too."""
    clock = VirtualClock(10)

    async def main() -> tuple[float, float]:
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(0.25)
        return before, asyncio.get_running_loop().time()

    assert run_virtual(main(), clock) == (10, 10.25)


@pytest.mark.parametrize("start", [0.0, 1e-9, 1.7e9, 1e15])
def test_a_timer_fires_however_late_the_clock_is(start: float) -> None:
    """`time.time()` as a start is natural; there the clock's steps are coarser than 1e-9 s."""
    clock = VirtualClock(start)

    async def main() -> None:
        for seconds in (0.1, 3.3, 1e-3, 7e-7):
            await asyncio.sleep(seconds)

    run_virtual(main(), clock)
    assert clock() == pytest.approx(start + 3.4010007, abs=8 * math.ulp(start))


def test_a_timer_never_fires_early() -> None:
    """A pattern compares clock readings with its time-out; a hair too early and it waits again."""
    clock = VirtualClock()
    rng = random.Random(4)
    early = []

    async def main() -> None:
        for _ in range(2_000):
            due = clock() + rng.expovariate(1)
            await asyncio.sleep(due - clock())
            early.append(due - clock())

    run_virtual(main(), clock)
    assert max(early) <= math.ulp(clock())


def test_a_time_out_strikes_at_its_time() -> None:
    """`asyncio.timeout` and `wait_for`, and a result that comes in time is kept."""
    clock = VirtualClock()

    async def main() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.sleep(5)
        assert clock() == 2
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 3)
        assert clock() == 5
        return await asyncio.wait_for(asyncio.sleep(1, "in time"), 2)

    assert run_virtual(main(), clock) == "in time"
    assert clock() == 6


def test_queues_locks_and_task_groups_work_as_they_are() -> None:
    """Two workers of one second each serve five jobs in three."""
    clock = VirtualClock()

    async def main() -> list[tuple[int, float]]:
        jobs: asyncio.Queue[int] = asyncio.Queue(maxsize=2)
        lock, done = asyncio.Lock(), []

        async def worker() -> None:
            while (job := await jobs.get()) >= 0:
                await asyncio.sleep(1)
                async with lock:
                    done.append((job, clock()))

        async with asyncio.TaskGroup() as group:
            group.create_task(worker())
            group.create_task(worker())
            for job in [0, 1, 2, 3, 4, -1, -1]:
                await jobs.put(job)
        return done

    assert run_virtual(main(), clock) == [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3)]


def queue_waits(
    arrival_rate: float, service_rate: float, n: int
) -> tuple[list[float], list[float]]:
    """Return response times of an M/M/1 queue as asyncio code, and by Lindley's recursion."""
    rng = np.random.default_rng(11)
    gaps = rng.exponential(1 / arrival_rate, n)
    services = rng.exponential(1 / service_rate, n)

    async def main() -> list[float]:
        loop, server = (
            asyncio.get_running_loop(),
            asyncio.Lock(),
        )  # a Lock is fair: first come first

        async def request(service: float) -> float:
            arrived = loop.time()
            async with server:
                await asyncio.sleep(service)
            return loop.time() - arrived

        requests = []
        for gap, service in zip(gaps, services, strict=True):
            await asyncio.sleep(gap)
            requests.append(asyncio.create_task(request(service)))
        return list(await asyncio.gather(*requests))

    expected, wait = [], 0.0
    for i in range(n):
        expected.append(wait + services[i])
        wait = max(0.0, expected[-1] - (gaps[i + 1] if i + 1 < n else 0.0))
    return run_virtual(main()), expected


def test_a_queue_of_asyncio_code_waits_as_lindley_says() -> None:
    """Request by request: the simulation adds nothing of its own."""
    simulated, expected = queue_waits(8, 10, 3_000)
    assert simulated == pytest.approx(expected, abs=1e-9)


def test_an_mm1_queue_responds_in_the_time_that_theory_gives() -> None:
    """Mean 1/(μ−λ), within three standard errors from the means of twenty batches."""
    simulated, _ = queue_waits(6, 10, 20_000)
    batches = np.array(simulated).reshape(20, -1).mean(axis=1)
    error = batches.std(ddof=1) / math.sqrt(len(batches))
    assert abs(batches.mean() - 1 / (10 - 6)) < 3 * error
    assert error < 0.1 * batches.mean()  # else the line above says little


def test_a_run_is_the_same_each_time() -> None:
    """Equal seeds give equal interleavings and equal times, to the last digit."""

    def trace() -> list[tuple[float, str]]:
        clock, rng, seen = VirtualClock(), random.Random(3), []

        async def task(name: str) -> None:
            for _ in range(20):
                await asyncio.sleep(rng.choice([0, 0.1, rng.random()]))
                seen.append((clock(), name))

        async def main() -> None:
            await asyncio.gather(*(task(name) for name in "abcd"))

        run_virtual(main(), clock)
        return seen

    assert trace() == trace()
    assert len(set(trace())) > 20


def test_a_deadlock_is_reported_instead_of_waited_for() -> None:
    """Two tasks, two locks, opposite order; the message says when it happened."""

    async def main() -> None:
        one, two = asyncio.Lock(), asyncio.Lock()

        async def both(first: asyncio.Lock, second: asyncio.Lock) -> None:
            async with first:
                await asyncio.sleep(1.5)
                async with second:
                    pass

        await asyncio.gather(both(one, two), both(two, one))

    with pytest.raises(DeadlockError, match=r"1\.5 s"):
        run_virtual(main())


def test_a_timer_that_is_never_due_hides_no_deadlock() -> None:
    """`sleep(inf)`, the usual way to idle, is no reason to wait for ever; it can be cancelled."""

    async def idle() -> None:
        await asyncio.sleep(math.inf)

    async def cancelled() -> float:
        task = asyncio.create_task(idle())
        await asyncio.sleep(1)
        task.cancel()
        async with asyncio.timeout(math.inf):
            await asyncio.wait([task])
        return asyncio.get_running_loop().time()

    with pytest.raises(DeadlockError):
        run_virtual(idle())
    assert run_virtual(cancelled()) == 1


def test_what_main_leaves_behind_is_cancelled_and_cleans_up() -> None:
    """Tasks and asynchronous generators; a clean-up may take (virtual) time."""
    clock, seen = VirtualClock(), []

    async def background() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(2)
            seen.append(("task", clock()))

    async def numbers():  # type: ignore[no-untyped-def]  # an async generator, left in the middle
        try:
            yield 1
            yield 2
        finally:
            seen.append(("generator", clock()))

    async def main() -> str:
        asyncio.create_task(background())  # noqa: RUF006  # left behind, as careless code does
        await asyncio.sleep(1)
        kept.append(numbers())
        await anext(kept[0])
        return "result"

    kept: list = []  # type: ignore[type-arg]  # keeps the generator alive beyond main
    assert run_virtual(main(), clock) == "result"
    assert seen == [("task", 3), ("generator", 3)]


def test_a_clean_up_that_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """As asyncio.run tells it: through the loop's exception handler."""

    async def background() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            raise RuntimeError("clean-up failed")

    async def main() -> None:
        asyncio.create_task(background())  # noqa: RUF006  # left behind, as careless code does
        await asyncio.sleep(1)

    run_virtual(main())
    assert "clean-up failed" in caplog.text


def test_an_error_of_main_reaches_the_caller() -> None:
    """And the loop is closed, so that nothing is left to be warned about."""

    async def main() -> None:
        await asyncio.sleep(1)
        raise KeyError("from main")

    with pytest.raises(KeyError, match="from main"):
        run_virtual(main())
    gc.collect()  # an unclosed loop would warn here, and warnings of that kind are errors


def test_it_runs_inside_a_running_loop_as_in_a_notebook() -> None:
    """The outer loop and its current task are out of sight meanwhile, and back afterwards."""

    async def inner(outer: asyncio.AbstractEventLoop) -> float:
        # From Python 3.14 on no other task could run, had the outer one not been left.
        assert asyncio.current_task(outer) is None
        await asyncio.gather(*(asyncio.sleep(5) for _ in range(3)))
        return asyncio.get_running_loop().time()

    async def notebook() -> None:
        outer, task = asyncio.get_running_loop(), asyncio.current_task()
        assert run_virtual(inner(outer)) == 5
        assert asyncio.get_running_loop() is outer
        assert asyncio.current_task() is task
        with pytest.raises(DeadlockError):
            run_virtual(asyncio.Event().wait())
        assert asyncio.current_task() is task
        await asyncio.sleep(0)

    asyncio.run(notebook())


def test_one_run_can_hold_another() -> None:
    """Each with its clock: a simulation may be a step of a simulation."""

    async def inner() -> float:
        await asyncio.sleep(7)
        return asyncio.get_running_loop().time()

    async def outer() -> tuple[float, float]:
        await asyncio.sleep(1)
        return run_virtual(inner()), asyncio.get_running_loop().time()

    assert run_virtual(outer()) == (7, 1)


def test_what_is_no_coroutine_is_refused_by_name() -> None:
    """The usual slip: the function, not its call."""

    async def main() -> None:
        pass

    with pytest.raises(ValueError, match=r"^main="):
        run_virtual(main)  # type: ignore[arg-type]  # that is the test
