"""A load generator: open and closed workloads, every request's times, memory of both sides.

The names are loaded when they are used: the engine's process, which starts below this package,
is to import neither numpy nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perflab.systems.loadgen.locust import run_locust
    from perflab.systems.loadgen.model import run_model
    from perflab.systems.loadgen.progress import Progress
    from perflab.systems.loadgen.result import LoadResult
    from perflab.systems.loadgen.routes import Route
    from perflab.systems.loadgen.run import run_load
    from perflab.systems.loadgen.scenario import Scenario
    from perflab.systems.loadgen.tester import model_tester
    from perflab.systems.loadgen.workload import Closed, Open, arrival_times

__all__ = ["run_load", "run_model", "run_locust", "model_tester", "Closed", "Open", "Route",
           "Scenario", "LoadResult", "Progress", "arrival_times"]  # fmt: skip

_HOME = {
    "run_load": "run",
    "run_model": "model",
    "run_locust": "locust",
    "model_tester": "tester",
    "Route": "routes",
    "Scenario": "scenario",
    "Closed": "workload",
    "Open": "workload",
    "arrival_times": "workload",
    "LoadResult": "result",
    "Progress": "progress",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
