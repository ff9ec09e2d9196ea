"""Real things to measure: the shop's data, the servers that serve it, the load on them."""

from typing import TYPE_CHECKING, Any

# A supervised child pays for what is imported here: nothing heavy.
from perflab.systems.neighbour import neighbour
from perflab.systems.servers import Server
from perflab.systems.shop import Shop, shop
from perflab.systems.webapp import Trace, WebApp, webapp

if TYPE_CHECKING:
    from perflab.systems.loadgen import Closed, LoadResult, Open, Progress, run_load

__all__ = ["shop", "Shop", "webapp", "WebApp", "Trace", "Server",
           "run_load", "Closed", "Open", "LoadResult", "Progress", "neighbour"]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The load generator's names, when they are used: no server's process needs them."""
    if name in ("run_load", "Closed", "Open", "LoadResult", "Progress"):
        from perflab.systems import loadgen

        return getattr(loadgen, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
