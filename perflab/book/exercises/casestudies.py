"""Chapter 10: an exactly-once consumer, indexes under a write budget, a balancer for one slow
server, and a report that changed the data as well."""

import math
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from perflab.book.exercises import oneslow, payments
from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried
from perflab.systems.plans import explain
from perflab.systems.shop import shop

# ── 2: indexes for the product page, under a write budget

BUDGET = 8  # index entries that an order of three items may write
MOST_STEPS = 6_000  # of SQLite's machine, for the page of the product that was sold most
TABLES = ("users", "products", "orders", "order_items")
LAST = """
    SELECT users.name, orders.total, orders.created_at, last.quantity,
        (SELECT sum(quantity) FROM order_items WHERE order_id = orders.id)
    FROM (SELECT order_id, quantity FROM order_items WHERE product_id = ?
          ORDER BY order_id DESC, id DESC LIMIT 20) AS last
    JOIN orders ON orders.id = last.order_id JOIN users ON users.id = orders.user_id
    ORDER BY orders.id DESC
"""
RELATED = """
    SELECT id, name, price, description FROM products
    WHERE category = ? ORDER BY sold DESC, id LIMIT 20
"""
WRITES = {
    "orders": 1,
    "order_items": 3,
}  # rows that an order inserts; it updates sold in 3 products


def _indexes(answer: Answer) -> Judgement:
    said = answer()
    if said is None:
        return Judgement("not attempted", "Return a list of CREATE INDEX statements.")
    texts = isinstance(said, list | tuple) and all(isinstance(one, str) for one in said)
    if not texts or not all(one.split()[:1] == ["CREATE"] for one in map(str.upper, said)):
        return Judgement("wrong", f"Return a list of CREATE INDEX statements, not {said!r}.")
    with closing(shop(20_000).copy()) as db:
        for statement in said:
            db.execute(statement)
        db.execute("ANALYZE")
        entries = _entries(db)
        product, category = db.execute(
            "SELECT id, category FROM products ORDER BY sold DESC LIMIT 1"
        ).fetchone()
        plans = explain(db, LAST, (product,)), explain(db, RELATED, (category,))
    scanned = [one for one in TABLES if any(plan.scans(one) for plan in plans)]
    steps = sum(plan.steps or 0 for plan in plans)
    tried: list[Tried] = [
        ("no table is scanned", not scanned, ", ".join(scanned) or "none"),
        (f"at most {MOST_STEPS:,} steps", steps <= MOST_STEPS, f"{steps:,}"),
        (f"at most {BUDGET} entries an order", entries <= BUDGET, f"{entries}"),
    ]
    if scanned:
        hint = f"{scanned[0]} is still read from end to end. What does the page look for in it?"
    elif any("ANY(" in node.text for plan in plans for node in plan.nodes):
        hint = "For each order, order_items is searched by the second column of an index, through "
        hint += "all values of the first. Which column does that query know?"
    elif steps > MOST_STEPS:
        hint = "All that was ever ordered of a product is fetched and sorted, for twenty rows. "
        hint += "Which index has them in order already?"
    elif entries > BUDGET:
        hint = f"An order writes {entries} entries. An index on what changes with each order is "
        hint += "written twice a row, and one that no query uses is written for nothing."
    else:
        return Judgement("right", "Each query goes down an index.", tuple(tried), float(entries))
    return Judgement("wrong", hint, tuple(tried))


