"""An account of charges in a real PostgreSQL, and four ways to keep a payment from coming twice.

Each way makes two steps. Two customers' clicks are held at a barrier until both have made the
first, and a connection breaks exactly between the two: what is counted afterwards is no chance.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perflab.systems.postgresserver import PostgresServer

if TYPE_CHECKING:
    import psycopg

CENTS, PATIENCE = 4_900, 30.0  # of a payment; seconds at the barrier
SCHEMA = """
    DROP TABLE IF EXISTS charges, keys, accounts;
    CREATE TABLE charges (id bigserial PRIMARY KEY, payment integer NOT NULL, cents integer);
    CREATE TABLE keys (payment integer PRIMARY KEY);
    CREATE TABLE accounts (name text PRIMARY KEY, cents bigint NOT NULL);
    INSERT INTO accounts VALUES ('customers', 1000000000), ('shop', 0);
"""
NOTE = "INSERT INTO keys VALUES (%s) ON CONFLICT DO NOTHING"
Hook = Callable[[], object]
Way = Callable[["psycopg.Connection", int, Hook, Hook], None]


class BrokenConnectionError(ConnectionError):
    """The connection broke between two steps; its transaction, if one was open, is undone."""


@dataclass(frozen=True)
class Ledger:
    """What stands in the accounts. Every customer of these payments was told «paid» in the end."""

    payments: int
    charged: int
    twice: int  # charges beyond the first of a payment
    never: int  # payments without any charge
    taken: int  # cents that left the customers
    received: int  # cents that reached the shop


def charge(connection: "psycopg.Connection", payment: int) -> None:
    """Move the money, within the transaction that is open."""
    connection.execute("INSERT INTO charges (payment, cents) VALUES (%s, %s)", (payment, CENTS))
    move = "UPDATE accounts SET cents = cents + %s WHERE name = %s"
    connection.execute(move, (-CENTS, "customers"))
    connection.execute(move, (CENTS, "shop"))


# ── the four ways; `first` and `between` are called before the first write and after it


def no_key(connection: "psycopg.Connection", payment: int, first: Hook, between: Hook) -> None:
    first()
    with connection.transaction():
        charge(connection, payment)
    between()


def looked_up(connection: "psycopg.Connection", payment: int, first: Hook, between: Hook) -> None:
    known = connection.execute("SELECT 1 FROM keys WHERE payment = %s", (payment,)).fetchone()
    first()
    if known:
        return
    with connection.transaction():
        charge(connection, payment)
    between()
    connection.execute(NOTE, (payment,))


def noted_first(connection: "psycopg.Connection", payment: int, first: Hook, between: Hook) -> None:
    first()
    if connection.execute(NOTE, (payment,)).rowcount == 0:
        return
    between()
    with connection.transaction():
        charge(connection, payment)


def one_transaction(
    connection: "psycopg.Connection", payment: int, first: Hook, between: Hook
) -> None:
    first()
    with connection.transaction():
        if connection.execute(NOTE, (payment,)).rowcount == 0:
            return
        between()
        charge(connection, payment)


WAYS: dict[str, Way] = {
    "no key": no_key,
    "key looked up, then noted": looked_up,
    "key noted, then charged": noted_first,
    "key in the same transaction": one_transaction,
}


# ── what happens to them


def clicked_twice(server: PostgresServer, way: Way, payments: int = 20) -> Ledger:
    """Each payment comes twice at the same moment: both have looked before either writes."""
    with server.connect(autocommit=True) as one, server.connect(autocommit=True) as other:
        one.execute(SCHEMA)
        both = threading.Barrier(2, timeout=PATIENCE)

        def click(connection: "psycopg.Connection") -> None:
            for payment in range(payments):
                way(connection, payment, both.wait, _nothing)
                both.wait()  # the next one begins when this one is over

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(click, (one, other)))
        return _ledger(one, payments)


def broken_off(server: PostgresServer, way: Way, payments: int = 20) -> Ledger:
    """The connection breaks between the two steps of each payment; its customer tries again."""
    with server.connect(autocommit=True) as own:
        own.execute(SCHEMA)
        for payment in range(payments):
            with server.connect(autocommit=True) as breaking, suppress(BrokenConnectionError):
                way(breaking, payment, _nothing, _break(breaking))
            way(own, payment, _nothing, _nothing)
        return _ledger(own, payments)


def _nothing() -> None:
    pass


def _break(connection: "psycopg.Connection") -> Hook:
    def end() -> None:
        connection.close()
        raise BrokenConnectionError

    return end


def _ledger(connection: "psycopg.Connection", payments: int) -> Ledger:
    query = "SELECT count(*), count(DISTINCT payment), coalesce(sum(cents), 0) FROM charges"
    charged, distinct, _ = connection.execute(query).fetchone() or (0, 0, 0)
    accounts: dict[str, int] = dict(
        connection.execute("SELECT name, cents FROM accounts").fetchall()
    )
    return Ledger(
        payments=payments,
        charged=charged,
        twice=charged - distinct,
        never=payments - distinct,
        taken=1_000_000_000 - accounts["customers"],
        received=accounts["shop"],
    )
