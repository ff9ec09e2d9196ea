"""The shop's pages with all sixteen subsets of the four fixes, request by request, by turns."""

import gzip
import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require
from perflab.experiments.shoppages import FIXES, RELATED, TTL, rewritten, row_by_row
from perflab.patterns.servertiers import ValkeyTier
from perflab.systems.plans import explain

if TYPE_CHECKING:
    from perflab.systems.postgresserver import PostgresServer
    from perflab.systems.valkeyserver import ValkeyServer

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
SUBSETS = tuple("".join(some) for size in range(5) for some in combinations(FIXES, size))
CACHED = tuple(use for use in SUBSETS if "C" in use)
VISITED = 200  # products that are looked at; the others lie in the shop unseen


def visits(database: "PostgresServer", count: int, skew: float = 1.0, seed: int = 1) -> list[int]:
    """Products in the order in which they are visited: by Zipf's law of that exponent among the
    most sold ones (0: all alike). The same for the same shop and seed."""
    require(count >= 1, "count", count, "at least 1")
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT id FROM public.products ORDER BY sold DESC, id LIMIT %s", (VISITED,)
        ).fetchall()
    drawn = np.random.default_rng(seed).random(count)
    places = np.searchsorted(np.cumsum(popularity(len(rows), skew)), drawn, side="right")
    return [rows[min(at, len(rows) - 1)][0] for at in places]


def popularity(products: int, skew: float) -> Floats:
    """Which share of the visits goes to the first, the second … product, by Zipf's law."""
    weight = 1 / np.arange(1, products + 1) ** skew
    share: Floats = weight / weight.sum()
    return share


def hit_ratio(seen: int, skew: float = 1.0, products: int = VISITED) -> float:
    """The chance that a visit finds its page in a cache that began empty so many visits ago: the
    sum over products of p × (1 − (1 − p)ⁿ)."""
    share = popularity(products, skew)
    return float(np.sum(share * (1 - (1 - share) ** seen)))


class Pages:
    """A client that keeps its connection, as a browser does. State: that connection."""

    def __init__(self, server: Any) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def get(self, path: str) -> tuple[float, dict[str, int], int, bytes]:
        """Seconds, what it cost by name, bytes sent and the body, unpacked. OSError, and
        ValueError for a status other than 200."""
        began = perf_counter()
        self._connection.request("GET", path, headers={"accept-encoding": "gzip"})
        answer = self._connection.getresponse()
        sent = answer.read()
        seconds = perf_counter() - began
        require(answer.status == 200, path, answer.status, "200")
        packed = answer.headers["content-encoding"] == "gzip"
        costs = {name[2:]: int(text) for name, text in answer.headers.items() if name[:2] == "x-"}
        return seconds, costs, len(sent), gzip.decompress(sent) if packed else sent

    def close(self) -> None:
        self._connection.close()


def path_of(product: int, use: str, related: int = RELATED) -> str:
    return f"/page/{product}?use={use}&related={related}"


def fill(app: Any, cache: "ValkeyServer", products: Sequence[int], related: int = RELATED) -> None:
    """Empty the cache, then put these products' pages into it, for each subset that uses it: as
    if they had all been visited before."""
    client, pages = cache.client(), Pages(app)
    client.flushall()
    tier = ValkeyTier(client, TTL, prefix="page:")
    for product in dict.fromkeys(products):
        body = pages.get(path_of(product, "IP", related))[3]
        for use in CACHED:
            tier.set(f"{''.join(sorted(use))}:{product}:{related}", body, TTL)
    pages.close()


@dataclass(frozen=True)
class Turns:
    """What the visits took: a row a visit, a column a subset in the order of SUBSETS.

    `known`: whether the page had been put into the cache before. Seconds, and counts: database
    queries, new connections to the database, hits of the cache, bytes of the body as it was sent.
    `bodies`: how many different pages one visit was given, at most. `kept`: bytes in the cache by
    subset, afterwards.
    """

    known: NDArray[np.bool_]
    seconds: Floats
    queries: Counts
    connects: Counts
    hits: Counts
    sent: Counts
    bodies: int
    kept: dict[str, int]

    def mean(self, what: str, ratio: float) -> dict[str, float]:
        """The mean of a column by subset where this share of the visits finds its page."""
        values = getattr(self, what)
        known, other = (values[part].mean(axis=0) for part in (self.known, ~self.known))
        return dict(zip(SUBSETS, (ratio * known + (1 - ratio) * other).tolist(), strict=True))


def by_turns(
    app: Any, line: Any, cache: "ValkeyServer", products: Sequence[int], related: int = RELATED,
    uses: Sequence[str] = SUBSETS, seed: int = 1,
) -> Turns:  # fmt: skip
    """Pages of different products, each in all sixteen ways (or those of `uses`), one after the
    other in an order that is drawn anew for each product: whatever moves the machine moves all.

    Every second page is put into the cache first. `line` is the way to the server that is timed.
    """
    require(
        len(set(products)) == len(products) >= 2, "products", products, "different, two or more"
    )
    fill(app, cache, products[::2], related)
    client, order = Pages(line), np.random.default_rng(seed)
    shape = (len(products), len(SUBSETS))
    seconds = np.full(shape, np.nan)
    counts = {name: np.zeros(shape, np.int64) for name in ("queries", "connects", "hit", "sent")}
    different = 1
    client.get(path_of(products[0], "I"))  # the connection's own round trip belongs to no subset
    for row, product in enumerate(products):
        bodies = set()
        for column in order.permutation([SUBSETS.index(use) for use in uses]):
            path = path_of(product, SUBSETS[column], related)
            seconds[row, column], costs, sent, body = client.get(path)
            for name, value in {**costs, "sent": sent}.items():
                counts[name][row, column] = value
            bodies.add(body)
        different = max(different, len(bodies))
    client.close()
    return Turns(
        np.arange(len(products)) % 2 == 0,
        seconds,
        counts["queries"],
        counts["connects"],
        counts["hit"],
        counts["sent"],
        different,
        _kept(cache),
    )


def _kept(cache: "ValkeyServer") -> dict[str, int]:
    """Bytes that the cache takes for the pages of each subset."""
    client: Any = cache.client()
    kept = dict.fromkeys(SUBSETS, 0)
    names = {"".join(sorted(use)): use for use in SUBSETS}
    for key in client.scan_iter("page:*", count=1_000):
        kept[names[key.decode().split(":")[1]]] += client.memory_usage(key)
    return kept


class Weighing:
    """In the place of the page's own connection: counts queries and the blocks they look at."""

    def __init__(self, connection: Any) -> None:
        self._connection, self.queries, self.blocks = connection, 0, 0

    def rows(self, schema: str, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        self.queries += 1
        plan = explain(self._connection, query.format(schema).replace("%s", "?"), parameters)
        self.blocks += plan.pages or 0
        rows: list[tuple[Any, ...]] = self._connection.execute(
            query.format(schema), parameters
        ).fetchall()
        return rows


def blocks(database: "PostgresServer", product: int, use: str = "") -> int:
    """Blocks of 8 kB that the database looks at for one page that the cache does not have."""
    with database.connect() as connection:
        weighing = Weighing(connection)
        (rewritten if "I" in use else row_by_row)(weighing, product, RELATED)  # type: ignore[arg-type]  # rows() is all that a page asks for
    return weighing.blocks


def listed(body: bytes) -> dict[str, int]:
    """How many orders and related products a page shows."""
    page = json.loads(body)
    return {name: len(page[name]) for name in ("orders", "related")}
