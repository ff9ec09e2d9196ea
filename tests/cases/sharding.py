"""Databases in shards: over our routers, the guide's, and over wrong routers."""

import itertools

from perflab.contracts import checks_of
from perflab.contracts import sharding as contract
from perflab.guide.sharding import ShardedDatabase
from perflab.patterns.sharding import ModuloRouter, RingRouter, crc32, open_all

CONTRACT = contract
ALL_OR_NONE = "if one shard does not open, none of the others stays open"
PROCESSES = "another process, with another seed of hash(), finds the same shards"
ORDER = "the order in which the shards are listed decides nothing"
BALANCE = "of 16 shards the fullest holds at most 1.10 times the mean"
WEIGHTS = "a shard of weight 3 holds three times what one of weight 1 holds"
FIVE = "4 shards become 5: at most 25 % of the keys move"
SEVENTEEN = "16 shards become 17: at most 6.5 % of the keys move"
LEAVING = "a shard that leaves moves its own keys and no others"
JOINING = "a lookup beside a shard that joins finds the old shard or the new"
MODULO = {FIVE, SEVENTEEN, LEAVING}  # what a modulus moves, whoever writes it


class Seeded(RingRouter):
    """Asks Python's hash(), which is seeded anew in each process."""

    def route(self, key):
        return self._table[hash((crc32(key.encode()),)) & 0xFFFF]  # no str: as in the last test run


class InPlace(RingRouter):
    """Fills the one table that lookups read."""

    def _change_to(self, weights):
        table = self._table_of(weights)
        self._table.clear()
        self._table.extend(table)
        self._weights = weights


class ReadTwice(ModuloRouter):
    """Reads the table, and then reads another for its length."""

    def route(self, key):
        return self._table[crc32(key.encode()) % len(self._table)]


class Unweighted(RingRouter):
    """Declares a weight."""

    def _table_of(self, weights):
        return super()._table_of(dict.fromkeys(weights, 1))


class ByNumber(RingRouter):
    """Each node has the points of its number in the list, not of its name."""

    def _table_of(self, weights):
        numbered = {f"number {n}": weight for n, weight in enumerate(weights.values())}
        name = dict(zip(numbered, weights, strict=True))
        return [name[node] for node in super()._table_of(numbered)]


class LongArcs(RingRouter):
    """One arc a node, as long as its weight: even, and it all shifts when a node joins."""

    def _table_of(self, weights):
        table = []
        for node, weight in weights.items():
            table += [node] * (65536 * weight // sum(weights.values()))
        return table + [node] * (65536 - len(table))


class FewPoints(RingRouter):
    """Every 512th point: arcs of very different length."""

    def _table_of(self, weights):
        table = super()._table_of(weights)
        return list(itertools.chain.from_iterable([node] * 512 for node in table[::512]))


def over(router, opening=open_all):
    return contract.over(router, opening)


FAILS = [
    (over(RingRouter), set()),
    (over(ModuloRouter), MODULO),
    (
        ShardedDatabase,
        {one.statement for one in checks_of(contract)} - {PROCESSES, BALANCE},
    ),
    (over(Seeded), {PROCESSES}),
    (over(InPlace), {JOINING}),
    (over(ReadTwice), {*MODULO, JOINING}),
    (over(Unweighted), {WEIGHTS}),
    (over(ByNumber), {ORDER, LEAVING}),
    (over(LongArcs), {ORDER, FIVE, SEVENTEEN, LEAVING}),
    (over(FewPoints), {BALANCE, WEIGHTS}),
    (over(RingRouter, lambda names, connect: {n: connect(n) for n in names}), {ALL_OR_NONE}),
]

NODES = [None, 1, "abc", b"abc", [], {}, [1], ["a", "a"], [None], {"a": 0}, {"a": -1}, {1: 1}]
NODES += [{"a": True}, {"a": 1.5}, {"a": "1"}, {"a": None}, {"a": 5000}]


def nonsense_of(router):
    name, of_two = router.__name__, router(["a", "b"])
    return {
        f"{name}(nodes)": (router, NODES),
        f"{name}.route": (of_two.route, [None, 1, True, b"x", [], {}]),
        f"{name}.add": (of_two.add, [None, 1, [], "a", b"c"]),
        f"{name}.add(weight)": (lambda bad: of_two.add("c", bad), [None, 0, -1, True, 1.5, 5000]),
        f"{name}.remove": (of_two.remove, [None, 1, [], "c"]),
        f"{name}.remove, the last": (router(["a"]).remove, ["a"]),
        f"{name}.moved(keys)": (lambda bad: of_two.moved(bad, of_two), [None, 1, "abc", [1]]),
        f"{name}.moved(other)": (lambda bad: of_two.moved(["k"], bad), [None, 1, "abc", router]),
    }


NONSENSE = nonsense_of(RingRouter) | nonsense_of(ModuloRouter)
