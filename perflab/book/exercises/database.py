"""Chapter 3: as somebody types, the orders page, one shard more, the warm cache."""

import builtins
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried
from perflab.book.exercises.warmcache import benchmarks, judge_too_low, production, start
from perflab.systems.shop import shop

__all__ = ["EXERCISES", "benchmarks", "production", "start"]  # what the chapter shows is here

# ── 1: as somebody types

MOST_STEPS = 500
ADDED = ("Max_Weber@example.org", "maxiweber@example.org", "100%fit@example.org",
         "100fit@example.org", "MAX_ernst@example.net")  # fmt: skip
BEGINNINGS = ("user4711", "USER471", "max_", "100%", "nobody at all")


@contextmanager
def counting(db: sqlite3.Connection) -> Iterator[list[int]]:
    """The steps of SQLite's machine within the block, in a list of one."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    db.set_progress_handler(count, 1)
    try:
        yield steps
    finally:
        db.set_progress_handler(None, 1)


def _find(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    most = 0
    with closing(shop().copy()) as db:
        new = "INSERT INTO users (email, name, status, created_at) VALUES (?, '', 'active', '')"
        db.executemany(new, [(email,) for email in ADDED])
        if answer(db, "zz") is None:
            return Judgement("not attempted", "Return a list of addresses.")
        for number, beginning in enumerate(BEGINNINGS):
            added = f"{beginning}{number}"
            db.execute(new, (added,))  # so that it has to be asked each time
            everyone = [email for (email,) in db.execute("SELECT email FROM users")]
            wanted = [one for one in everyone if one.lower().startswith(beginning.lower())]
            with counting(db) as steps:
                got = list(answer(db, beginning))
            right = sorted(map(str, got)) == sorted(wanted)
            tried.append((f"«{beginning}»", right, f"{len(got):,} of {len(wanted):,} addresses"))
            if not right:
                return Judgement("wrong", _find_hint(beginning, got, wanted, added), tuple(tried))
            few, most = steps[0] <= MOST_STEPS, max(most, steps[0])
            tried.append((f"«{beginning}», steps", few, f"{steps[0]:,} of {MOST_STEPS}"))
            if not few:
                hint = "It still looks at every row: look at EXPLAIN QUERY PLAN for a SCAN. Which "
                hint += "comparison is the index built for, and which does the query make?"
                return Judgement("wrong", hint, tuple(tried))
    return Judgement("right", "Each call goes down one index.", tuple(tried), most)


def _find_hint(beginning: str, got: Sequence[Any], wanted: Sequence[str], added: str) -> str:
    if len(got) > len(wanted):
        return f"Too many for «{beginning}»: in LIKE % and _ stand for others, here for themselves."
    if added not in got:
        return "A user is missing who has just come: each call has to ask the database anew."
    return "Some are missing: capitals do not matter here, to GLOB and to a plain index they do."


# ── 2: the orders page

QUERIES, PAGE_STEPS = 4, 2_000
WRITES = 1.5  # times the steps of an insert without the answer's indexes
SPARE = 1.1  # times the characters that have to be fetched


class CountingDatabase:
    """What an answer asks. State: queries sent, and characters of the values returned."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db, self.queries, self.fetched = db, 0, 0

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement."""
        rows = self._db.execute(query, parameters).fetchall()
        self.queries += query.lstrip()[:6].upper() in ("SELECT", "WITH O", "WITH R")
        self.fetched += sum(len(str(value)) for row in rows for value in row)
        return rows


def page_of(db: sqlite3.Connection, user: int) -> tuple[list[dict[str, Any]], int]:
    """The page as it has to be, and how many characters have to be fetched for it."""
    page, seen, needed = [], set(), 0
    asked = "SELECT id, total FROM orders WHERE user_id = ? ORDER BY id DESC"
    items = """SELECT p.id, p.name, p.description, oi.quantity FROM order_items oi
               JOIN products p ON p.id = oi.product_id WHERE oi.order_id = ? ORDER BY oi.id"""
    for order, total in db.execute(asked, (user,)).fetchall():
        bought = db.execute(items, (order,)).fetchall()
        page.append({"id": order, "total": total, "items": [tuple(row[1:]) for row in bought]})
        needed += len(f"{order}{total}") + sum(len(f"{order}{r[0]}{r[3]}") + 6 for r in bought)
        seen |= {row[:3] for row in bought}
    return page, needed + sum(len(f"{number}{a}{b}") for number, a, b in seen)


def some_users(db: sqlite3.Connection) -> list[int]:
    """Three users with some orders, who bought something more than once."""
    often = """SELECT o.user_id FROM orders o JOIN order_items oi ON oi.order_id = o.id
               GROUP BY o.user_id HAVING count(DISTINCT o.id) BETWEEN 8 AND 14
               AND count(*) >= 1.4 * count(DISTINCT oi.product_id) ORDER BY o.user_id LIMIT 3"""
    return [user for (user,) in db.execute(often)]


def write_steps(db: sqlite3.Connection) -> int:
    """The steps of writing an order with three items; it is taken back."""
    with counting(db) as steps:
        db.execute("INSERT INTO orders (user_id, total, created_at, status) VALUES (7, 1, '', '')")
        for product in (1, 2, 3):
            db.execute("INSERT INTO order_items (order_id, product_id, quantity, price) "
                       "VALUES (1, ?, 1, 1)", (product,))  # fmt: skip
    db.rollback()
    return steps[0]


def _orders_page(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    taken = 0
    with closing(shop().copy()) as db:
        users, bare = some_users(db), write_steps(db)
        if answer(CountingDatabase(db), users[0]) is None:
            return Judgement("not attempted", "Return a list with a dict for each order.")
        db.execute(NO_ITEMS, (users[-1],))
        db.commit()
        for user in users:
            wanted, needed = page_of(db, user)
            asked = CountingDatabase(db)
            with counting(db) as steps:
                got = answer(asked, user)
            taken += steps[0]
            checks = (
                (f"user {user}: the page", _normal(got) == wanted, f"{len(wanted)} orders"),
                ("queries", asked.queries <= QUERIES, f"{asked.queries} of {QUERIES}"),
                ("fetched", asked.fetched <= SPARE * needed, f"{asked.fetched / needed:.2f}×"),
                ("steps", steps[0] <= PAGE_STEPS, f"{steps[0]:,} of {PAGE_STEPS:,}"),
                ("the database was asked", asked.fetched > 0, f"{asked.fetched:,} characters"),
            )
            tried += checks
            for (_, right, found), hint in zip(checks, PAGE_HINTS, strict=True):
                if not right:
                    hint = BARE_HINT if _dropped(got, wanted) else hint.format(found)
                    return Judgement("wrong", hint, tuple(tried))
        cost = write_steps(db) / bare
        tried.append(("steps of a write", cost <= WRITES, f"{cost:.2f}× those without indexes"))
        if cost > WRITES:
            hint = (
                f"A write now takes {cost:.1f}× the steps. Which of your indexes does no query use?"
            )
            return Judgement("wrong", hint, tuple(tried))
    return Judgement(
        "right", "Few queries, nothing twice, and writes stay cheap.", tuple(tried), taken
    )


PAGE_HINTS = (
    "Not the page that was asked for. Latest order first, items by their ids, (name, description, "
    "quantity) in each.",
    "{} queries: fetch all items of all these orders at once.",
    "{} of what is needed: a join repeats its parents, here the product's description for each "
    "time that it was bought. Fetch each product once.",
    "{} steps: something is scanned. Look at EXPLAIN QUERY PLAN for each of your queries.",
    "{}: an answer kept from the call before is stale tomorrow. Ask the database.",
)


NO_ITEMS = "INSERT INTO orders (user_id, total, created_at, status) VALUES (?, 1, '', '')"
BARE_HINT = (
    "An order is missing, one without items: it belongs on the page as well, and JOIN drops what "
    "has no partner. LEFT JOIN keeps it."
)


def _dropped(got: Any, wanted: Sequence[dict[str, Any]]) -> bool:
    """Whether nothing but orders without items is missing."""
    some = [order for order in wanted if order["items"]]
    return len(some) < len(wanted) and _normal(got) == some


def _normal(page: Any) -> Any:
    """With tuples for items, whatever the answer used."""
    try:
        return [{**order, "items": [tuple(item) for item in order["items"]]} for order in page]
    except (TypeError, KeyError):
        return None


# ── 3: one shard more

KEYS = [f"user:{number}" for number in range(5_000)]


def _home(answer: Answer) -> Judgement:
    names = [f"shard-{number}" for number in range(5)]
    if answer(KEYS[0], names[:4]) is None:
        return Judgement("not attempted", "Return one of the names.")

    def homes(some: Sequence[str]) -> list[Any]:
        return [answer(key, list(some)) for key in KEYS]

    def moved(one: Sequence[Any], other: Sequence[Any]) -> float:
        return 100 * sum(bool(a != b) for a, b in zip(one, other, strict=True)) / len(one)

    four, five = homes(names[:4]), homes(names)
    strange = next((one for one in five if one not in names), None)
    if strange is not None:
        return Judgement("wrong", f"{strange!r} is none of the names.")
    true_hash = builtins.hash
    builtins.hash = lambda thing: true_hash(("another process", thing))
    try:
        elsewhere = moved(five, homes(names))
    finally:
        builtins.hash = true_hash
    fullest = max(Counter(five).values()) * 5 / len(KEYS)
    share, turned = moved(four, five), moved(five, homes(names[::-1]))
    checks = (
        ("another process finds the same", elsewhere == 0, f"{elsewhere:.0f} % elsewhere"),
        ("4 → 5 shards", share <= 25, f"{share:.0f} % move"),
        ("the fullest of five", fullest <= 1.25, f"{fullest:.2f} times the mean"),
        ("another order of the names", turned == 0, f"{turned:.0f} % elsewhere"),
    )
    for (_, right, found), hint in zip(checks, HOME_HINTS, strict=True):
        if not right:
            return Judgement("wrong", hint.format(found), checks)
    return Judgement("right", f"{share:.0f} % move, where 20 % have to.", checks, share)


HOME_HINTS = (
    "{}: hash() of a text is seeded anew in every process. Take a hash that is defined by bytes, "
    "from zlib or hashlib.",
    "{}: a remainder changes for nearly every key when the number does. Let each shard bid for the "
    "key, or stand on a ring.",
    "{}: one point a shard on a ring is not enough, nor is an even share of the alphabet.",
    "{}: the place in the list decides. Let the name decide.",
)


EXERCISES = [
    Exercise("Exercise 1, as somebody types", _find),
    Exercise("Exercise 2, the orders page", _orders_page),
    Exercise("Exercise 3, one shard more", _home),
    Exercise("Exercise 4, the warm cache", judge_too_low),
]
