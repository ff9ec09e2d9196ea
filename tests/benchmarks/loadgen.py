"""The load generator against nginx, beside Locust's FastHttpUser, wrk, wrk2 and bare libcurl:

    python tests/benchmarks/loadgen.py [closed] [open] [hold] [memory] [--rounds 3]

Without names all of it. What is not installed is skipped, nginx apart.

closed: requests a second with 1, 10 and 64 connections, full recording on, in turn with the
others; and requests for each second of the tester's own CPU, its use of one core, which a
neighbour on the machine disturbs less. open: lateness of the generator itself at 500 to 20,000
requests a second, and wrk2's response times. hold: 20,000 a second for ten seconds. memory: what a
million samples take in this process.
"""

import argparse
import contextlib
import importlib.util
import json
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from perflab.systems import Closed, LoadResult, Open, run_load
from perflab.systems.loadgen.progress import Tracker
from perflab.systems.loadgen.wire import SAMPLE

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "hello"; }} }}
}}
"""
# A user as its documentation writes it. CPU and count are taken between start and stop: without
# the imports, and without what Locust's own tables round.
LOCUSTFILE = """
import json, time
from locust import FastHttpUser, events, task

class User(FastHttpUser):
    @task
    def get(self):
        self.client.get("/")

@events.spawning_complete.add_listener
def begin(**_):
    global began
    began = time.perf_counter(), time.process_time(), stats.total.num_requests

@events.init.add_listener
def keep(environment, **_):
    global stats
    stats = environment.stats

@events.test_stopping.add_listener
def end(**_):
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    requests = stats.total.num_requests - began[2]
    print("RESULT", json.dumps([requests / wall, requests / cpu, stats.total.num_failures]))
"""
SECONDS = 2.0
Rates = tuple[float, float]  # requests a second, and for each second of the tester's CPU


@contextlib.contextmanager
def nginx() -> Iterator[str]:
    """An nginx with one worker that answers five bytes; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        sys.exit("nginx is not installed: nothing to measure against")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "conf").write_text(NGINX.format(folder=folder, port=port))
        Path(folder).chmod(0o755)  # the worker runs as another user when this is run as root
        with subprocess.Popen([program, "-c", f"{folder}/conf"]) as server:
            try:
                while server.poll() is None:
                    with (
                        contextlib.suppress(OSError),
                        socket.create_connection(("127.0.0.1", port)),
                    ):
                        break
                    time.sleep(0.01)
                yield f"http://127.0.0.1:{port}/"
            finally:
                server.terminate()


def ours(url: str, connections: int) -> Rates:
    result = run_load(url, Closed(connections, SECONDS), warm_up=0.2)
    return result.throughput, result.throughput / result.tester_cpu


def locust(url: str, connections: int) -> Rates:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "load.py").write_text(LOCUSTFILE)
        command = [sys.executable, "-P", "-m", "locust", "-f", "load.py", "--headless"]
        command += ["-H", url.rstrip("/"), "-u", f"{connections}", "-r", f"{connections}"]
        command += ["-t", f"{SECONDS:.0f}s", "--loglevel", "ERROR"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=60, check=True
        )
    rate, per_core, failures = json.loads(done.stdout.split("RESULT")[1].split("\n")[0])
    assert failures == 0, failures
    return rate, per_core


def wrk(url: str, connections: int) -> Rates:
    before = children_cpu()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS:g}s", url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    requests = float(said.split(" requests in")[0].split()[-1])
    return float(said.split("Requests/sec:")[1].split()[0]), requests / (children_cpu() - before)


