"""The shop of the first case study: one product page, four fixes, each with or without.

    GET /page/{id}?use=ICPZ&related=90

The page lists the last orders of a product and so many of its category, and is made with the
fixes that `use` names by their letters, any of

    I  indexes and rewritten queries: three that search, instead of one or two a row, some of which
       scan
    C  the page is kept in Valkey for an hour
    P  connections come from a pool, instead of one made for each request
    Z  the answer is compressed

Every subset makes the same page. The database holds the shop twice, in a schema without indexes
and in one with them, so that requests with and without can take turns. An answer says in headers
what it cost: x-queries, x-connects (new connections), x-hit (1 where the cache had it).

`case_study` starts it; the rest of this file runs in the server's process.
"""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from perflab.errors import is_whole, require
from perflab.systems.compression import CompressionMiddleware
from perflab.systems.webapp import Settings, WebApp, webapp

if TYPE_CHECKING:
    from perflab.systems.postgresserver import PostgresServer
    from perflab.systems.valkeyserver import ValkeyServer

FIXES = "ICPZ"
OPTIONS = "PERFLAB_SHOP_PAGES"
PLAIN, INDEXED = "plain", "indexed"
INDEXES = ("order_items (product_id, order_id)", "order_items (order_id)",
           "products (category, sold)", "orders (user_id)")  # fmt: skip
ORDERS, RELATED = 20, 90  # rows on a page: what was ordered last, products of the same category
MOST_RELATED = 500
TTL = 3_600.0  # seconds: longer than an experiment, so that a busy machine has as many hits

PRODUCT = "SELECT id, name, category, price, description, sold FROM {}.products WHERE id = %s"
# Without I: what an object-relational mapper does when nobody looks.
ORDER_IDS = "SELECT order_id, quantity FROM {}.order_items WHERE product_id = %s ORDER BY order_id"
ORDER = "SELECT user_id, total, created_at FROM {}.orders WHERE id = %s"
USER = "SELECT name FROM {}.users WHERE id = %s"
PIECES = "SELECT sum(quantity) FROM {}.order_items WHERE order_id = %s"
RELATED_IDS = "SELECT id FROM {}.products WHERE category = %s ORDER BY sold DESC, id LIMIT %s"
# With I.
LAST_ORDERS = """
    SELECT users.name, orders.total, orders.created_at, last.quantity,
        (SELECT sum(quantity) FROM {0}.order_items WHERE order_id = orders.id)
    FROM (SELECT order_id, quantity FROM {0}.order_items WHERE product_id = %s
          ORDER BY order_id DESC, id DESC LIMIT %s) AS last
    JOIN {0}.orders ON orders.id = last.order_id JOIN {0}.users ON users.id = orders.user_id
    ORDER BY orders.id DESC
"""
ALL_RELATED = """
    SELECT id, name, category, price, description, sold FROM {}.products
    WHERE category = %s ORDER BY sold DESC, id LIMIT %s
"""


def case_study(
    database: "PostgresServer", cache: "ValkeyServer", *, threads: int = 8, max_open: int = 4
) -> WebApp:
    """The shop's pages as a server: `.get("/page/7?use=IC")`. `prepare` fills its database first.

    `threads` requests are worked on at once; the pool opens `max_open` connections at most.
    """
    for name, value in (("threads", threads), ("max_open", max_open)):
        whole = is_whole(value) and 1 <= value <= 1000
        require(whole, name, value, "a whole number from 1 to 1,000")
    options = {"database": database.url, "cache": cache.url, "threads": threads}
    env = {OPTIONS: json.dumps({**options, "max_open": max_open})}
    return webapp(routes="perflab.experiments.shoppages:routes", env=env)


def prepare(database: "PostgresServer") -> None:
    """Copy the shop, which is in the database already, into both schemas; index one of them."""
    with database.connect(autocommit=True) as connection:
        for schema in (PLAIN, INDEXED):
            connection.execute(f"CREATE SCHEMA {schema}")
            for table in ("users", "products", "orders", "order_items"):
                name = f"{schema}.{table}"
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM public.{table}")  # type: ignore[arg-type, unused-ignore]  # names of ours
                connection.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (id)")  # type: ignore[arg-type, unused-ignore]  # likewise
        for index in INDEXES:
            connection.execute(f"CREATE INDEX ON {INDEXED}.{index}")  # type: ignore[arg-type, unused-ignore]  # likewise
        connection.execute("VACUUM ANALYZE")


# ── in the server's process


def routes(settings: Settings) -> list[BaseRoute]:
    """What `webapp` adds to its own routes."""
    options = json.loads(os.environ[OPTIONS])
    pages = Pages(options["database"], options["cache"], options["threads"], options["max_open"])
    return [Route("/page/{id:int}", Page(pages))]


