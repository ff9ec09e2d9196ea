"""The guide's worker pool is ported faithfully, defects included."""

import pytest

from perflab.contracts.parts.jobs import Gate
from perflab.contracts.threads import Running, eventually
from perflab.guide.workerpool import Job, Result, WorkerPool


def test_used_as_the_guide_means_it_every_job_has_a_result():
    """Submit a few, read as many, stop, and the results end."""
    pool = WorkerPool(3, lambda data: data * 2)
    pool.start()
    for number in range(6):
        pool.submit(Job(number, number))
    results = [pool.get_result().receive()[0] for _ in range(6)]
    pool.stop()
    assert sorted(result.job_id for result in results) == list(range(6))
    assert all(result == Result(result.job_id, 2 * result.job_id, None) for result in results)
    assert Running(pool.get_result().receive).result() == (None, False)


@pytest.mark.parametrize(("choose", "run"), [(min, 12), (max, 4)])
def test_what_a_worker_does_after_stop_is_left_to_chance(choose, run):
    """Of 12 jobs taken by 4 workers, the 8 in the queue are all run, or none, or any number."""
    gate = Gate()
    pool = WorkerPool(4, gate, choose=choose)
    pool.start()
    for number in range(12):
        pool.submit(Job(number))
    assert eventually(lambda: gate.inside == 4)
    pool.stop()
    gate.open()
    results = Running(lambda: list(pool.get_result()))
    assert len(results.result()) == run


@pytest.mark.parametrize(("choose", "queued"), [(min, 8), (max, 0)])
def test_jobs_submitted_after_stop_fill_the_queue_for_ever_or_vanish(choose, queued):
    """A thousand submits return, and none of the jobs is run."""
    pool = WorkerPool(4, choose=choose)
    pool.start()
    pool.stop()
    assert Running(lambda: list(pool.get_result())).result() == []
    for number in range(1000):
        pool.submit(Job(number))
    assert len(pool._job_queue) == queued


def test_a_worker_that_dies_of_its_job_ends_the_results_early(recwarn):
    """With its last worker the channel is closed: what was taken looks complete, and is not."""

    def fail(data):
        raise ValueError(data)

    pool = WorkerPool(1, fail)
    pool.start()
    pool.submit(Job(1))
    pool.submit(Job(2))
    assert Running(lambda: list(pool.get_result())).result() == []
