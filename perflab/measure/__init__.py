"""How it is measured: virtual time, percentiles, histograms, comparisons, memory, the machine."""

from perflab.measure.compare import Comparison, compare
from perflab.measure.counting import Counted
from perflab.measure.histogram import LatencyHistogram
from perflab.measure.leak import LeakDetector, LeakStats
from perflab.measure.machine import Machine, noise_floor
from perflab.measure.memory import MemoryTrace, allocations, trace_memory
from perflab.measure.model import Answer, ModelServer
from perflab.measure.percentiles import percentile, percentile_interval, percentiles
from perflab.measure.queueing import InFlight, in_flight, mm1_response_time, response_times
from perflab.measure.sampler import Profile, Sampler
from perflab.measure.virtual import VirtualClock, run_virtual

__all__ = [
    "compare",
    "Comparison",
    "trace_memory",
    "allocations",
    "MemoryTrace",
    "LatencyHistogram",
    "percentile",
    "percentiles",
    "percentile_interval",
    "VirtualClock",
    "run_virtual",
    "in_flight",
    "InFlight",
    "response_times",
    "mm1_response_time",
    "LeakDetector",
    "LeakStats",
    "Sampler",
    "Profile",
    "ModelServer",
    "Answer",
    "Counted",
    "Machine",
    "noise_floor",
]