class Cost:
    """What one answer took."""

    def __init__(self) -> None:
        self.queries = self.connects = self.hit = 0


class Pages:
    """Makes pages in threads. Its state: the pool, the cache's client, the threads, and for each
    thread in `_made` the connections that it has opened."""

    def __init__(self, database: str, cache: str, threads: int, max_open: int) -> None:
        import psycopg
        from valkey import Valkey

        from perflab.patterns import ConnectionPool
        from perflab.patterns.servertiers import ValkeyTier

        self._psycopg, self._database = psycopg, database
        self._made = threading.local()
        self._pool = ConnectionPool(self._connect, max_open)
        self._cache = ValkeyTier(Valkey.from_url(cache), TTL, prefix="page:")
        self.threads = ThreadPoolExecutor(threads, "page")

    def page(self, product: int, use: str, related: int) -> tuple[bytes | None, Cost]:
        """The page as JSON, None where there is no such product; and what it took."""
        cost = Cost()
        key = f"{''.join(sorted(use))}:{product}:{related}"  # each subset has a cache of its own
        if "C" in use:
            found = self._cache.entry(key)
            if found is not None:
                cost.hit = 1
                return found.value, cost
        with self._connection("P" in use, cost) as connection:
            make = rewritten if "I" in use else row_by_row
            page = make(Counting(connection, cost), product, related)
        if page is None:
            return None, cost
        body = json.dumps(page, separators=(",", ":")).encode()
        if "C" in use:
            self._cache.set(key, body, TTL)
        return body, cost

    def _connect(self) -> Any:
        """A new connection; it is opened in the thread that will use it."""
        self._made.count = getattr(self._made, "count", 0) + 1
        return self._psycopg.connect(self._database)

    @contextmanager
    def _connection(self, pooled: bool, cost: Cost) -> Iterator[Any]:
        before = getattr(self._made, "count", 0)
        with self._pool.acquire() if pooled else closing(self._connect()) as connection:
            cost.connects = getattr(self._made, "count", 0) - before
            yield connection


class Counting:
    """A connection that counts its queries."""

    def __init__(self, connection: Any, cost: Cost) -> None:
        self._connection, self._cost = connection, cost

    def rows(self, schema: str, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        self._cost.queries += 1
        rows: list[tuple[Any, ...]] = self._connection.execute(
            query.format(schema), parameters
        ).fetchall()
        return rows


def row_by_row(database: Counting, product: int, related: int) -> dict[str, Any] | None:
    """One query for each row of the page, no index beyond the keys."""
    found = database.rows(PLAIN, PRODUCT, product)
    if not found:
        return None
    orders = []
    for order, quantity in database.rows(PLAIN, ORDER_IDS, product)[: -ORDERS - 1 : -1]:
        user, total, created = database.rows(PLAIN, ORDER, order)[0]
        name = database.rows(PLAIN, USER, user)[0][0]
        pieces = database.rows(PLAIN, PIECES, order)[0][0]
        orders.append((name, total, created, quantity, pieces))
    others = [
        database.rows(PLAIN, PRODUCT, other)[0]
        for (other,) in database.rows(PLAIN, RELATED_IDS, found[0][2], related)
    ]
    return _page(found[0], orders, others)


def rewritten(database: Counting, product: int, related: int) -> dict[str, Any] | None:
    """Three queries, each by an index."""
    found = database.rows(INDEXED, PRODUCT, product)
    if not found:
        return None
    orders = database.rows(INDEXED, LAST_ORDERS, product, ORDERS)
    others = database.rows(INDEXED, ALL_RELATED, found[0][2], related)
    return _page(found[0], orders, others)


def _page(product: Any, orders: Any, related: Any) -> dict[str, Any]:
    return {"product": product, "orders": orders, "related": related}


class Page:
    """The route, as ASGI: with Z in `use` behind the compressing middleware, else without it."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._compressed = CompressionMiddleware(self._answer)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        use = Request(scope).query_params.get("use", "")
        await (self._compressed if "Z" in use else self._answer)(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope)
        use = request.query_params.get("use", "")
        related = request.query_params.get("related", str(RELATED))
        if set(use) - set(FIXES):
            response = Response(f"use: some of {FIXES}", 400)
        elif not (related.isascii() and related.isdigit() and int(related) <= MOST_RELATED):
            response = Response(f"related: a number from 0 to {MOST_RELATED}", 400)
        else:
            product = request.path_params["id"]
            response = await self._made(product, use, int(related))
        await response(scope, receive, send)

    async def _made(self, product: int, use: str, related: int) -> Response:
        loop = asyncio.get_running_loop()
        body, cost = await loop.run_in_executor(
            self._pages.threads, self._pages.page, product, use, related
        )
        headers = {f"x-{name}": f"{value}" for name, value in vars(cost).items()}
        return Response(body or b"{}", 404 if body is None else 200, headers, "application/json")
