"""The load generator against nginx, beside wrk and a bare libcurl loop: `python -m
tests.benchmarks.loadgen` or run the file. What is not installed is skipped, nginx apart.

Closed loop: requests a second with 1, 10 and 64 connections, full recording on, in turn with the
others; and the tester's CPU for each request, which a neighbour on the machine disturbs less.
Open loop: lateness of the generator itself at 500 to 20,000 requests a second.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from perflab.systems import Closed, Open, run_load

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
SECONDS = 2.0
ROUNDS = 3


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


def wrk(url: str, connections: int) -> float:
    """Requests a second, as wrk says."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS:g}s", url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return float(said.split("Requests/sec:")[1].split()[0])


def bare(url: str, connections: int) -> float:
    """Requests a second of libcurl's multi interface alone: nothing recorded, nothing planned."""
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
    start = time.perf_counter()
    while (now := time.perf_counter()) - start < SECONDS:
        multi.perform()
        _, good, bad = multi.info_read()
        for curl in good + [curl for curl, _, _ in bad]:
            done += 1
            multi.remove_handle(curl)
            multi.add_handle(curl)
        if not good:
            multi.select(max(min(multi.timeout(), 100), 0) / 1000)
    return done / (now - start)


def closed(url: str) -> None:
    print("closed loop, requests/s (median of rounds taken in turn); CPU of ours a request")
    for connections in (1, 10, 64):
        rates: dict[str, list[float]] = {"ours": [], "bare libcurl": [], "wrk": []}
        cpu = []
        for _ in range(ROUNDS):
            result = run_load(url, Closed(connections, SECONDS), warm_up=0.2)
            rates["ours"].append(result.throughput)
            cpu.append(result.tester_cpu / result.throughput * 1e6)
            rates["bare libcurl"].append(bare(url, connections))
            if shutil.which("wrk"):
                rates["wrk"].append(wrk(url, connections))
        shown = "  ".join(f"{name} {np.median(r):8,.0f}" for name, r in rates.items() if r)
        print(f"{connections:3} connections: {shown}  {np.median(cpu):.1f} µs", flush=True)


def open_loop(url: str) -> None:
    print("open loop: lateness and response time in µs, of the quietest of the rounds")
    for rate in (500, 1_000, 3_000, 5_000, 10_000, 20_000):
        runs = [run_load(url, Open(rate, SECONDS), warm_up=0.3) for _ in range(ROUNDS)]
        best = min(runs, key=lambda run: run.percentile(99, "lateness"))
        late = [best.percentile(p, "lateness") * 1e6 for p in (50, 99, 99.9)]
        took = [best.percentile(p) * 1e6 for p in (50, 99)]
        print(
            f"{rate:6,}/s: late p50 {late[0]:6.0f} p99 {late[1]:6.0f} p99.9 {late[2]:6.0f}  "
            f"response p50 {took[0]:6.0f} p99 {took[1]:6.0f}  CPU {best.tester_cpu:.2f}  "
            f"connections {best.connections_opened}  not sent {best.not_sent}  {best.errors}",
            flush=True,
        )


def main() -> None:
    with nginx() as url:
        closed(url)
        open_loop(url)


if __name__ == "__main__":
    main()
