"""Real things to measure: the shop's data, the servers that serve it, the load on them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# A supervised child pays for what is imported here: nothing heavy.
from perflab.systems.neighbour import neighbour
from perflab.systems.servers import Server, scratch
from perflab.systems.shop import Shop, shop
from perflab.systems.webapp import Trace, WebApp, webapp

if TYPE_CHECKING:
    from perflab.systems.balancers import Balancer, balancer
    from perflab.systems.daskcluster import Cluster, cluster
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
    from perflab.systems.plans import QueryPlan, explain
    from perflab.systems.postgresserver import PostgresServer, postgres
    from perflab.systems.slowlink import Link, LinkCounts, link
    from perflab.systems.valkeyserver import ValkeyServer, valkey

HOME = {"balancer": "balancers", "Balancer": "balancers", "cluster": "daskcluster",
        "Cluster": "daskcluster", "HttpGet": "httpget",
        "explain": "plans", "QueryPlan": "plans",
        "link": "slowlink", "Link": "slowlink", "LinkCounts": "slowlink",
        "postgres": "postgresserver", "PostgresServer": "postgresserver",
        "valkey": "valkeyserver", "ValkeyServer": "valkeyserver"}  # fmt: skip
LOADGEN = ("run_load", "run_model", "run_locust", "model_tester", "Closed", "Open", "Route",
           "Scenario", "LoadResult", "Progress")  # fmt: skip

__all__ = ["shop", "Shop", "webapp", "WebApp", "Trace", "Server", "neighbour", "scratch",
           "postgres", "PostgresServer", "valkey", "ValkeyServer",
           "link", "Link", "LinkCounts", "explain", "QueryPlan",
           "balancer", "Balancer", "cluster", "Cluster",
           "run_load", "run_model", "run_locust", "model_tester", "Closed", "Open", "Route",
           "Scenario", "LoadResult", "Progress", "HttpGet"]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Names that no server's process needs, when they are used."""
    home = "loadgen" if name in LOADGEN else HOME.get(name)
    if home is not None:
        return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
