"""Does the load generator say what happened? A server that knows, live:

    python tests/benchmarks/truth.py [--requests 12000]

times: each request is answered after a time drawn beforehand, by waiting busily on the clock; the
reported p50, p99 and p99.9 of the service time have to be within 2 % or 50 µs of those drawn.
frozen: 1,000 requests a second for ten seconds, the server stands still for one of them; p99.9 of
the response time has to be within 2 % of what arithmetic demands.

A machine with something else to do adds its own waits to both: run it on a quiet one.
"""

import argparse
import contextlib
import multiprocessing
import socket
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np

from perflab.measure import percentile
from perflab.systems import Closed, Open, run_load

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PS = (50, 99, 99.9)


def serve(listener: socket.socket, times: Sequence[float]) -> None:
    """Answer one request after the other, number n after times[n] seconds, whoever sent it."""
    import selectors

    clock, number = time.perf_counter, 0
    listener.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(0):  # never asleep: being woken would take time as well
                came = clock()
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(connection, selectors.EVENT_READ)
                    continue
                connection = key.fileobj
                if not connection.recv(65536):
                    selector.unregister(connection)
                    connection.close()
                    continue
                due = came + times[number % len(times)]
                number += 1
                while clock() < due:
                    pass
                connection.sendall(ANSWER)


@contextlib.contextmanager
def serving(times: Sequence[float]) -> Iterator[str]:
    """Such a server in a process of its own; its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server = multiprocessing.get_context("fork").Process(
            target=serve, args=(listener, times), daemon=True
        )
        server.start()
        try:
            yield url
        finally:
            server.kill()
            server.join()


def bare(times: Sequence[float]) -> Sequence[float]:
    """What a loop of send and recv measures: the way through the kernel, and being woken."""
    request, took = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", []
    with (
        serving(times) as url,
        socket.create_connection(("127.0.0.1", int(url.split(":")[2].strip("/")))) as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in times:
            began = time.perf_counter()
            connection.sendall(request)
            connection.recv(65536)
            took.append(time.perf_counter() - began)
    return took


def told(name: str, said: float, true: float, allowed: float) -> bool:
    good = abs(said - true) <= allowed
    print(f"    {name:>6}: {said * 1e3:9.3f} ms, true {true * 1e3:9.3f} ms, "
          f"{(said - true) * 1e6:+7.0f} µs ({said / true - 1:+.2%})  {'ok' if good else 'MISSED'}",
          flush=True)  # fmt: skip
    return good


def known_times(requests: int) -> bool:
    """One user at a time, so that nobody waits for anybody. Log-normal, median 1 ms."""
    times = np.random.default_rng(1).lognormal(np.log(1e-3), 0.7, requests)
    with serving(times.tolist()) as url:
        result = run_load(url, Closed(1, requests=requests))
    print(f"times: {result.end.size:,} requests, {result.errors or 'no errors'}")
    good = [
        told(f"p{p:g}", result.percentile(p, "service_time"), true, max(0.02 * true, 50e-6))
        for p, true in ((p, percentile(times, p)) for p in PS)
    ]
    floor = bare(times.tolist())
    print("  a bare loop of send and recv, on the same server:")
    for p in PS:
        true = percentile(times, p)
        told(f"p{p:g}", percentile(floor, p), true, max(0.02 * true, 50e-6))
    return all(good)


def frozen(rate: int = 1_000, seconds: int = 10) -> bool:
    """The request in the middle takes a second; whoever comes meanwhile waits for its rest."""
    times = np.full(rate * seconds, 20e-6)
    middle = times.size // 2
    times[middle] = 1.0
    with serving(times.tolist()) as url:
        result = run_load(url, Open(rate, seconds), grace=5.0)
    gaps = np.full(times.size, 1 / rate)
    true = np.empty(times.size)
    wait = 0.0
    for n, service in enumerate(times):  # Lindley's recursion: one server, first come first served
        true[n] = wait + service
        wait = max(0.0, true[n] - gaps[n])
    said, demanded = result.percentile(99.9), percentile(true, 99.9)
    print(f"frozen for 1 s under {rate:,}/s: {result.end.size:,} requests, "
          f"{result.not_sent} not sent, {result.errors or 'no errors'}")  # fmt: skip
    return told("p99.9", said, demanded, 0.02 * demanded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=12_000)
    asked = parser.parse_args()
    good = [known_times(asked.requests), frozen()]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
