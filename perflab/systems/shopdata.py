"""Draws the shop's rows and loads them into SQLite; `perflab.systems.shop` keeps the result."""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import sqlite_utils
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Columns = dict[str, "Integers | list[str] | NDArray[np.str_]"]

CHUNK = 50_000  # rows turned into Python objects at a time
ITEMS_PER_USER, ITEMS_PER_PRODUCT = 10, 50
DOMAINS = ["gmail.com"] * 4 + ["example.com"] * 3 + ["example.org"] * 2 + ["example.net"]
USER_STATUS = ["active"] * 8 + ["inactive", "blocked"]
ORDER_STATUS = ["delivered"] * 7 + ["shipped", "paid", "cancelled"]
QUANTITIES = np.array([1, 1, 1, 1, 1, 2, 2, 3])
USERS_SINCE = np.datetime64("2023-01-01T00:00:00")
ORDERS_SINCE = np.datetime64("2025-01-01T00:00:00")  # every user was there by then
TWO_YEARS, ONE_YEAR = 731 * 86_400, 365 * 86_400  # seconds


class Random:
    """Integers alone, from PCG64: floats could differ in the last place between platforms."""

    def __init__(self, seed: int, stream: int) -> None:
        self._bits = np.random.Generator(np.random.PCG64([seed, stream]))

    def below(self, bound: int | Integers, size: int) -> Integers:
        """`size` integers from 0 up to but without `bound`."""
        return self._bits.integers(0, bound, size, dtype=np.int64)

    def pick(self, values: list[str], size: int) -> list[str]:
        return [values[i] for i in self.below(len(values), size)]

    def popular(self, n: int, size: int) -> Integers:
        """`size` ids of 1 … n by Zipf's law with exponent 1; which id is popular is drawn too."""
        weights = 1_000_000_000 // np.arange(1, n + 1, dtype=np.int64)
        upto = np.cumsum(weights)
        ranks = np.searchsorted(upto, self.below(int(upto[-1]), size), side="right")
        ids: Integers = self._bits.permutation(np.arange(1, n + 1, dtype=np.int64))[ranks]
        return ids


def load(path: Path, items: int, seed: int, samples: Path) -> None:
    """Make a shop with that many order items at `path`, from the sample rows in `samples`."""
    with closing(sqlite3.connect(path)) as connection:
        # A file that is not complete is thrown away: no journal needed, nor waiting for the disk.
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        connection.executescript((samples / "schema.sql").read_text(encoding="utf-8"))
        database = sqlite_utils.Database(connection)
        for table, columns in tables(items, seed, samples).items():
            database.table(table).insert_all(rows(columns), batch_size=CHUNK)
        connection.commit()


def tables(items: int, seed: int, samples: Path) -> dict[str, Columns]:
    """Every table by columns; `id` counts from 1 in each."""
    users = max(10, items // ITEMS_PER_USER)
    products = max(10, items // ITEMS_PER_PRODUCT)
    about = draw_products(Random(seed, 1), products, samples)
    price = np.asarray(about["price"])
    order_of, first = draw_orders(Random(seed, 2), items)
    bought = Random(seed, 3)
    product = bought.popular(products, items)
    quantity = QUANTITIES[bought.below(len(QUANTITIES), items)]
    paid = price[product - 1]
    about["sold"] = np.bincount(product - 1, quantity, products).astype(np.int64)  # exact: < 2⁵³
    return {
        "users": draw_users(Random(seed, 0), users, samples),
        "products": about,
        "orders": about_orders(Random(seed, 4), users, np.add.reduceat(quantity * paid, first)),
        "order_items": {
            "id": numbered(items),
            "order_id": order_of,
            "product_id": product,
            "quantity": quantity,
            "price": paid,
        },
    }


def draw_users(random: Random, n: int, samples: Path) -> Columns:
    sample = read(samples / "names.csv")
    first = random.pick([row["first"] for row in sample], n)
    last = random.pick([row["last"] for row in sample], n)
    domain = random.pick(DOMAINS, n)
    anonymous = random.below(4, n) == 0  # a quarter keeps the address that was proposed
    emails = [
        f"user{i}@{at}" if hidden else f"{a}.{b}{i}@{at}".lower()
        for i, (a, b, at, hidden) in enumerate(zip(first, last, domain, anonymous, strict=True), 1)
    ]
    return {
        "id": numbered(n),
        "email": emails,
        "name": [f"{a} {b}" for a, b in zip(first, last, strict=True)],
        "status": random.pick(USER_STATUS, n),
        "created_at": moments(USERS_SINCE, random.below(TWO_YEARS, n)),
    }


def draw_products(random: Random, n: int, samples: Path) -> Columns:
    articles = read(samples / "articles.csv")
    words: dict[str, list[str]] = {}
    for row in read(samples / "words.csv"):
        words.setdefault(row["kind"], []).append(row["text"])
    chosen = [articles[i] for i in random.below(len(articles), n)]
    low = np.array([int(row["price_from"]) for row in chosen])
    high = np.array([int(row["price_to"]) for row in chosen])
    adjectives, materials = random.pick(words["adjective"], n), random.pick(words["material"], n)
    sentences = [random.pick(words["sentence"], n) for _ in range(6)]
    return {
        "id": numbered(n),
        "name": [
            f"{adjective} {material} {row['article']}".capitalize()
            for adjective, material, row in zip(adjectives, materials, chosen, strict=True)
        ],
        "category": [row["category"] for row in chosen],
        "price": low + random.below(high - low + 1, n),
        "description": [" ".join(parts) for parts in zip(*sentences, strict=True)],
    }


def draw_orders(random: Random, items: int) -> tuple[Integers, Integers]:
    """Each item's order, and the index of each order's first item; 1 to 5 items an order."""
    sizes = 1 + random.below(5, items)
    last = np.cumsum(sizes)
    orders = int(np.searchsorted(last, items)) + 1  # the last one may be cut short
    first = (last - sizes)[:orders]
    sizes = np.diff(first, append=items)
    return np.repeat(numbered(orders), sizes), first


def about_orders(random: Random, users: int, totals: Integers) -> Columns:
    n = len(totals)
    return {
        "id": numbered(n),
        "user_id": random.popular(users, n),
        "total": totals,
        "created_at": moments(ORDERS_SINCE, np.sort(random.below(ONE_YEAR, n))),
        "status": random.pick(ORDER_STATUS, n),
    }


def numbered(n: int) -> Integers:
    return np.arange(1, n + 1, dtype=np.int64)


def moments(since: np.datetime64, seconds: Integers) -> NDArray[np.str_]:
    return np.datetime_as_string(since + seconds.astype("timedelta64[s]"))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rows(columns: Columns) -> Iterator[dict[str, Any]]:
    """The rows as sqlite-utils takes them; a chunk at a time, so that memory stays small."""
    names = list(columns)
    for start in range(0, len(columns["id"]), CHUNK):
        parts = [columns[name][start : start + CHUNK] for name in names]
        lists = [part if isinstance(part, list) else part.tolist() for part in parts]
        yield from (dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True))
