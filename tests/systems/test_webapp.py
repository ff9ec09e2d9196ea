"""The shop's web API: what it answers, what it records, and that it is there and gone in time."""

import asyncio
import gzip
import http.client
import itertools
import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import gone, owner_of

from perflab.contracts.threads import eventually
from perflab.errors import ServerError
from perflab.measure.virtual import VirtualClock, run_virtual
from perflab.systems import webapp
from perflab.systems.remote import RemoteParty, constant, exponential


@pytest.fixture(scope="module")
def app(small_shop):
    with webapp(small_shop, slots=2, service_ms=2, slow_every=10) as running:
        yield running


def read(app, path, **options):
    status, body = app.get(path, **options)
    return status, json.loads(body)


def row(shop, product):
    connection = shop.connect()
    try:
        names = "id, name, category, price, description, sold"
        cursor = connection.execute(f"SELECT {names} FROM products WHERE id = ?", (product,))
        return dict(zip(names.split(", "), cursor.fetchone(), strict=True))
    finally:
        connection.close()


def at_once(app, path, n):
    """Ask `n` times, from as many threads; return the statuses."""
    with ThreadPoolExecutor(n) as threads:
        return list(threads.map(lambda _: app.get(path, timeout=60)[0], range(n)))


def test_it_is_healthy_when_the_context_is_entered(app):
    """The first request is answered."""
    assert read(app, "/health") == (200, {"status": "ok"})


@pytest.mark.parametrize("product", [7, 10], ids=["precomputed", "counted now"])
def test_a_product_page_is_the_row_of_the_database(app, small_shop, product):
    """Counting what was sold gives what was counted beforehand."""
    assert read(app, f"/products/{product}") == (200, row(small_shop, product))


def test_pages_that_count_say_what_the_others_say(small_shop):
    """slow_every=1 makes all pages count and 0 none."""
    with webapp(small_shop, slow_every=1) as slow, webapp(small_shop, slow_every=0) as fast:
        for product in range(1, 21):
            assert read(slow, f"/products/{product}") == read(fast, f"/products/{product}")


def test_one_page_in_slow_every_counts_and_the_others_do_not(small_shop, tmp_path):
    """Where the numbers counted beforehand are spoilt, only the pages that count tell the truth."""
    spoilt = replace(small_shop, path=tmp_path / "spoilt.db")
    with closing(small_shop.copy(spoilt.path)) as db, db:
        db.execute("UPDATE products SET sold = -1")
    with webapp(spoilt, slow_every=10) as app:
        said = {product: read(app, f"/products/{product}")[1]["sold"] for product in range(1, 31)}
    assert [product for product, sold in said.items() if sold != -1] == [10, 20, 30]
    assert all(said[product] == row(small_shop, product)["sold"] for product in (10, 20, 30))


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/products/abc", 400, "not a whole number: abc"),
        ("/products/-1", 400, "not a whole number: -1"),
        ("/products/1.5", 400, "not a whole number: 1.5"),
        ("/products/1%20OR%201=1", 400, "not a whole number: 1 OR 1=1"),
        ("/products/99999999999999999999999", 400, "not a whole number: " + "9" * 23),
        ("/products/%D9%A3", 400, "not a whole number: ٣"),
        ("/products/0", 404, "no product 0"),
        ("/products/999999999999999999", 404, "no product 999999999999999999"),
        ("/nowhere", 404, "Not Found"),
        ("/error", 500, "this page always fails"),
    ],
)
def test_bad_input_is_answered_as_json(app, path, status, error):
    """With the fitting status, the reason, and never a traceback."""
    assert read(app, path) == (status, {"error": error})


def test_a_method_that_a_page_does_not_have_is_answered_as_json(app):
    """405, as JSON."""
    assert read(app, "/health", method="DELETE") == (405, {"error": "Method Not Allowed"})


