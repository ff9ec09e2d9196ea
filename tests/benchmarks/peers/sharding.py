"""Routers: the node of a key, among sixteen.

All get the key as the text that it is. Jump hash (Lamping and Veach, 2014) takes an integer, so
its turn contains what anybody has to do first, a hash of the text, here the CRC-32. It keeps no
names and no weights, and only its last bucket can leave.
"""

from collections.abc import Callable
from zlib import crc32

from perflab.patterns.sharding import ModuloRouter, RingRouter
from tests.benchmarks.racing import Race

NODES = [f"shard-{number}" for number in range(16)]
KEYS = [f"user:{number}" for number in range(100)]


def looking_up(find: Callable[[str], object]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in range(n // len(KEYS)):
            for key in KEYS:
                find(key)
        for key in KEYS[: n % len(KEYS)]:
            find(key)

    return run


def uhashring() -> Callable[[int], None]:
    from uhashring import HashRing

    return looking_up(HashRing(nodes=NODES).get_node)


def clandestined() -> Callable[[int], None]:
    from clandestined import RendezvousHash

    return looking_up(RendezvousHash(NODES).find_node)


def jump_hash() -> Callable[[int], None]:
    import jump

    jump_to, count = jump.hash, len(NODES)
    return looking_up(lambda key: jump_to(crc32(key.encode()), count))


RACES = [
    Race(
        "key to node, of 16",
        {
            "ours": lambda: looking_up(RingRouter(NODES).route),
            "uhashring": uhashring,
            "clandestined": clandestined,
            "jump-consistent-hash": jump_hash,
            "ours, modulo": lambda: looking_up(ModuloRouter(NODES).route),
        },
        {"uhashring": 10, "jump-consistent-hash": 1},
        idle_bytes=lambda: RingRouter(NODES),
    )
]
