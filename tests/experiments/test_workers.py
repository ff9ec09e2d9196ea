"""Chapter 6's experiments: who keeps the lock, what pools and queues hold, who stays behind."""

import asyncio
import sys
import threading
from functools import partial

import numpy as np
import pytest

from perflab.experiments import grain, leaving, switching
from perflab.experiments.absorbing import absorb, absorb_live
from perflab.experiments.convoy import switching_every, waits
from perflab.experiments.heartbeat import heart, in_a_thread, in_the_loop
from perflab.experiments.jobs import Step, timed, uses_cpu
from perflab.experiments.lockholders import giving, keeping, loop, watched
from perflab.experiments.workercounts import bound, locks_here, runs, simulated, threads
from perflab.patterns import Pipeline, transform

locked = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="this interpreter has no lock"
)


@locked
@pytest.mark.parametrize("name", keeping())
def test_a_call_that_keeps_the_lock_lets_nobody_tick(name):
    """Two ticks at most, at its ends."""
    seen = watched(keeping()[name])
    assert seen.keeps
    assert not seen.gives


@pytest.mark.parametrize("name", giving())
def test_beside_a_call_that_gives_the_lock_back_others_tick(name):
    """Many times in the best of five."""
    assert watched(giving()[name]).gives


@locked
def test_a_loop_in_python_gives_the_lock_away_when_it_is_asked():
    """Neither at once nor never: the more often, the shorter the switch interval."""
    often, seldom = [], []
    for interval, found in ((0.0005, often), (0.02, seldom)):
        with switching_every(interval):
            found += watched(loop, 3).ticks
    assert max(often) > 2 * max(seldom)


def test_the_switch_interval_is_put_back():
    """Whatever happens inside."""
    before = sys.getswitchinterval()
    with pytest.raises(KeyError), switching_every(0.001):
        raise KeyError
    assert sys.getswitchinterval() == before


def test_waits_are_never_shorter_than_asked_for():
    """Each takes its millisecond, and the busy thread is gone afterwards."""
    before = threading.active_count()
    found = waits(0.1, 1, after=0.03)
    assert found.took.min() >= 0.001
    assert threading.active_count() == before


def test_a_model_of_workers_meets_the_bound_and_never_passes_it():
    """Linear up to ten workers, flat from there."""
    assert simulated(4) == pytest.approx(bound(4), rel=0.01)
    assert simulated(16) == pytest.approx(bound(16), rel=0.01)
    assert all(simulated(n, 200) <= bound(n) * (1 + 1e-9) for n in range(1, 20))


def test_a_run_tells_of_each_number_of_workers():
    """In the order asked for, with a latency no shorter than the job."""
    short = partial(Step(0.002), None)
    found = runs(threads, short, 6, [1, 2])
    assert [one.workers for one in found] == [1, 2]
    assert all(one.latency >= 0.002 and one.resident > 0 for one in found)
    assert "lock" in locks_here()
    assert timed(lambda: uses_cpu(0.003)) >= 0.003


@pytest.mark.parametrize("limit", [None, 10])
def test_what_comes_is_answered_or_refused(limit):
    """Nobody is lost, and the queue holds no more than its places and the one served."""
    free, found = absorb(None, busy=5.0), absorb(limit, busy=5.0)
    assert len(found.came) + found.refused == len(free.came)
    assert found.held[1][-1] == 0
    assert limit is None or found.held[1].max() <= limit + 1


def test_a_live_queue_refuses_when_it_is_full():
    """Two threads, four places: six at once at most."""
    found = absorb_live(4, 3.0, 0.1)
    assert found.refused > 0
    assert found.held[1].max() <= 7  # and one that is noted a moment late


@pytest.mark.parametrize(("make", "taken"), [(leaving.guides_pool, 10), (leaving.our_pool, 100)])
def test_jobs_taken_before_a_result_is_read(make, taken):
    """Five for each worker of the guide's; all of them of ours, which are all read in the end."""
    found = leaving.unread(make)
    assert found.taken_by(leaving.PATIENCE) <= taken
    assert len(found.read) == 100
    assert found.held[1].max() <= taken


@pytest.mark.parametrize(
    ("make", "stop", "stay"),
    [
        (leaving.guides_pipeline, False, 4),
        (leaving.guides_pipeline, True, 1),
        (leaving.our_pipeline, False, 0),
        (leaving.our_pipeline, True, 0),
    ],
)
def test_who_stays_when_the_consumer_has_gone(make, stop, stay):
    """Threads and items alike; and the experiment itself leaves nobody behind."""
    before = threading.active_count()
    found = leaving.left(make, stop)
    assert (found.threads[1][-1], found.held[1][-1]) == (stay, stay)
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(1.0)
    assert threading.active_count() <= before


def test_a_step_counts_the_calls_that_are_under_way():
    """As many as the stage has workers, and none afterwards."""
    step = Step(0.002)
    assert len(list(Pipeline(transform(step, workers=3)).process(range(12)))) == 12
    assert 1 <= step.most <= 3
    assert step.now == 0


@locked
def test_what_stops_a_heart():
    """A sleep in the loop, and a sort anywhere; not a sleep in a thread."""
    nap = threading.Event()

    async def three():
        return [
            await heart(lambda: nap.wait(0.1), in_the_loop),
            await heart(lambda: nap.wait(0.1), in_a_thread),
            await heart(keeping()["sorted"], in_a_thread),
        ]

    blocked, free, sorting = asyncio.run(three())
    assert blocked.inside == 0
    assert free.inside > 2
    assert sorting.inside <= 2


def test_a_hand_over_is_counted_by_its_calls():
    """Two for a lock's release and acquire, one for a generator's next, many for tasks."""
    assert switching.calls_each(switching.between_threads) == pytest.approx(2, abs=0.5)
    assert switching.calls_each(switching.between_generators, 100) <= 1.1
    assert switching.calls_each(switching.between_tasks) > 10
    switching.between_processes(10)


def test_cutting_keeps_all_work_and_pays_for_each_message():
    """Without a price the work is all that is busy; one worker ends after all of it."""
    seconds = grain.uneven(1, 100)
    alone = grain.cut(seconds, 10, 0.5, workers=1)
    assert (alone.messages, alone.idle) == (10, pytest.approx(0, abs=1e-9))
    assert alone.end == pytest.approx(sum(seconds) + 5)
    assert grain.cut(seconds, 1, 0).end >= max(np.max(seconds), sum(seconds) / 4)


def test_a_pool_of_processes_does_not_survive_a_killed_worker():
    """Its pipeline ends with the error, and what came before is delivered in order."""
    found, error = grain.in_processes_through_a_kill()
    assert found == list(range(len(found)))
    assert 10 <= len(found) < 40
    assert error == "BrokenProcessPool"