def test_a_connection_serves_many_requests(app):
    """Keep-alive: the second answer comes over the socket of the first."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    sockets = []
    for _ in range(2):
        connection.request("GET", "/health")
        sockets.append(connection.sock)
        assert connection.getresponse().read()
    connection.close()
    assert sockets[0] is sockets[1] is not None


def test_the_remote_party_serves_in_order_and_never_more_than_its_slots(app):
    """On the trace of 12 calls at once: first come first served, at most 2 at any time."""
    app.reset_trace()
    assert at_once(app, "/pay", 12) == [200] * 12
    trace = app.trace()
    assert len(trace) == 12
    assert trace.dropped == 0
    assert (trace.wait >= 0).all()
    assert (trace.holding > 0).all()
    order = np.argsort(trace.arrival_ns, kind="stable")
    assert (np.diff(trace.started_ns[order]) >= 0).all()
    busy = [
        int(((trace.started_ns <= now) & (now < trace.finished_ns)).sum())
        for now in trace.started_ns
    ]
    assert max(busy) <= trace.slots == 2


def test_a_reset_forgets_the_calls_so_far(app):
    """The trace is empty afterwards."""
    assert at_once(app, "/pay", 1) == [200]
    assert len(app.trace()) > 0
    app.reset_trace()
    assert len(app.trace()) == 0


def test_a_full_trace_counts_what_it_drops(small_shop):
    """The trace is bounded, and says so."""
    with webapp(small_shop, service_ms=0, trace_size=3) as app:
        assert at_once(app, "/pay", 5) == [200] * 5
        trace = app.trace()
    assert (len(trace), trace.dropped) == (3, 2)


def test_it_tells_what_it_uses(app):
    """CPU seconds grow, memory is that of a Python process, our own connection is open."""
    before = app.stats()
    at_once(app, "/products/10", 8)
    after = app.stats()
    assert after["cpu_seconds"] > before["cpu_seconds"] > 0
    assert 5e6 < after["resident_bytes"] < 500e6
    assert after["connections"] >= 1


def test_its_monitor_counts_by_route(app):
    """One pattern for all products, errors by status, one name for what has no route."""
    before = app.metrics()["routes"].get("/products/{id}", {"requests": 0})
    for path in ("/products/1", "/products/2", "/products/x", "/made-up", "/error"):
        app.get(path)
    routes = app.metrics()["routes"]
    assert routes["/products/{id}"]["requests"] == before["requests"] + 3
    assert routes["/products/{id}"]["statuses"]["400"] >= 1
    assert routes["/error"]["statuses"].keys() == {"500"}
    assert "/made-up" not in routes
    assert routes["(no route)"]["statuses"]["404"] >= 1


def test_requests_are_logged_only_where_asked_for(small_shop):
    """A line for each request, in the server's output."""
    with webapp(small_shop) as quiet, webapp(small_shop, log_requests=True) as loud:
        for app in (quiet, loud):
            app.get("/products/3")
        assert "/products/3" not in quiet.output()
        assert '"GET /products/3 HTTP/1.1" 200' in loud.output()


MORE = """
from starlette.responses import JSONResponse
from starlette.routing import Route

def routes(settings):
    async def slots(request):
        return JSONResponse(settings.slots)
    async def broken(request):
        raise RuntimeError("a secret")
    return [Route("/slots", slots), Route("/broken", broken)]
"""


def test_more_routes_are_served_and_their_exceptions_answered(small_shop, tmp_path, monkeypatch):
    """They get the settings; an exception is a 500 without its text, which is in the output."""
    (tmp_path / "more.py").write_text(MORE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with webapp(small_shop, slots=3, routes="more:routes") as app:
        assert read(app, "/slots") == (200, 3)
        assert read(app, "/broken") == (500, {"error": "internal error"})
        assert app.metrics()["routes"]["/broken"]["exceptions"] == 1
        assert eventually(lambda: "RuntimeError: a secret" in app.output(), 10)


def test_a_server_killed_in_the_middle_comes_back(small_shop):
    """A client in the middle of a request gets an error, and the next one an answer."""
    with webapp(small_shop, service_ms=600_000) as app:
        waiting = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
        waiting.request("GET", "/pay")
        app.kill()
        with pytest.raises((http.client.HTTPException, OSError)):
            waiting.getresponse()
        waiting.close()
        with pytest.raises(ServerError, match="does not answer /stats"):
            app.stats()
        port = app.port
        app.restart()
        assert app.port == port
        assert read(app, "/health")[0] == 200


def test_a_stop_does_not_wait_for_requests_without_end(small_shop):
    """A call that holds its place for ten minutes does not keep the server."""
    with webapp(small_shop, service_ms=600_000) as app:
        waiting = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
        waiting.request("GET", "/pay")
    waiting.close()
    assert gone(app.pid)


def test_a_child_that_cannot_serve_is_reported(small_shop):
    """The reason is in the error."""
    with pytest.raises(ServerError, match="No module named 'nowhere_at_all'"):
        webapp(small_shop, routes="nowhere_at_all:routes").start()


@pytest.mark.parametrize("then", ["", "server.pause()"], ids=["running", "paused"])
def test_when_the_kernel_is_killed_the_shop_closes(small_shop, then):
    """SIGKILL of the process that opened it: gone within two seconds, also when frozen."""
    folder = str(small_shop.path.parent)
    make = "from perflab.systems import shop, webapp; server = webapp(shop(5000, folder=%r))"
    with owner_of(make % folder, then) as (owner, (server, supervisor, temporary)):
        assert not gone(int(server))
        owner.send_signal(signal.SIGKILL)
        assert eventually(lambda: gone(int(server)), 2)
        assert eventually(lambda: gone(int(supervisor)) and not Path(temporary).exists(), 2)


def test_an_interrupt_of_the_kernel_leaves_the_shop_open(small_shop):
    """SIGINT to the owner's whole process group does not reach it."""
    folder = str(small_shop.path.parent)
    make = "import signal; from perflab.systems import shop, webapp\n"
    make += "os.setpgid(0, 0); signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    make += "server = webapp(shop(5000, folder=%r))"
    then = "os.killpg(0, signal.SIGINT); server.get('/health')"
    with owner_of(make % folder, then) as (_, words):
        assert len(words) == 3
        assert not gone(int(words[0]))


def test_the_child_imports_neither_pandas_nor_matplotlib():
    """They would cost each start half a second."""
    heavy = "{'pandas', 'matplotlib', 'IPython', 'sqlite_utils'}"
    code = f"import sys, perflab.systems.shopapi; print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "bad",
    [
        {"slots": 0},
        {"slots": 1.5},
        {"slots": True},
        {"service_ms": -1},
        {"service_ms": float("nan")},
        {"service_ms": float("inf")},
        {"service_ms": "5"},
        {"service": "random"},
        {"seed": -1},
        {"slow_every": -1},
        {"threads": 0},
        {"slow_ms": -0.1},
        {"trace_size": 0},
        {"log_requests": "yes"},
        {"routes": "no colon"},
        {"port": 70_000},
        {"timeout": 0},
    ],
    ids=str,
)
def test_nonsense_is_refused_by_name(small_shop, bad):
    """Before anything is started."""
    (name,) = bad
    with pytest.raises(ValueError, match=f"^{name}="):
        webapp(small_shop, **bad)


