"""Our load generator, on virtual time, as a tester that the contract can try."""

from types import SimpleNamespace

from perflab.errors import TooFewSamplesError
from perflab.measure import percentile
from perflab.systems.loadgen import Open
from perflab.systems.loadgen.model import run_model


def ours(server, rate, concurrency, duration):
    found = run_model(server, Open(rate=rate, duration=duration), connections=concurrency, grace=60)
    good = found.response_time[found.ok]
    total = found.end.size + found.not_sent
    return SimpleNamespace(
        total_requests=total,
        successful_requests=good.size,
        failed_requests=total - good.size,
        p95_latency=tail(good, 95),
        p99_latency=tail(good, 99),
        rps=found.throughput,
    )


def tail(samples, p):
    try:
        return percentile(samples, p)
    except TooFewSamplesError:
        return None
