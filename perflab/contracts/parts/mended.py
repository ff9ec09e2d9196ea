"""What must hold of the guide's cache-aside service, mended by a reader: part of `cacheaside.py`.

Left out is what only shows when several ask at once: that is an exercise of its own.
"""

from collections.abc import Callable
from typing import Any

from perflab.contracts import cacheaside
from perflab.contracts.parts import updates
from perflab.contracts.parts.cache import World


def service_of(users: Callable[..., Any]) -> Callable[[World], Any]:
    """The service of one process, made with what a world holds."""
    return lambda world: users(
        world.remote,
        world.users.read,
        world.users.write,
        world.user_type,
        world.ttl,
        world.negative_ttl,
        world.max_entries,
        world.clock,
    )


hits, shared, storable = cacheaside.hits, cacheaside.shared, cacheaside.storable
bounded, expires, own = cacheaside.bounded, cacheaside.expires, cacheaside.own
absent, created, updated = cacheaside.absent, cacheaside.created, updates.updated