def calls(arrivals, slots, draw, **options):
    """The trace of calls at these virtual seconds, as rows of arrival, start and finish."""
    clock = VirtualClock()

    async def main():
        remote = RemoteParty(slots, draw, clock_ns=lambda: round(clock() * 1e9), **options)

        async def one(at):
            await asyncio.sleep(at)
            await remote.call()

        await asyncio.gather(*map(one, arrivals))
        return remote

    remote = run_virtual(main(), clock)
    return np.frombuffer(remote.trace(), np.int64).reshape(-1, 3) / 1e9, remote


def test_one_place_obeys_the_lindley_recursion():
    """Waits on virtual time are those of W' = max(0, W + S − A)."""
    gaps = [0.0, 0.3, 0.1, 0.1, 2.0, 0.2, 0.05, 0.4]
    draw = exponential(0.25, seed=3)
    services = [draw() for _ in gaps]
    trace, _ = calls(np.cumsum(gaps), 1, exponential(0.25, seed=3))
    wait, expected = 0.0, []
    for i in range(len(gaps)):
        if i:
            wait = max(0.0, wait + services[i - 1] - gaps[i])
        expected.append(wait)
    assert (trace[:, 1] - trace[:, 0]).tolist() == pytest.approx(expected, abs=1e-8)
    assert (trace[:, 2] - trace[:, 1]).tolist() == pytest.approx(services, abs=1e-8)


def test_a_place_is_handed_on_at_the_reading_at_which_it_became_free():
    """Where every look at the clock reads later, a call still starts when the one before ended."""
    readings = itertools.count(step=1000)
    remote = RemoteParty(1, constant(0.0), clock_ns=lambda: next(readings))

    async def three():
        await asyncio.gather(*(remote.call() for _ in range(3)))

    run_virtual(three())
    rows = np.frombuffer(remote.trace(), np.int64).reshape(-1, 3)
    assert rows[1:, 1].tolist() == rows[:-1, 2].tolist()


def test_four_places_serve_four_at_a_time():
    """Ten calls at once of one second each end at 1, 2 and 3 seconds, in order of arrival."""
    trace, _ = calls([0.0] * 10, 4, constant(1.0))
    assert trace[:, 2].tolist() == pytest.approx([1.0] * 4 + [2.0] * 4 + [3.0] * 2)


def test_a_caller_that_gives_up_loses_no_place():
    """Whether it waited, held the place, or had just been handed it: the next one gets it."""

    handed = []

    async def hold_and_cancel_the_next(remote):
        await remote.call()
        handed[0].cancel()  # the place is its own already, but it has not run since

    async def main():
        remote = RemoteParty(1, constant(1.0), clock_ns=lambda: round(clock() * 1e9))
        holder, waiter, last = [asyncio.create_task(remote.call()) for _ in range(3)]
        await asyncio.sleep(0.25)
        waiter.cancel()
        await asyncio.sleep(0.25)
        holder.cancel()
        await asyncio.gather(holder, waiter, return_exceptions=True)
        await last
        first = asyncio.create_task(hold_and_cancel_the_next(remote))
        await asyncio.sleep(0)
        handed.append(asyncio.create_task(remote.call()))
        last = asyncio.create_task(remote.call())
        await asyncio.gather(first, last)
        return np.frombuffer(remote.trace(), np.int64).reshape(-1, 3)[:, 1:].tolist()

    clock = VirtualClock()
    half = 500_000_000
    assert run_virtual(main(), clock) == [
        [half, 3 * half],  # from 0.5 s, when the holder gave up
        [3 * half, 5 * half],
        [5 * half, 7 * half],
    ]


