"""Chapter 3: an answer to each exercise, and wrong ones with what their hint must name."""

import bisect
import hashlib
import zlib

# ── 1: as somebody types


def nocase_range(db, beginning):
    db.execute("CREATE INDEX IF NOT EXISTS by_email ON users(email COLLATE NOCASE)")
    query = "SELECT email FROM users WHERE email COLLATE NOCASE >= ? AND email COLLATE NOCASE < ?"
    return [email for (email,) in db.execute(query, (beginning, beginning + "\U0010ffff"))]


def like_without_index(db, beginning):
    safe = beginning.replace("%", "~%").replace("_", "~_")
    query = "SELECT email FROM users WHERE email LIKE ? ESCAPE '~'"
    return [email for (email,) in db.execute(query, (safe + "%",))]


def plain_index(db, beginning):
    db.execute("CREATE INDEX IF NOT EXISTS by_email ON users(email)")
    return like_without_index(db, beginning)


def glob(db, beginning):
    db.execute("CREATE INDEX IF NOT EXISTS by_email ON users(email)")
    query = "SELECT email FROM users WHERE email GLOB ?"
    return [email for (email,) in db.execute(query, (beginning + "*",))]


def like_as_typed(db, beginning):
    db.execute("CREATE INDEX IF NOT EXISTS by_email ON users(email COLLATE NOCASE)")
    query = "SELECT email FROM users WHERE email LIKE ?"
    return [email for (email,) in db.execute(query, (beginning + "%",))]


KNOWN = {}


def remembered(db, beginning):
    if id(db) not in KNOWN:
        KNOWN[id(db)] = (db, [email for (email,) in db.execute("SELECT email FROM users")])
    return [one for one in KNOWN[id(db)][1] if one.lower().startswith(beginning.lower())]


# ── 2: the orders page


def _indexes(db, *more):
    for table, column in (("orders", "user_id"), ("order_items", "order_id"), *more):
        db.execute(f"CREATE INDEX IF NOT EXISTS {table}_{column} ON {table}({column})")


def _marks(values):
    return f"({', '.join('?' * len(values))})"


def three_queries(db, user):
    _indexes(db)
    orders = db.execute("SELECT id, total FROM orders WHERE user_id = ? ORDER BY id DESC", (user,))
    ids = [order for order, _ in orders]
    query = (
        f"SELECT order_id, product_id, quantity FROM order_items WHERE order_id IN {_marks(ids)}"
    )
    items = db.execute(query + " ORDER BY id", ids)
    products = sorted({product for _, product, _ in items})
    query = f"SELECT id, name, description FROM products WHERE id IN {_marks(products)}"
    about = {number: (name, text) for number, name, text in db.execute(query, products)}
    bought = {}
    for order, product, quantity in items:
        bought.setdefault(order, []).append((*about[product], quantity))
    return [{"id": id, "total": total, "items": bought.get(id, [])} for id, total in orders]


def without_indexes(db, user):
    return three_queries(_Deaf(db), user)


class _Deaf:
    """A database that makes no index."""

    def __init__(self, db):
        self._db = db

    def execute(self, query, parameters=()):
        return self._db.execute(query, parameters) if not query.startswith("CREATE") else []


def n_plus_one(db, user):
    _indexes(db)
    orders = db.execute("SELECT id, total FROM orders WHERE user_id = ? ORDER BY id DESC", (user,))
    query = """SELECT p.name, p.description, oi.quantity FROM order_items oi
               JOIN products p ON p.id = oi.product_id WHERE oi.order_id = ? ORDER BY oi.id"""
    return [{"id": id, "total": total, "items": db.execute(query, (id,))} for id, total in orders]


def one_join(db, user):
    _indexes(db)
    query = """SELECT o.id, o.total, p.name, p.description, oi.quantity FROM orders o
               JOIN order_items oi ON oi.order_id = o.id JOIN products p ON p.id = oi.product_id
               WHERE o.user_id = ? ORDER BY o.id DESC, oi.id"""
    page = {}
    for id, total, *item in db.execute(query, (user,)):
        page.setdefault(id, {"id": id, "total": total, "items": []})["items"].append(item)
    return list(page.values())


