"""A scenario that Locust runs: the same requests as ours, from a master and two workers."""

import ast
import base64
import contextlib
import importlib.util
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil
import pytest
from rawserver import answer, raw_server

from perflab.errors import LoadError
from perflab.measure import percentile_interval
from perflab.systems.loadgen import locust
from perflab.systems.loadgen.locust import run_locust, write
from perflab.systems.loadgen.plan import Draw
from perflab.systems.loadgen.routes import Route
from perflab.systems.loadgen.run import run_load
from perflab.systems.loadgen.scenario import Scenario
from perflab.systems.loadgen.workload import Closed, Open

# ── What is written


def values(path: Path) -> dict[str, object]:
    """The constants at the head of a locustfile: literals only, or this fails."""
    found = {}
    for node in ast.parse(path.read_text("utf-8")).body[1:]:
        if not isinstance(node, ast.Assign):
            return found
        found[node.targets[0].id] = ast.literal_eval(node.value)
    raise AssertionError("no program follows the constants")


HOSTILE = '/"""\'){__import__("os")._exit(3)}#\\'


def test_paths_headers_and_bodies_stay_data(tmp_path):
    """Whatever stands in a route, the file reads as literals that give it back."""
    route = Route(HOSTILE, "POST", b'"""\\\n\x00', {"X-Trick": "'''\"\"\"\\{}"})
    path = write(Scenario(Closed(1, requests=1), route=route), tmp_path / "load.py")
    assert values(path)["ROUTES"] == [
        ("POST", HOSTILE, f"POST {HOSTILE}", dict(route.headers), route.body)
    ]


@pytest.mark.parametrize("workload", [Closed(2), Open(10)], ids=["closed", "open"])
def test_the_file_stands_alone(tmp_path, workload):
    """It imports Locust, gevent and the standard library, and has one kind of user."""
    tree = ast.parse(write(Scenario(workload), tmp_path / "load.py").read_text("utf-8"))
    imports = {
        a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
    }
    imports |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imports if name.partition(".")[0] == "perflab"} == set()
    users = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert [node.name for node in users if node.name in ("Visitor", "Arrivals")] == [
        "Visitor" if isinstance(workload, Closed) else "Arrivals"
    ]


def test_the_start_times_are_ours(tmp_path):
    """The schedule in the file is the scenario's to the last bit, warm-up included."""
    scenario = Scenario(Open(300, 1, "poisson"), warm_up=0.3, seed=7)
    packed = values(write(scenario, tmp_path / "load.py"))["TIMES_BASE64"]
    assert np.array_equal(np.frombuffer(base64.b64decode(packed)), scenario.times())


def test_a_schedule_that_is_too_long_is_refused_with_its_length(tmp_path):
    """Above 500,000 start times ValueError says how many there are; no file is left."""
    with pytest.raises(ValueError, match="600,000 start times"):
        write(Scenario(Open(60_000, 10)), tmp_path / "load.py")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["locust.py", "load.txt", "load"])
def test_a_name_that_locust_cannot_load_is_refused(tmp_path, name):
    """A file that hides Locust itself, or is no module, is refused by name."""
    with pytest.raises(ValueError, match=name):
        write(Scenario(Closed(1)), tmp_path / name)


# ── What is run


@pytest.mark.slow
def test_locust_sends_the_requests_that_we_send():
    """Open: every arrival of the schedule once, at our start times, with our routes."""
    scenario = Scenario(Open(150, 2, "poisson"), route={"/a": 1, "/b": 3}, warm_up=0.2)
    times = scenario.times()
    draw = Draw([1, 3], scenario.seed)
    expected = Counter(("/a", "/b")[draw()] for _ in times)
    with raw_server(answer) as server:
        result = run_locust(scenario, server.url)
    assert Counter(server.paths) == expected
    assert result.requests == np.count_nonzero(times >= 0)
    assert np.allclose(result.intended_start, times[times >= 0], atol=1e-6)
    assert result.failures == 0
    assert (result.response_time > 0).all()


@contextlib.contextmanager
def refusing_server() -> Iterator[tuple[str, list[tuple[str, str, str, bytes]]]]:
    """A server that notes path, header X-Shop, Content-Type and body, and answers 404."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["X-Shop"], self.headers["Content-Type"], body))
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            """Nothing in the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()


@pytest.mark.slow
def test_a_closed_load_ends_after_its_requests():
    """So many requests in total from all users and workers, with their bodies and headers; a
    status of 404 is a failure."""
    route = Route("/pay", "POST", {"id": 7}, {"X-Shop": "a"})
    with refusing_server() as (url, seen):
        result = run_locust(Scenario(Closed(3, requests=41), route=route), url)
    assert seen == [("/pay", "a", "application/json", b'{"id": 7}')] * 41
    assert result.requests == result.failures == 41
    assert np.isnan(result.p50)


@pytest.mark.slow
def test_a_server_of_known_speed_has_the_same_median_for_both():
    """Answers that take 100 ms: the two medians' 99.9 % intervals meet, or Locust's is above ours
    by no more than the answer itself, since its own work on a busy machine is in its times."""

    def slow(connection, path):
        time.sleep(0.1)  # what the server takes, not a wait for something to happen
        return answer(connection, path)

    scenario = Scenario(Open(50, 2))
    with raw_server(slow) as server:
        ours, theirs = run_load(server.url, scenario), run_locust(scenario, server.url)
    assert ours.response_time.size == theirs.requests == 100
    low, _ = percentile_interval(theirs.response_time, 50, 0.999)
    _, high = percentile_interval(ours.response_time, 50, 0.999)
    assert theirs.response_time.min() >= 0.1
    assert low <= high + 0.1


# ── What is left, and what is refused


@pytest.mark.slow
def test_a_run_that_fails_says_why_and_leaves_nobody(monkeypatch):
    """A worker that cannot start ends the run with its own words; no child is left."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    real = locust.write

    def broken(scenario, path):
        real(scenario, path).write_text("raise SystemExit('broken on purpose')")

    monkeypatch.setattr(locust, "write", broken)
    with pytest.raises(LoadError, match="broken on purpose"):
        run_locust(Scenario(Closed(1, requests=1)), "http://127.0.0.1:9")
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_only_this_machine_is_loaded():
    """Another machine's address is refused before anything starts."""
    with pytest.raises(ValueError, match="target"):
        run_locust(Scenario(Closed(1)), "http://192.0.2.1/")


@pytest.mark.parametrize("workers", [0, 65, 1.5, True])
def test_a_senseless_number_of_workers_is_refused(workers):
    """Workers are a whole number from 1 to 64."""
    with pytest.raises(ValueError, match="workers"):
        run_locust(Scenario(Closed(1)), "http://127.0.0.1:9", workers=workers)


def test_without_locust_the_extra_is_named(monkeypatch):
    """ImportError says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"perflab\[distributed\]"):
        run_locust(Scenario(Closed(1)), "http://127.0.0.1:9")
