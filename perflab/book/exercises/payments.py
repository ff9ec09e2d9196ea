"""Chapter 10, exercise 1: a consumer of payments that does each of them exactly once.

The answer works on a real SQLite file. Before each of its statements in turn, it is killed, another
consumer runs to its end, messages come, and another connection takes the lock: every place where
two steps can come apart is tried, once, on every machine alike.
"""

import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried
from perflab.book.exercises.watched import MOST, Endless, Killed, Step, Watched

SCHEMA = """
    CREATE TABLE messages (id INTEGER PRIMARY KEY, order_id INTEGER, card TEXT, cents INTEGER);
    CREATE TABLE charges (order_id INTEGER, card TEXT, cents INTEGER);
    CREATE TABLE balances (card TEXT PRIMARY KEY, cents INTEGER);
    INSERT INTO balances VALUES ('A', 10000), ('B', 10000);
"""
POST = "INSERT INTO messages (order_id, card, cents) VALUES (?, ?, ?)"
# By message: order 11 comes twice, and 12 twice in a row; 13 costs the same card as much as 11.
ORDERS = {11: ("A", 500), 12: ("B", 700), 13: ("A", 500), 14: ("B", 90)}
MESSAGES = (11, 12, 12, 13, 11, 14)
LATE = {11: ("A", 500), 15: ("B", 60)}  # messages that come later: of 11 again, and of a new order
STARTS = 5  # of a consumer that is told that the database is locked