def only_with_items(db, user):
    return [order for order in three_queries(db, user) if order["items"]]


def index_on_everything(db, user):
    _indexes(db, ("order_items", "product_id"), ("orders", "created_at"), ("orders", "total"))
    return three_queries(db, user)


def oldest_first(db, user):
    return three_queries(db, user)[::-1]


PAGES = {}


def kept_page(db, user):
    if not PAGES:
        PAGES.update({number: three_queries(db, number) for number in range(1, 3_000)})
    return PAGES[user]


# ── 3: one shard more


def highest_bid(key, names):
    return max(names, key=lambda name: hashlib.blake2b(f"{name} {key}".encode()).digest())


def modulo(key, names):
    return sorted(names)[zlib.crc32(key.encode()) % len(names)]


def bids_by_hash(key, names):
    return max(names, key=lambda name: hash((name, key)))


def one_point_each(key, names):
    points = sorted((zlib.crc32(name.encode()), name) for name in names)
    at = bisect.bisect(points, (zlib.crc32(key.encode()), ""))
    return points[at % len(points)][1]


def by_place(key, names):
    bids = [hashlib.blake2b(f"{at} {key}".encode()).digest() for at in range(len(names))]
    return names[bids.index(max(bids))]


def another_name(key, names):
    return "shard-x"


# ── 4: the warm cache


def replayed(benchmarks, keys, start):
    day = start()
    true = sum(day.read(key) for key in keys) / len(keys)
    return {letter for letter, bench in benchmarks.items() if bench(start(), keys) < 0.8 * true}


def below_a_miss(benchmarks, keys, start):
    return {letter for letter, bench in benchmarks.items() if bench(start(), keys) < 4}


def below_the_mean(benchmarks, keys, start):
    reports = {letter: bench(start(), keys) for letter, bench in benchmarks.items()}
    return {one for one, says in reports.items() if says < 0.4 * sum(reports.values()) / 8}


def on_one_database(benchmarks, keys, start):
    day = start()
    true = sum(day.read(key) for key in keys[:50]) / 50
    return {letter for letter, bench in benchmarks.items() if bench(day, keys) < 0.8 * true}


def below_the_median(benchmarks, keys, start):
    said = {letter: bench(start(), keys) for letter, bench in benchmarks.items()}
    median = sorted(said.values())[len(said) // 2]
    return {letter for letter, report in said.items() if report < 0.8 * median}


def on_the_days_database(benchmarks, keys, start):
    day = start()
    true = sum(day.read(key) for key in keys) / len(keys)
    return {letter for letter, bench in benchmarks.items() if bench(day, keys) < 0.8 * true}


def everyone(benchmarks, keys, start):
    return set(benchmarks)


def a_name(benchmarks, keys, start):
    return "A"


SOLUTIONS = {1: nocase_range, 2: three_queries, 3: highest_bid, 4: replayed}
WRONG = {
    1: {
        like_without_index: "looks at every row",
        plain_index: "looks at every row",
        glob: "capitals",
        like_as_typed: "for themselves",
        remembered: "just come",
    },
    2: {
        without_indexes: "scanned",
        n_plus_one: "at once",
        one_join: "Fetch each product once",
        only_with_items: "LEFT JOIN keeps it",
        index_on_everything: "no query use",
        oldest_first: "Latest order first",
        kept_page: "Ask the database",
    },
    3: {
        modulo: "remainder",
        bids_by_hash: "seeded anew",
        one_point_each: "one point",
        by_place: "place in the list",
        another_name: "none of the names",
    },
    4: {
        below_a_miss: "not too low",
        below_the_mean: "got away",
        on_one_database: "not too low",
        below_the_median: "got away",
        on_the_days_database: "a new database from start()",
        everyone: "not too low",
        a_name: "a set of letters",
    },
}
