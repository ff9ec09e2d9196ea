"""The guide's load tester is ported faithfully, defects included."""

import asyncio

import pytest

from perflab.contracts.parts.loadserver import Server
from perflab.guide.loadtest import LoadTest, LoadTestResult
from perflab.measure.model import ModelServer
from perflab.measure.virtual import run_virtual


def test_a_tick_that_nobody_takes_is_dropped():
    """A worker that is stuck for a second finds one tick waiting, not ten."""
    server = Server(ModelServer(slots=9, service=lambda n: 1.0 if n == 0 else 0.001))
    run_virtual(LoadTest(server.get, 1, 2.0, 10).run())
    sent = [round(moment, 3) for moment in server.arrivals]
    assert sent == [0.1, 1.1, *(round(1.2 + k / 10, 3) for k in range(8))]


def test_the_request_under_way_at_the_end_is_waited_for():
    """Its latency is in the report, and the report comes late."""
    server = Server(ModelServer(service=5.0))

    async def timed():
        report = await LoadTest(server.get, 1, 1.0, 2, seed=1).run()
        return report, asyncio.get_running_loop().time()

    report, now = run_virtual(timed())
    assert report.average_latency == 5.0
    assert now >= 5.5


def test_after_ten_seconds_the_client_gives_up_and_calls_it_a_success():
    """The time-out is an error in Go, which the guide counts like an answer."""
    server = Server(ModelServer(service=60.0))
    report = run_virtual(LoadTest(server.get, 1, 0.6, 2).run())
    assert report.successful_requests == report.total_requests >= 1
    assert report.average_latency == pytest.approx(10.0)


def test_no_request_at_all_is_a_report_of_zeros():
    """A tester whose time is over before its first tick reports nothing."""
    server = Server(ModelServer())
    assert run_virtual(LoadTest(server.get, 1, 0.5, 1).run()) == LoadTestResult()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tick_that_waits_at_the_end_may_be_taken(seed):
    """Go chooses at random between the end and a tick; the seed repeats the choice."""

    def sent():
        server = Server(ModelServer(slots=99, service=0.25))
        run_virtual(LoadTest(server.get, 20, 1.0, 200, seed=seed).run())
        return len(server.arrivals)

    assert sent() == sent()
    assert 20 * 4 < sent() < 20 * 8


def test_its_percentiles_are_one_rank_too_high_where_the_rank_is_whole():
    """Of 1 … 100 ms it calls 96 the p95 and 100 the p99; of 1 … 150 it is right about the p99."""
    tester = LoadTest(get=None, concurrency=1, duration=1, rate=1)
    hundred = tester._result([float(n) for n in range(1, 101)])
    assert (hundred.p95_latency, hundred.p99_latency) == (96, 100)
    assert tester._result([float(n) for n in range(1, 151)]).p99_latency == 149
