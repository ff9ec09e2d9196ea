"""Which of several nodes keeps a key: routers that many processes agree on without asking.

A router needs four things. **Agreement**: two processes, today and tomorrow, find the same node,
so never `hash(str)`, which Python seeds anew in every process. **Balance**: each node gets its
share, by weight. **Little movement**: when a node joins, only what it takes over moves; when one
leaves, only what it had. **Speed**: a lookup is one hash in C and one step into a table.

- `ModuloRouter` is the simple one: hash modulo the number of nodes. Even, and right for a number
  of nodes that never changes: one more moves nearly every key. A modulus may take any bits of the
  hash, so it gets a longer one, the 32-bit CRC of RFC 1952.
- `RingRouter` is consistent hashing (Karger, Lehman, Leighton, Panigrahy, Levine and Lewin, STOC
  1997): each node stands at many points of a ring, and a key belongs to the next point after it.
  Many points even the arcs out: with p of them a node's share is off by about 1 in √p. The ring is
  cut into 65,536 slots, one for each value of the key's hash, and a slot belongs to the first
  point in or after it: a lookup needs no search, and movement stays that of the ring. The hash is
  the 16-bit CRC with which Redis Cluster finds the slots of its keys; the points are a stream of
  bits made of the node's name (SHAKE-128, FIPS 202), so a heavier node has the same and more.

The race: a lookup beside a node that joins or leaves. A router's table is never changed. A new one
is made aside and put in place by one assignment, and a lookup reads it once.
"""

import hashlib
import struct
import threading
from abc import ABC, abstractmethod
from binascii import crc_hqx
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from math import gcd
from typing import Any, TypeVar
from zlib import crc32

from perflab.errors import is_whole, require

T = TypeVar("T")

SLOTS = 1 << 16
SHIFT = 16  # from a point, which has 32 bits, to its slot
POINTS = 1024  # for each unit of weight: a share is off by 3 %, standard deviation
HEAVIEST = 1024  # all weights together: 64 slots for each unit, and a million points


@dataclass(frozen=True)
class Moved:
    """What another router would cost: of so many `keys`, so many `moved` to another node."""

    keys: int
    moved: int

    @property
    def share(self) -> float:
        """The part of the keys that moved, 0 to 1."""
        return self.moved / self.keys if self.keys else 0.0


class Router(ABC):
    """Finds a key's node, among nodes that may join and leave while lookups go on.

    `nodes` are names, or names with weights: whole numbers of at least 1, 1,024 together at most.

    Its state: `_weights` by node, guarded by `_changing`; and `_table`, what lookups read without
    a lock: a list that is never changed, only replaced.
    """

    def __init__(self, nodes: Mapping[str, int] | Iterable[str]) -> None:
        self._changing = threading.Lock()
        self._weights = _weights_of(nodes)
        self._table = self._table_of(self._weights)

    @property
    def nodes(self) -> dict[str, int]:
        """Every node's weight."""
        return dict(self._weights)

    @abstractmethod
    def route(self, key: str) -> str:
        """The node that keeps this key; ValueError unless the key is a str."""

    def add(self, node: str, weight: int = 1) -> None:
        """Let a node join. Lookups meanwhile find the old node of a key or the new one."""
        with self._changing:
            new = isinstance(node, str) and node not in self._weights
            require(new, "node", node, "a str that is new to this router")
            self._change_to(_weights_of({**self._weights, node: weight}))

    def remove(self, node: str) -> None:
        """Let a node go; the last one stays."""
        with self._changing:
            known = isinstance(node, str) and node in self._weights and len(self._weights) > 1
            require(known, "node", node, f"one of {', '.join(self._weights)}, and not the last")
            self._change_to({name: w for name, w in self._weights.items() if name != node})

    def moved(self, keys: Iterable[str], other: "Router") -> Moved:
        """How many of these keys another router would keep elsewhere."""
        iterable = isinstance(keys, Iterable) and not isinstance(keys, str)
        require(iterable, "keys", keys, "an iterable of strings")
        require(isinstance(other, Router), "other", other, "a router")
        differ = [self.route(key) != other.route(key) for key in keys]
        return Moved(len(differ), sum(differ))

    def _change_to(self, weights: dict[str, int]) -> None:
        table = self._table_of(weights)
        self._weights, self._table = weights, table

    @abstractmethod
    def _table_of(self, weights: dict[str, int]) -> list[str]:
        """The nodes as lookups find them; the same for the same weights, in any order."""