def children_cpu() -> float:
    """Seconds of CPU of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wrk2(url: str, rate: int) -> str:
    """wrk2's p50 and p99, as it writes them; it needs ten seconds to find its own pace."""
    command = ["wrk2", "-t1", "-c64", "-d15s", f"-R{rate}", "--latency", url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = dict(line.split() for line in said.splitlines() if len(line.split()) == 2)
    return f"wrk2 p50 {found.get('50.000%')} p99 {found.get('99.000%')}"


def bare(url: str, connections: int) -> Rates:
    """libcurl's multi interface alone: nothing recorded, nothing planned."""
    import pycurl

    multi, done, handles = pycurl.CurlMulti(), 0, []
    for _ in range(connections):
        curl = pycurl.Curl()
        for option, value in (
            (pycurl.URL, url), (pycurl.PROXY, ""), (pycurl.WRITEFUNCTION, len)
        ):  # fmt: skip
            curl.setopt(option, value)
        multi.add_handle(curl)
        handles.append(curl)
    start, cpu = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) - start < SECONDS:
        multi.perform()
        _, good, bad = multi.info_read()
        for curl in good + [curl for curl, _, _ in bad]:
            done += 1
            multi.remove_handle(curl)
            multi.add_handle(curl)
        if not good:
            multi.select(max(min(multi.timeout(), 100), 0) / 1000)
    return done / (now - start), done / (time.process_time() - cpu)


def closed(url: str, rounds: int) -> None:
    testers: dict[str, Callable[[str, int], Rates]] = {"ours": ours, "bare libcurl": bare}
    if shutil.which("wrk"):
        testers["wrk"] = wrk
    if importlib.util.find_spec("locust"):
        testers["FastHttpUser"] = locust
    print("closed loop: requests/s, and requests per second of its CPU (medians of rounds in turn)")
    for connections in (1, 10, 64):
        seen: dict[str, list[Rates]] = {name: [] for name in testers}
        for _ in range(rounds):
            for name, tester in testers.items():
                seen[name].append(tester(url, connections))
        own = np.median(seen["ours"], axis=0)
        print(f"{connections:3} connections")
        for name, rates in seen.items():
            rate, core = np.median(rates, axis=0)
            times = f"ours is {own[1] / core:.2f}× per core"
            print(f"    {name:13} {rate:8,.0f}/s  {core:8,.0f}/CPU s  {times}", flush=True)


def open_loop(url: str, rounds: int) -> None:
    print("open loop: lateness and response time in µs, of the quietest of the rounds")
    for rate in (500, 1_000, 3_000, 5_000, 10_000, 20_000):
        runs = [run_load(url, Open(rate, SECONDS), warm_up=0.3) for _ in range(rounds)]
        show(rate, min(runs, key=lambda run: run.percentile(99, "lateness")))
        if shutil.which("wrk2"):
            print(f"        {wrk2(url, rate)}", flush=True)


def show(rate: int, run: LoadResult) -> None:
    late = [run.percentile(p, "lateness") * 1e6 for p in (50, 99, 99.9)]
    took = [run.percentile(p) * 1e6 for p in (50, 99)]
    print(
        f"{rate:6,}/s: late p50 {late[0]:6.0f} p99 {late[1]:6.0f} p99.9 {late[2]:6.0f}  "
        f"response p50 {took[0]:6.0f} p99 {took[1]:6.0f}  CPU {run.tester_cpu:.2f}  "
        f"connections {run.connections_opened}  not sent {run.not_sent}  {run.errors}",
        flush=True,
    )


def hold(url: str, rounds: int) -> None:
    print("20,000/s for 10 s: what was sent, in the worst second and in all")
    run = run_load(url, Open(20_000, 10), warm_up=0.5)
    show(20_000, run)
    sent = np.bincount(run.start.astype(int), minlength=10)[:10]
    print(f"        {run.start.size:,} sent, {sent.min():,} in the worst second", flush=True)


def memory(url: str, rounds: int) -> None:
    record = SAMPLE.pack(1.0, 1.0, 1.1, 0, 0, 0, 0, 5, 0, 200, 0, 0)
    chunk = record * 500
    tracemalloc.start()
    tracker = Tracker(Closed(1), 0.0)
    for _ in range(1_000_000 // 500):
        tracker.add_samples(chunk)
    samples = tracker.samples()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    each = SAMPLE.size * len(samples) / 1e6
    print(f"memory: {len(samples):,} samples of {SAMPLE.size} bytes, {each:.0f} MB; with the "
          f"tracker {kept / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB")  # fmt: skip


def main() -> None:
    parts = {"closed": closed, "open": open_loop, "hold": hold, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(parts)}")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with nginx() as url:
        for name in asked.parts or parts:
            parts[name](url, asked.rounds)


if __name__ == "__main__":
    main()
