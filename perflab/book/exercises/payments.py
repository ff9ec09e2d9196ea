"""Chapter 10, exercise 1: a consumer of payments that does each of them exactly once.

The answer works on a real SQLite file. It is killed before each of its statements in turn, and
another consumer runs to its end before each of them: every place where two steps can come apart
is tried, once, on every machine alike.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried

SCHEMA = """
    CREATE TABLE messages (id INTEGER PRIMARY KEY, order_id INTEGER, card TEXT, cents INTEGER);
    CREATE TABLE charges (order_id INTEGER, card TEXT, cents INTEGER);
    CREATE TABLE balances (card TEXT PRIMARY KEY, cents INTEGER);
    INSERT INTO balances VALUES ('A', 10000), ('B', 10000);
"""
# By message: order 11 comes twice, and 12 twice in a row; 13 costs the same card as much as 11.
ORDERS = {11: ("A", 500), 12: ("B", 700), 13: ("A", 500), 14: ("B", 90)}
MESSAGES = (11, 12, 12, 13, 11, 14)
MOST = 1_000  # statements of one consumer
STARTS = 5  # of a consumer that is told that the database is locked
Step = Callable[[int], None]


class _Killed(BaseException):
    """The process is gone: nothing that an answer should catch."""


class _Endless(BaseException):
    """A consumer goes on and on; nor this."""


class _Cursor(sqlite3.Cursor):
    """Tells its connection of each statement before it is run."""

    connection: "_Watched"

    def execute(self, *arguments: Any) -> "_Cursor":
        self.connection.step()
        super().execute(*arguments)
        return self

    def executemany(self, *arguments: Any) -> "_Cursor":
        self.connection.step()
        super().executemany(*arguments)
        return self

    def executescript(self, script: str) -> "_Cursor":
        raise sqlite3.NotSupportedError("one statement at a time: execute, not executescript")


class _Watched(sqlite3.Connection):
    """A connection that counts its statements. State: `steps`; `before`, called with each number;
    `gone`, whether its process was killed: then it does nothing any more."""

    def watch(self, before: Step | None) -> "_Watched":
        self.steps, self.gone, self.before = 0, False, before
        return self

    def step(self) -> None:
        if self.gone:
            raise _Killed
        self.steps += 1
        if self.steps > MOST:
            raise _Endless
        if self.before is not None:
            self.before(self.steps)

    def cursor(self, *arguments: Any) -> Any:
        return super().cursor(_Cursor)

    def execute(self, *arguments: Any) -> Any:
        return self.cursor().execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        return self.cursor().executemany(*arguments)

    def executescript(self, script: str) -> Any:
        return self.cursor().executescript(script)

    def commit(self) -> None:
        self.step()
        super().commit()


class _Place:
    """One database with the six messages, for one trial."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self._path, self._answer = folder / "payments.db", answer
        self._path.unlink(missing_ok=True)
        with closing(self._connect(None)) as own:
            sqlite3.Connection.executescript(own, SCHEMA)
            for order in MESSAGES:
                row = (order, *ORDERS[order])
                own.execute("INSERT INTO messages (order_id, card, cents) VALUES (?, ?, ?)", row)

    def _connect(self, before: Step | None) -> _Watched:
        found = sqlite3.connect(self._path, timeout=0, isolation_level=None, factory=_Watched)
        found.watch(None)
        for pragma in ("synchronous = OFF", "journal_mode = MEMORY"):  # no power fails here
            found.execute(f"PRAGMA {pragma}")
        return found.watch(before)

    def consume(self, before: Step | None = None) -> int:
        """Let one consumer run; the statements it made. A connection that closes is rolled back."""
        with closing(self._connect(before)) as connection:
            with suppress(_Killed):
                self._answer(connection)
            return connection.steps

    def killed_at(self, number: int) -> None:
        """Kill a consumer before this statement and start another."""

        def kill(step: int) -> None:
            if step == number:
                raise _Killed

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

    def _until_locked(self, before: Step | None = None) -> bool:
        """Whether a consumer came to its end without being told that the database is locked."""
        try:
            self.consume(before)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
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
        if set(orders) != set(ORDERS):
            return "left" if left else "never"
        if charged != sorted((order, *paid) for order, paid in ORDERS.items()):
            return "row"
        spent = {card: sum(c for one, c in ORDERS.values() if one == card) for card in "AB"}
        if balances != {card: 10_000 - cents for card, cents in spent.items()}:
            return "balance"
        return "left" if left else ""


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
    ("row", ""): "A row of charges is not what its message said.",
}


def _hint(trial: str, wrong: str) -> str:
    if wrong == "left":
        return "It has come to its end and messages are left. Work until there is none."
    if wrong == "row":
        return HINTS["row", ""]
    return HINTS.get((trial, wrong), "The balances are not what the charges say.")


def _exactly_once(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="perflab-") as folder:
        try:
            for trial, statement, wrong in _trials(Path(folder), answer):
                tried.append((statement, wrong == "", wrong or "each order once"))
                if wrong:
                    return Judgement("wrong", _hint(trial, wrong), tuple(tried))
        except _Endless:
            hint = f"It does not end: {MOST:,} statements for six messages. Where the database is "
            return Judgement("wrong", hint + "locked, let the error pass.", tuple(tried))
    return Judgement("right", "Killed or crossed anywhere, each order is charged once.",
                     tuple(tried))  # fmt: skip


def _trials(folder: Path, answer: Answer) -> Iterable[tuple[str, str, str]]:
    """(trial, statement, what is wrong) of each kind of trial; a stub raises in the first."""
    place = _Place(folder, answer)
    steps = place.consume()
    yield "alone", "nobody disturbs it", place.wrong()
    for trial, statement in (
        ("killed", f"killed before each of its {steps} statements"),
        ("another", "another consumer before each of them"),
    ):
        wrong = ""
        for number in range(1, steps + 1):
            place = _Place(folder, answer)
            (place.killed_at if trial == "killed" else place.with_another_at)(number)
            wrong = wrong or place.wrong()
        yield trial, statement, wrong


EXERCISE = Exercise("Exercise 1, an exactly-once consumer", _exactly_once)
