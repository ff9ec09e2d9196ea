"""The balancer's simulation: a server alone is Lindley's queue, a policy does what it says."""

import numpy as np
import pytest

from perflab.experiments.balanced import SERVICE_MS, balanced
from perflab.experiments.balancing import POLICIES, mean_response, responses, simulated
from perflab.measure import queueing


def test_a_server_of_its_own_is_lindleys_queue():
    """Round robin over two: every second job meets the queue that theory gives for those alone."""
    rng = np.random.default_rng(1)
    arrivals = np.cumsum(rng.exponential(size=1_000))
    service = rng.exponential(1.5, (2, 500))
    found = responses(arrivals, list(service), "round robin")
    for server in range(2):
        own = arrivals[server::2]
        expected = queueing.response_times(np.diff(own, prepend=0.0), service[server])
        assert found[server::2] == pytest.approx(expected)


def test_least_connections_never_waits_while_a_server_is_free():
    """Four jobs at once at four servers: each takes its own time and no more."""
    found = responses([0, 0, 0, 0], [[1.0], [2.0], [3.0], [4.0]], "least connections")
    assert sorted(found) == [1, 2, 3, 4]


def test_two_choices_takes_the_better_of_two_and_never_one_twice():
    """Of two servers it knows both: with one job at either, the next goes to the free one."""
    for seed in range(20):
        found = responses([0.0, 0.0], [[1.0], [1.0]], "two choices", seed)
        assert list(found) == [1, 1]


def test_a_slow_server_is_felt_by_who_does_not_look():
    """Round robin sends it more than it can do; fewest jobs first does not."""
    blind, seeing = (
        mean_response(policy, 0.7, (1.0, 1.0, 1.0, 3.0))
        for policy in ("round robin", "least connections")
    )
    assert blind > 20 * seeing
    assert mean_response("round robin", 0.7, (1.0,) * 4) < 2 * mean_response(
        "least connections", 0.7, (1.0,) * 4
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_seed_gives_the_same_run_and_nothing_is_faster_than_its_work(policy):
    """Seeded evidence is evidence only if it comes again."""
    first, again = (simulated(policy, 0.8, (1.0, 2.0), 500, seed=3) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.min() > 0


@pytest.mark.parametrize(("policy", "load"), [("fastest", 0.5), ("random", 1.0), ("random", 0.0)])
def test_nonsense_is_refused(policy, load):
    """A policy that is not known, a load that no queue survives."""
    with pytest.raises(ValueError, match="must be"):
        simulated(policy, load, (1.0, 1.0))


def test_live_servers_get_what_the_policy_says():
    """Round robin gives each the same number of jobs, to one; all are answered."""
    live = balanced(["round robin"], seconds=0.5)["round robin"]
    assert live.run.ok.all()
    assert len(live.shares) == len(SERVICE_MS)
    assert max(live.shares) - min(live.shares) <= 1
    assert sum(live.shares) == live.run.start.size
    assert np.ptp(live.simulated) == pytest.approx(0)  # nothing is drawn in it
