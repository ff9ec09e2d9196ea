"""A load on a server that behaves: what is sent, what is recorded, what is shown."""

import asyncio
import threading
import time

import numpy as np
import pytest
from rawserver import answer, free_port, raw_server, reply, say

from perflab.errors import LoadError
from perflab.systems import Closed, Open, run_load


@pytest.fixture
def server():
    with raw_server(answer) as server:
        yield server


def test_a_closed_load_sends_what_was_asked_for_over_kept_connections(server):
    """Each request is answered, recorded once, and no user opens a second connection."""
    result = run_load(server.url, Closed(users=4, requests=200), route="/x")
    assert server.paths == ["/x"] * 200
    assert result.start.size == 200
    assert result.ok.all()
    assert set(result.status) == {200}
    assert set(result.bytes) == {5}
    assert server.connections == result.connections_opened <= 4
    assert server.most <= 4
    assert result.errors == {}
    assert result.not_sent == 0


def test_the_three_times_of_a_request_agree(server):
    """response = wait + service, none negative; the first byte comes within the service time."""
    result = run_load(server.url, Closed(users=4, requests=100))
    assert np.allclose(result.response_time, result.wait_time + result.service_time)
    assert (result.wait_time >= 0).all()
    assert (result.service_time > 0).all()
    assert (result.lateness >= 0).all()
    assert (result.first_byte_time > 0).all()
    # libcurl's clock starts after ours and is read to the microsecond
    assert (result.first_byte_time <= result.service_time + 1e-5).all()
    opened = result.connect_time > 0
    assert opened.sum() == result.connections_opened


def test_an_open_load_sends_its_schedule(server):
    """Every intended start is the schedule's, no request starts early, in order."""
    times = [0.0, 0.0, 0.01, 0.05, 0.05, 0.2]
    result = run_load(server.url, Open(arrivals=times))
    assert result.intended_start.tolist() == times
    assert (result.start >= result.intended_start).all()
    assert len(server.paths) == 6


def test_a_poisson_load_follows_its_seed(server):
    """The run's intended starts are those that the workload foretells."""
    workload = Open(200, 0.3, "poisson")
    result = run_load(server.url, workload, seed=4)
    assert np.array_equal(result.intended_start, workload.schedule(4))


def test_an_open_load_does_not_wait_for_answers():
    """A server that holds every answer back until all 20 have asked gets all 20."""
    barrier = threading.Barrier(20, timeout=60)

    def behave(connection, path):
        barrier.wait()
        return answer(connection, path)

    with raw_server(behave) as server:
        result = run_load(server.url, Open(arrivals=np.linspace(0, 0.1, 20)), timeout=60)
    assert result.ok.all()
    assert server.most == 20


def test_a_closed_load_never_has_more_under_way_than_users(server):
    """The server counts what is in its hands at once; so does the record."""
    result = run_load(server.url, Closed(users=3, requests=60))
    starts, ends = np.sort(result.start), np.sort(result.end)
    under_way = [(starts <= t).sum() - (ends < t).sum() for t in starts]
    assert max(under_way) <= 3
    assert server.most <= 3


def test_connections_are_bounded_and_what_cannot_be_sent_is_counted():
    """One connection that is never answered: one request sent, the others counted as not sent."""
    hold = threading.Event()

    def behave(connection, path):
        hold.wait(60)
        return False

    with raw_server(behave) as server:
        result = run_load(
            server.url, Open(100, 0.2), connections=1, grace=0.0, timeout=0.5, warm_up=0.0
        )
        hold.set()
    assert len(server.paths) == 1
    assert result.errors == {"timeout": 1}
    assert result.not_sent == 19


def test_waiting_for_a_connection_is_no_lateness_of_the_generator():
    """Two requests, one connection and a held answer: the second waits, and nobody is late."""
    held = 0.3

    def behave(connection, path):
        time.sleep(held)  # the server's work is what is measured here, not passed over
        return answer(connection, path)

    with raw_server(behave) as server:
        result = run_load(server.url, Open(arrivals=[0.0, 0.0]), connections=1)
    assert result.wait_time[1] >= held
    assert result.start[1] >= result.end[0]
    # Only what the generator itself took after the connection was free, whatever that is here.
    assert result.lateness[1] == pytest.approx(result.start[1] - result.end[0], abs=1e-6)


def test_the_warm_up_is_sent_and_not_recorded(server):
    """The server sees more requests than the record holds; the record begins at 0."""
    result = run_load(server.url, Open(100, 0.3), warm_up=0.2)
    assert result.start.size == 30
    assert len(server.paths) == 50
    assert result.intended_start.min() >= 0
    result = run_load(server.url, Closed(2, requests=30), warm_up=0.1)
    assert result.start.size == 30


def test_several_routes_are_drawn_by_weight_and_recorded(server):
    """The record says which path each request took, and the server agrees on the counts."""
    paths = [f"/products/{i}" for i in range(10)]
    result = run_load(server.url, Closed(1, requests=100), route=paths, seed=2)
    assert [result.paths[i] for i in result.route] == server.paths
    assert set(server.paths) <= set(paths)
    again = run_load(server.url, Closed(1, requests=100), route=paths, seed=2)
    assert np.array_equal(again.route, result.route)