def _entries(db: sqlite3.Connection) -> int:
    """Index entries that an order writes: one for each row and index, two where `sold` is in it."""
    found = db.execute(
        "SELECT tbl_name, name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    total = 0
    for table, index in found:
        columns = [row[2] for row in db.execute(f"PRAGMA index_xinfo({index!r})")]
        total += WRITES.get(table, 0) + (6 if table == "products" and "sold" in columns else 0)
    return total


# ── 4: the report that changed the data as well


@dataclass(frozen=True)
class Visit:
    """One page of a report: which product, and its seconds."""

    product: int
    seconds: float


def report(seed: int, visits: int = 3_000) -> tuple[list[Visit], list[Visit]]:
    """Visits before and after a change. The second report was made on a test shop, where other
    products are popular, and some that the first one knows do not exist."""
    rng = np.random.default_rng([seed, 5])
    rows = rng.integers(5, 400, 60)  # what a product's page has to fetch
    helped = rng.uniform(0.5, 0.9, 60)  # its time afterwards, as a share
    popular = 1 / (1 + np.argsort(np.argsort(-rows)))  # before, long pages are popular
    rare = 1 / (1 + np.argsort(np.argsort(rows))) * (rng.permutation(60) < 45)
    logs = []
    for weights, factor in ((popular, np.ones(60)), (rare, helped)):
        shown = rng.choice(60, visits, p=weights / weights.sum())
        times = 1e-3 * (2 + rows[shown] * factor[shown]) * rng.lognormal(0, 0.2, visits)
        logs.append([Visit(int(p), float(t)) for p, t in zip(shown, times, strict=True)])
    return logs[0], logs[1]


def _means(log: Sequence[Visit]) -> tuple[dict[int, float], dict[int, int]]:
    """Mean seconds and number of visits, by product."""
    times = defaultdict(list)
    for one in log:
        times[one.product].append(one.seconds)
    means = {product: float(np.mean(some)) for product, some in times.items()}
    return means, {product: len(some) for product, some in times.items()}


def _gain(before: Sequence[Visit], after: Sequence[Visit]) -> float:
    (was, count), (now, _) = _means(before), _means(after)
    both = was.keys() & now.keys()
    return sum(count[p] * was[p] for p in both) / sum(count[p] * now[p] for p in both)


def _honest(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for seed in (41, 42, 43):
        before, after = report(seed)
        said = answer(list(before), list(after))
        if said is None:
            return Judgement("not attempted", "Return one number.")
        if isinstance(said, bool) or not isinstance(said, int | float | np.floating):
            return Judgement("wrong", f"Return one number, not {said!r}.")
        true = _gain(before, after)
        right = math.isclose(float(said), true, rel_tol=0.005)
        tried.append((f"report {seed}", right, f"{said:.3f}, is {true:.3f}"))
        if not right:
            return Judgement("wrong", _honest_hint(float(said), before, after), tuple(tried))
    hint = "Most of the report's gain was other products. Two runs are compared on the same data."
    return Judgement("right", hint, tuple(tried))


def _overall(before: Sequence[Visit], after: Sequence[Visit]) -> float:
    first, last = (np.mean([one.seconds for one in log]) for log in (before, after))
    return float(first / last)


def _one_sided(before: Sequence[Visit], after: Sequence[Visit]) -> float:
    """As `_gain`, but what the second log lacks is left out of the second sum alone."""
    shown = {one.product for one in after}
    known = sum(one.seconds for one in before if one.product in shown)
    return _gain(before, after) * sum(one.seconds for one in before) / known


def _honest_hint(said: float, before: Sequence[Visit], after: Sequence[Visit]) -> str:
    true = _gain(before, after)
    if math.isclose(said, _overall(before, after), rel_tol=0.01):
        hint = "That is the report's own number: the second run shows other products. Compare each "
        return hint + "product with itself."
    if math.isclose(said, 1 / true, rel_tol=0.01):
        return "Upside down: before ÷ after, so that faster pages give more than 1."
    if math.isclose(said, _one_sided(before, after), rel_tol=0.01):
        return "A product that the second log lacks is still in the sum before. Leave it out there."
    if math.isclose(said, true, rel_tol=0.2):
        hint = "Near. Weigh each product by its visits in the *first* log: the sum of the times "
        hint += "before, divided by the sum of what the same visits take after. Leave out who is "
        return hint + "in one log only."
    hint = "Far from it: for each product in both logs take its mean before and after, and as many "
    return hint + "visits of it in both sums."


EXERCISES = [
    payments.EXERCISE,
    Exercise("Exercise 2, indexes under a write budget", _indexes),
    oneslow.EXERCISE,
    Exercise("Exercise 4, the report that changed the data as well", _honest),
]
