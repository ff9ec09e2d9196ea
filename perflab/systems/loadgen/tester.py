"""The load generator as the kind of tester that `contracts.loadtest` puts to the test."""

from typing import NamedTuple

from perflab.errors import TooFewSamplesError
from perflab.measure.percentiles import percentile
from perflab.systems.loadgen.model import Model, run_model
from perflab.systems.loadgen.workload import Floats, Open


class Report(NamedTuple):
    """What a tester says; latencies in seconds, of successes, None where too few show them."""

    total_requests: int
    successful_requests: int
    failed_requests: int
    p95_latency: float | None
    p99_latency: float | None
    rps: float


def model_tester(server: Model, rate: float, concurrency: int, duration: float) -> Report:
    """Load a model at a constant rate over so many connections; what was never sent has failed."""
    run = run_model(server, Open(rate, duration), connections=concurrency, grace=60)
    good = run.response_time[run.ok]
    total = len(run.end) + run.not_sent
    p95, p99 = _tail(good, 95), _tail(good, 99)
    return Report(total, len(good), total - len(good), p95, p99, run.throughput)


def _tail(samples: Floats, p: float) -> float | None:
    try:
        return percentile(samples, p)
    except TooFewSamplesError:
        return None