class ModuloRouter(Router):
    """Hash modulo the number of nodes, each counted by its weight."""

    def route(self, key: str) -> str:
        table = self._table
        try:
            return table[crc32(key.encode()) % len(table)]
        except (AttributeError, UnicodeEncodeError):
            return table[crc32(_bytes_of(key)) % len(table)]

    def _table_of(self, weights: dict[str, int]) -> list[str]:
        shared = gcd(*weights.values())
        return [node for node, w in sorted(weights.items()) for _ in range(w // shared)]


class RingRouter(Router):
    """Consistent hashing: a node that joins takes its share, and no other key moves.

        router = RingRouter(["a", "b", "c"])
        router.route("user:1")  # "a", "b" or "c": the same one in every process
        router.moved(keys, RingRouter(["a", "b", "c", "d"])).share  # about 1/4

    A lookup costs the same with any number of nodes; the table takes half a megabyte, and making
    it, on every change, about a millisecond a node.
    """

    def route(self, key: str) -> str:
        try:
            return self._table[crc_hqx(key.encode(), 0)]
        except (AttributeError, UnicodeEncodeError):
            return self._table[crc_hqx(_bytes_of(key), 0)]

    def _table_of(self, weights: dict[str, int]) -> list[str]:
        points = [(point, node) for node, w in weights.items() for point in _points_of(node, w)]
        points.sort()  # where two share a point, the name decides: never the order of joining
        table: list[str] = []
        for point, node in points:
            missing = (point >> SHIFT) + 1 - len(table)
            table += [node] * missing  # none, where an earlier point stands in the same slot
        return table + [points[0][1]] * (SLOTS - len(table))  # after the last comes the first


def open_all(names: Iterable[str], connect: Callable[[str], T]) -> dict[str, T]:
    """`connect(name)` for each name: all of them, or none.

    If one fails, those already open are closed before its error is raised.
    """
    opened: dict[str, Any] = {}
    with ExitStack() as undo:
        for name in names:
            opened[name] = connect(name)
            undo.callback(opened[name].close)
        undo.pop_all()
    return opened


def _points_of(node: str, weight: int) -> tuple[int, ...]:
    """Where a node stands on the ring: the same on every machine, whatever its byte order."""
    count = POINTS * weight
    return struct.unpack(f"<{count}I", hashlib.shake_128(_bytes_of(node)).digest(4 * count))


def _bytes_of(key: str) -> bytes:
    """UTF-8, and for a lone surrogate, which has none, what UTF-8 would make of its number."""
    require(isinstance(key, str), "key", key, "a str")
    return str.encode(key, "utf-8", "surrogatepass")


def _weights_of(nodes: Mapping[str, int] | Iterable[str]) -> dict[str, int]:
    """The nodes with their weights, looked at before anything is changed."""
    many = isinstance(nodes, Iterable) and not isinstance(nodes, str | bytes)
    require(many, "nodes", nodes, "names, or names with weights")
    named = list(nodes.items()) if isinstance(nodes, Mapping) else [(name, 1) for name in nodes]
    require(len(named) > 0, "nodes", nodes, "at least one node")
    for name, weight in named:
        require(isinstance(name, str), "nodes", name, "named by a str")
        require(
            is_whole(weight) and weight > 0, f"weight of {name!r}", weight, "a whole number above 0"
        )
    weights = dict(named)
    require(len(weights) == len(named), "nodes", nodes, "named once each")
    require(sum(weights.values()) <= HEAVIEST, "nodes", nodes, f"of {HEAVIEST} together at most")
    return weights
