"""Real things to measure: the shop's data, the servers that serve it, the load on them."""

from typing import TYPE_CHECKING, Any

# A supervised child pays for what is imported here: nothing heavy.
from perflab.systems.neighbour import neighbour
from perflab.systems.servers import Server
from perflab.systems.shop import Shop, shop
from perflab.systems.webapp import Trace, WebApp, webapp

if TYPE_CHECKING:
    from perflab.systems.httpget import HttpGet
    from perflab.systems.loadgen import (
        Closed,
        LoadResult,
        Open,
        Progress,
        Route,
        Scenario,
        model_tester,
        run_load,
        run_locust,
        run_model,
    )

LOADGEN = ("run_load", "run_model", "run_locust", "model_tester", "Closed", "Open", "Route",
           "Scenario", "LoadResult", "Progress")  # fmt: skip

__all__ = ["shop", "Shop", "webapp", "WebApp", "Trace", "Server", "neighbour",
           "run_load", "run_model", "run_locust", "model_tester", "Closed", "Open", "Route",
           "Scenario", "LoadResult", "Progress", "HttpGet"]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The clients' names, when they are used: no server's process needs them."""
    if name in LOADGEN:
        from perflab.systems import loadgen

        return getattr(loadgen, name)
    if name == "HttpGet":
        from perflab.systems.httpget import HttpGet

        return HttpGet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
