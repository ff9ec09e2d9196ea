"""Several servers behind one address."""

import http.client
from concurrent.futures import ThreadPoolExecutor

import pytest

from perflab.contracts.threads import eventually
from perflab.systems import balancer, webapp


@pytest.fixture(scope="module")
def apps(small_shop):
    with webapp(small_shop, slots=1, service_ms=1) as one, webapp(small_shop) as two:
        yield one, two


@pytest.fixture(autouse=True)
def fresh(apps):
    for app in apps:
        app.set_remote("serving")
        app.reset_trace()


def ask(both, path="/pay", times=1):
    """Statuses of so many requests over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", both.port, timeout=30)
    found = []
    for _ in range(times):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        found.append(answer.status)
    connection.close()
    return found


def test_round_robin_takes_turns(apps):
    """Of twenty requests over one connection each server gets ten."""
    with balancer(list(apps)) as both:
        assert ask(both, times=20) == [200] * 20
    assert [len(app.trace()) for app in apps] == [10, 10]


@pytest.mark.parametrize("policy", ["least connections", "two choices"])
def test_who_is_stuck_gets_no_more(apps, policy):
    """One request waits at one server; everything that follows goes to the other."""
    one, two = apps
    with balancer(list(apps), policy=policy) as both, ThreadPoolExecutor(1) as thread:
        one.set_remote("stuck")
        caught = thread.submit(ask, both)
        while eventually(caught.done, 0.5):  # it went to the other: try again
            caught = thread.submit(ask, both)
        two.reset_trace()
        assert ask(both, times=20) == [200] * 20
        one.set_remote("serving")
        assert caught.result(30) == [200]
    assert (len(one.trace()), len(two.trace())) == (1, 20)


def test_a_server_that_is_gone_costs_its_requests_or_none(small_shop):
    """Without retries they are a 502; with retries another server answers them."""
    with (
        webapp(small_shop) as one,
        webapp(small_shop) as two,
        balancer([one, two]) as plain,
        balancer([one, two], retries=True) as retrying,
    ):
        two.kill()
        assert sorted(ask(plain, "/health", 10)) == [200] * 5 + [502] * 5
        assert ask(retrying, "/health", 10) == [200] * 10
        two.restart()
        assert ask(plain, "/health", 10) == [200] * 10


def test_it_restarts_on_its_port(apps):
    """As every server does."""
    with balancer(list(apps)) as both:
        port = both.port
        both.restart()
        assert both.port == port
        assert ask(both, "/health") == [200]