def test_a_status_of_400_or_above_is_an_error():
    """A server that fails fast does not look faster: its answers are no successes."""
    with raw_server(say(reply(b"no", "503 Service Unavailable"), stay=True)) as server:
        result = run_load(server.url, Closed(2, requests=20))
    assert result.errors == {"status": 20}
    assert set(result.status) == {503}
    assert result.throughput == 0
    assert np.isnan(result.percentile(50))


def test_a_redirect_is_not_followed():
    """The load goes where it was sent, whatever the server says."""
    elsewhere = "Location: http://192.0.2.1/\r\n"
    with raw_server(say(reply(b"", "302 Found", elsewhere), stay=True)) as server:
        result = run_load(server.url, Closed(1, requests=3))
    assert set(result.status) == {302}
    assert len(server.paths) == 3


def test_memory_and_cpu_of_both_sides_are_read(server):
    """Here the server is this very process; the readings are in order and within the run."""
    result = run_load(server.url, Open(50, 0.5), server_pid=__import__("os").getpid())
    readings = result.readings
    assert readings.size >= 2
    assert (np.diff(readings["time"]) > 0).all()
    assert (readings["server_rss"] > 1e6).all()
    assert (readings["tester_rss"] > 1e6).all()
    assert result.server_cpu >= 0
    assert result.tester_cpu >= 0


def test_a_server_that_cannot_be_read_has_no_memory_figures(server):
    """Without a process number the server's side is nan, and the run goes on."""
    result = run_load(server.url, Closed(1, requests=5))
    assert np.isnan(result.readings["server_rss"]).all()
    assert np.isnan(result.server_cpu)


def test_the_times_lie_on_this_process_clock(server):
    """`t0` is a reading of time.perf_counter(), so that traces can be laid side by side."""
    before = time.perf_counter()
    result = run_load(server.url, Closed(1, requests=10))
    assert before < result.t0 + result.start.min()
    assert result.t0 + result.end.max() < time.perf_counter()


def test_progress_is_reported_in_the_calling_thread(server):
    """The fraction grows to 1 and the last report has every request."""
    seen, threads = [], set()

    def watch(progress):
        seen.append(progress)
        threads.add(threading.get_ident())

    result = run_load(server.url, Open(100, 0.7), watch=watch)
    assert threads == {threading.get_ident()}
    assert [p.fraction for p in seen] == sorted(p.fraction for p in seen)
    assert seen[-1].fraction == 1
    assert seen[-1].requests == result.start.size == 70


def test_a_load_runs_beside_an_event_loop(server):
    """In a notebook a loop is running already."""

    async def cell():
        return run_load(server.url, Closed(1, requests=5))

    assert asyncio.run(cell()).ok.all()


def test_an_error_in_watch_ends_the_load_and_is_raised(server):
    """The reader's figure may fail; nothing keeps sending then."""

    def watch(progress):
        raise RuntimeError("no figure")

    with pytest.raises(RuntimeError, match="no figure"):
        run_load(server.url, Closed(1, duration=600), watch=watch)


@pytest.mark.parametrize(
    "target",
    ["http://192.0.2.1/", "http://example.com", "http://127.0.0.1@192.0.2.1/",
     "http://localhost.example.com/", "http://127.1/", "http://0.0.0.0/", "ftp://127.0.0.1/",
     "127.0.0.1:80", "http://127.0.0.1:99999/", "http://[::1", "", None, 5, object(),
     "http://127.0.0.1/?q=1", "http://192.0.2.1\\@127.0.0.1/", "http://127.0.0.1%2f@x/"],
)  # fmt: skip
def test_a_target_that_is_not_this_machine_is_refused(target):
    """Before a byte is sent."""
    with pytest.raises(ValueError, match="target="):
        run_load(target, Closed(1, requests=1))


def test_another_machine_is_allowed_when_told():
    """Nobody answers at an address set aside for documentation; that is a result."""
    result = run_load(f"http://127.0.0.1:{free_port()}/", Closed(1, requests=1), allow_remote=True)
    assert result.errors == {"refused": 1}


@pytest.mark.parametrize(
    ("name", "bad"),
    [("warm_up", -1), ("timeout", 0), ("timeout", float("nan")), ("connections", 0),
     ("connections", 10**9), ("grace", -1), ("max_bytes", 0), ("server_pid", -5), ("seed", 1.5),
     ("seed", True), ("route", "x")],
)  # fmt: skip
def test_nonsense_is_refused_by_name(name, bad):
    """Before a process is started."""
    with pytest.raises(ValueError, match=f"{name}="):
        run_load("http://127.0.0.1:9", Closed(1, requests=1), **{name: bad})


def test_what_is_no_workload_is_refused():
    """A number of users is not yet a workload."""
    with pytest.raises(ValueError, match="workload="):
        run_load("http://127.0.0.1:9", 64)


def test_an_engine_that_cannot_start_is_reported(monkeypatch):
    """The message holds what Python said."""
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(LoadError, match="ended early"):
        run_load("http://127.0.0.1:9", Closed(1, requests=1))