class _Place:
    """One database with the six messages, for one trial."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self._path, self._answer = folder / "payments.db", answer
        self._orders = dict(ORDERS)  # that have come
        self._path.unlink(missing_ok=True)
        with closing(self._connect(None)) as own:
            sqlite3.Connection.executescript(own, SCHEMA)
            own.executemany(POST, [(order, *ORDERS[order]) for order in MESSAGES])

    def _connect(self, before: Step | None) -> Watched:
        found = sqlite3.connect(self._path, timeout=0, isolation_level=None, factory=Watched)
        found.watch(None)
        for pragma in ("synchronous = OFF", "journal_mode = MEMORY"):  # no power fails here
            found.execute(f"PRAGMA {pragma}")
        return found.watch(before)

    def consume(self, before: Step | None = None) -> int:
        """Let one consumer run; the statements it made. A connection that closes is rolled back."""
        with closing(self._connect(before)) as connection:
            with suppress(Killed):
                self._answer(connection)
            return connection.steps

    def killed_at(self, number: int) -> None:
        """Kill a consumer before this statement and start another."""

        def kill(step: int) -> None:
            if step == number:
                raise Killed

        self.consume(kill)
        self.consume()

    def with_another_at(self, number: int) -> None:
        """Let another consumer run before this statement, as far as it gets."""
        came: list[int] = []

        def other(step: int) -> None:
            if step == number and not came:
                came.append(step)
                self._until_locked()

        for _ in range(STARTS):
            if self._until_locked(other):
                return

    def with_messages_at(self, number: int) -> None:
        """Let messages come before this statement, or afterwards; then start another consumer."""

        def post(step: int) -> None:
            if step == number and self._orders == ORDERS:
                with suppress(sqlite3.OperationalError), closing(self._connect(None)) as own:
                    own.execute("BEGIN IMMEDIATE")
                    own.executemany(POST, [(order, *paid) for order, paid in LATE.items()])
                    own.execute("COMMIT")
                    self._orders = ORDERS | LATE

        self._until_locked(post)
        post(number)
        self.consume()

    def locked_from(self, number: int) -> None:
        """Let another take the lock before this statement, if it can, and keep it to the end."""
        with closing(self._connect(None)) as other:

            def take(step: int) -> None:
                if step == number:
                    with suppress(sqlite3.OperationalError):
                        other.execute("BEGIN IMMEDIATE")

            done = self._until_locked(take)
        if not done:
            self.consume()

    def _until_locked(self, before: Step | None = None) -> bool:
        """Whether a consumer came to its end without being told that the database is locked."""
        try:
            self.consume(before)
        except Exception as error:
            if not _locked(error):
                raise
            return False
        return True

    def wrong(self) -> str:
        """What is wrong with the books, in one word; empty if nothing is."""
        with closing(self._connect(None)) as own:
            charged = sorted(own.execute("SELECT order_id, card, cents FROM charges").fetchall())
            balances = dict(own.execute("SELECT card, cents FROM balances").fetchall())
            left = own.execute("SELECT count(*) FROM messages").fetchone()[0]
        orders = [order for order, _, _ in charged]
        if len(orders) > len(set(orders)):
            return "twice"
        if set(orders) != set(self._orders):
            return "left" if left else "never"
        if charged != sorted((order, *paid) for order, paid in self._orders.items()):
            return "row"
        spent = {card: sum(c for one, c in self._orders.values() if one == card) for card in "AB"}
        if balances != {card: 10_000 - cents for card, cents in spent.items()}:
            return "balance"
        return "left" if left else ""


def _locked(error: BaseException | None) -> bool:
    """Whether this error, or the one it was raised over, says that the database is locked."""
    while error is not None and not (
        isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
    ):
        error = error.__context__
    return error is not None


HINTS = {
    ("alone", "twice"): "An order came in two messages and was charged for each. Ask whether this "
    "order has been charged before.",
    ("alone", "never"): "An order was not charged. Two orders may be of one card and one amount: "
    "only the order's own number tells them apart.",
    ("killed", "twice"): "Killed after the charge and before the message was gone, it charged "
    "again when it was started again. Charge and delete in one transaction.",
    ("killed", "never"): "Killed after the message was deleted and before it was charged, it lost "
    "the payment. Charge and delete in one transaction.",
    ("killed", "balance"): "Killed between the charge and the balance, it did one of the two. They "
    "are one deed: one transaction.",
    ("another", "twice"): "Another consumer charged the order between your look and your charge. "
    "Look within the transaction that writes: BEGIN IMMEDIATE takes the lock before the look.",
    ("another", "balance"): "Another consumer came between the charge and the balance. They are "
    "one deed: one transaction.",
    ("another", "never"): "Another consumer came between, and an order was charged by neither. "
    "Look within the transaction that writes.",
    ("late", "twice"): "A second message for an order came when the first was done, and it was "
    "charged again. Ask the database whether it was charged, not what this run remembers.",
    ("late", "never"): "A message that came while it worked was deleted and never charged. Delete "
    "only the messages that you have looked at.",
    ("locked", "left"): "Told that the database is locked, it came to its end as if all were done, "
    "and messages are left. Do not catch that error: you will be started again.",
    ("row", ""): "A row of charges is not what its message said.",
}


def _hint(trial: str, wrong: str) -> str:
    if wrong == "row":
        return HINTS["row", ""]
    if (trial, wrong) in HINTS:
        return HINTS[trial, wrong]
    if wrong == "left":
        return "It has come to its end and messages are left. Work until there is none."
    if trial == "locked":
        return "Told that the database is locked, it went on. Do not catch that error."
    hint = "The balances are not what the charges say: each is lowered once by what its card was "
    return hint + "charged."


def _exactly_once(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="perflab-") as folder:
        try:
            for trial, statement, wrong in _trials(Path(folder), answer):
                tried.append((statement, wrong == "", wrong or "each order once"))
                if wrong:
                    return Judgement("wrong", _hint(trial, wrong), tuple(tried))
        except Endless:
            hint = f"It does not end: {MOST:,} statements for six messages. Where the database is "
            return Judgement("wrong", hint + "locked, do not catch the error.", tuple(tried))
    return Judgement("right", "Killed or crossed anywhere, each order is charged once.",
                     tuple(tried))  # fmt: skip


def _trials(folder: Path, answer: Answer) -> Iterable[tuple[str, str, str]]:
    """(trial, statement, what is wrong) of each kind of trial; a stub raises in the first."""
    place = _Place(folder, answer)
    steps = place.consume()
    yield "alone", "nobody disturbs it", place.wrong()
    for trial, statement, disturb, last in (
        ("killed", f"killed before each of its {steps} statements", _Place.killed_at, steps),
        ("another", "another consumer before each of them", _Place.with_another_at, steps),
        ("late", "messages that come before each of them, or later", _Place.with_messages_at,
         steps + 1),
        ("locked", "the database locked from each of them on", _Place.locked_from, steps),
    ):  # fmt: skip
        wrong = ""
        for number in range(1, last + 1):
            place = _Place(folder, answer)
            disturb(place, number)
            wrong = wrong or place.wrong()
        yield trial, statement, wrong


EXERCISE = Exercise("Exercise 1, an exactly-once consumer", _exactly_once)