def test_exponential_calls_are_the_same_each_run():
    """Seeded; the mean of many is as asked for."""
    one, two, other = exponential(0.005, 1), exponential(0.005, 1), exponential(0.005, 2)
    sample = [one() for _ in range(20_000)]
    assert sample == [two() for _ in range(20_000)]
    assert sample != [other() for _ in range(20_000)]
    assert np.mean(sample) == pytest.approx(0.005, rel=0.03)


def test_a_reset_leaves_out_calls_under_way():
    """They arrived before it, so they would look as if they had come out of nothing."""

    async def main():
        remote = RemoteParty(1, constant(1.0), clock_ns=lambda: round(clock() * 1e9))
        under_way = asyncio.create_task(remote.call())
        await asyncio.sleep(0.5)
        remote.reset()
        await remote.call()
        await under_way
        return np.frombuffer(remote.trace(), np.int64).tolist()

    clock = VirtualClock()
    assert run_virtual(main(), clock) == [500_000_000, 1_000_000_000, 2_000_000_000]


def test_a_stuck_remote_party_holds_its_callers_until_it_serves_again(small_shop):
    """Live: a payment waits, a product page does not."""
    with webapp(small_shop, slots=1, service_ms=1) as app, ThreadPoolExecutor(1) as thread:
        app.set_remote("stuck")
        payment = thread.submit(app.get, "/pay", timeout=30)
        assert eventually(lambda: app.stats()["connections"] >= 2, 5)  # one asks for the stats
        assert app.get("/products/1")[0] == 200
        assert not payment.done()
        app.set_remote("serving")
        assert payment.result(30)[0] == 200


def test_a_failing_remote_party_fails_at_once_and_takes_no_place(small_shop):
    """Each payment is a 502 until it serves again, and the trace holds none of them."""
    with webapp(small_shop, slots=1, service_ms=1) as app:
        app.set_remote("failing")
        assert [app.get("/pay")[0] for _ in range(3)] == [502] * 3
        app.set_remote("serving")
        assert app.get("/pay")[0] == 200
        assert len(app.trace()) == 1


def test_who_comes_while_it_is_stuck_is_served_in_order_afterwards():
    """On virtual time: two places, stuck from 0 to 10, calls of one second each."""
    clock = VirtualClock()

    async def main():
        remote = RemoteParty(2, constant(1.0), clock_ns=lambda: round(clock() * 1e9))
        remote.set_mode("stuck")
        calls = [asyncio.create_task(remote.call()) for _ in range(4)]
        await asyncio.sleep(10)
        assert not any(call.done() for call in calls)
        remote.set_mode("serving")
        await asyncio.gather(*calls)
        return np.frombuffer(remote.trace(), np.int64).reshape(-1, 3)[:, 2] / 1e9

    assert run_virtual(main(), clock).tolist() == [10, 10, 11, 11]


def test_it_tells_where_its_time_goes_under_load(small_shop):
    """Pages that count are seen counting, by a profile fetched over HTTP."""
    with webapp(small_shop, slow_every=1) as app, ThreadPoolExecutor(2) as threads:
        profiling = threads.submit(app.profile, 0.5)
        while not profiling.done():
            app.get("/products/1")
        profile = profiling.result()
    assert profile.share("Products._count_sold") > 0
    assert profile.share("serve") > 0


@pytest.mark.parametrize("seconds", ["0", "-1", "61", "x", "nan"])
def test_a_profile_of_no_length_or_without_end_is_refused(app, seconds):
    """400, and the server goes on."""
    assert app.get(f"/profile?seconds={seconds}")[0] == 400


def test_answers_are_compressed_for_who_wants_it(small_shop):
    """A page of some length, asked for with and without gzip."""
    with webapp(small_shop, compress=True) as app:
        for path in ("/products/1", "/products/2", "/error", "/pay"):
            app.get(path)
        asked = {"identity": None, "gzip": "gzip"}
        for accept, encoding in asked.items():
            connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
            connection.request("GET", "/metrics", headers={"accept-encoding": accept})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            assert answer.headers["content-encoding"] == encoding
            plain = gzip.decompress(body) if encoding else body
            assert "/pay" in json.dumps(json.loads(plain))
