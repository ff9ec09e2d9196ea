"""Chapter 10, exercise 1: an answer, and wrong ones with what their hint must name."""

import sqlite3
from contextlib import suppress


def one_transaction(connection):
    """The look, the charge, the balance and the message: all in one transaction."""
    while True:
        connection.execute("BEGIN IMMEDIATE")
        query = "SELECT id, order_id, card, cents FROM messages ORDER BY id LIMIT 1"
        message = connection.execute(query).fetchone()
        if message is None:
            connection.execute("COMMIT")
            return
        number, order, card, cents = message
        known = connection.execute("SELECT 1 FROM charges WHERE order_id = ?", (order,)).fetchone()
        if not known:
            charge(connection, order, card, cents)
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))
        connection.execute("COMMIT")


def unique_key(connection):
    """The same by a unique index, in one transaction for each message."""
    connection.execute("CREATE UNIQUE INDEX IF NOT EXISTS once ON charges (order_id)")
    while messages(connection, 1):
        connection.execute("BEGIN IMMEDIATE")
        for number, order, card, cents in messages(connection, 1):
            insert = "INSERT INTO charges VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            if connection.execute(insert, (order, card, cents)).rowcount:
                lower(connection, card, cents)
            connection.execute("DELETE FROM messages WHERE id = ?", (number,))
        connection.commit()


def messages(connection, most=100):
    query = "SELECT id, order_id, card, cents FROM messages ORDER BY id LIMIT ?"
    return connection.execute(query, (most,)).fetchall()


def charge(connection, order, card, cents):
    connection.execute("INSERT INTO charges VALUES (?, ?, ?)", (order, card, cents))
    lower(connection, card, cents)


def lower(connection, card, cents):
    connection.execute("UPDATE balances SET cents = cents - ? WHERE card = ?", (cents, card))


def known(connection, order):
    return connection.execute("SELECT 1 FROM charges WHERE order_id = ?", (order,)).fetchone()


def each_message(connection):
    """Exactly once for each message, which is not each order."""
    connection.execute("BEGIN IMMEDIATE")
    for number, order, card, cents in messages(connection):
        charge(connection, order, card, cents)
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))
    connection.execute("COMMIT")


def by_card_and_amount(connection):
    """As the guide's cache knows a payment."""
    connection.execute("BEGIN IMMEDIATE")
    for number, order, card, cents in messages(connection):
        same = "SELECT 1 FROM charges WHERE card = ? AND cents = ?"
        if not connection.execute(same, (card, cents)).fetchone():
            charge(connection, order, card, cents)
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))
    connection.execute("COMMIT")


def delete_first(connection):
    """Takes a message out, then charges it."""
    for number, order, card, cents in messages(connection):
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))
        connection.execute("BEGIN IMMEDIATE")
        if not known(connection, order):
            charge(connection, order, card, cents)
        connection.execute("COMMIT")


def without_a_transaction(connection):
    """Each statement for itself."""
    for number, order, card, cents in messages(connection):
        if not known(connection, order):
            charge(connection, order, card, cents)
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))


def looks_before_it_begins(connection):
    """The transaction begins after the look."""
    for number, order, card, cents in messages(connection):
        new = not known(connection, order)
        connection.execute("BEGIN IMMEDIATE")
        if new:
            charge(connection, order, card, cents)
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))
        connection.execute("COMMIT")


def only_the_first(connection):
    """Does not work until none is left."""
    connection.execute("BEGIN IMMEDIATE")
    for number, order, card, cents in messages(connection, 1):
        charge(connection, order, card, cents)
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))
    connection.execute("COMMIT")


def two_transactions(connection):
    """The charge in one, the message in the next: who knows of the charge may delete it later."""
    for number, order, card, cents in connection.execute("SELECT * FROM messages"):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not known(connection, order):
                charge(connection, order, card, cents)
        finally:
            connection.execute("COMMIT")
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))


def by_sets(connection):
    """All messages at once; the rows that are new are kept beside the database."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS fresh (order_id, card, cents)")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM fresh")
    connection.execute(
        "INSERT INTO fresh SELECT DISTINCT order_id, card, cents FROM messages "
        "WHERE order_id NOT IN (SELECT order_id FROM charges)"
    )
    connection.execute("INSERT INTO charges SELECT * FROM fresh")
    connection.execute(
        "UPDATE balances SET cents = cents - (SELECT total(fresh.cents) FROM fresh "
        "WHERE fresh.card = balances.card)"
    )
    connection.execute("DELETE FROM messages")
    connection.commit()


def rolls_back_whatever_it_is(connection):
    """Locked out at its BEGIN, it rolls back what has not begun, and ends with that error."""
    for number, order, card, cents in messages(connection):
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not known(connection, order):
                charge(connection, order, card, cents)
            connection.execute("DELETE FROM messages WHERE id = ?", (number,))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def with_connection(connection):
    """In autocommit, `with connection` begins no transaction."""
    for number, order, card, cents in messages(connection):
        with connection:
            if not known(connection, order):
                charge(connection, order, card, cents)
            connection.execute("DELETE FROM messages WHERE id = ?", (number,))


def remembered_by_this_run(connection):
    """One transaction, and each order once in it: not once for ever."""
    connection.execute("BEGIN IMMEDIATE")
    seen = set()
    for number, order, card, cents in messages(connection):
        if order not in seen:
            charge(connection, order, card, cents)
        seen.add(order)
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))
    connection.execute("COMMIT")


def all_deleted_at_the_end(connection):
    """Also those that came after the look."""
    for _, order, card, cents in messages(connection):
        connection.execute("BEGIN IMMEDIATE")
        if not known(connection, order):
            charge(connection, order, card, cents)
        connection.execute("COMMIT")
    connection.execute("DELETE FROM messages")


def content_when_locked(connection):
    """Takes the lock's error for the end of the work."""
    with suppress(sqlite3.OperationalError):
        one_transaction(connection)


def credits(connection):
    """The balance goes up."""
    connection.execute("BEGIN IMMEDIATE")
    for number, order, card, cents in messages(connection):
        if not known(connection, order):
            connection.execute("INSERT INTO charges VALUES (?, ?, ?)", (order, card, cents))
            lower(connection, card, -cents)
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))
    connection.execute("COMMIT")


SOLUTION = one_transaction
RIGHT_TOO = (unique_key, two_transactions, by_sets, rolls_back_whatever_it_is)
WRONG = {
    each_message: "Ask whether this order has been charged",
    by_card_and_amount: "one card and one amount",
    delete_first: "after the message was deleted",
    without_a_transaction: "between the charge and the balance",
    looks_before_it_begins: "between your look and your charge",
    only_the_first: "messages are left",
    with_connection: "one transaction",
    remembered_by_this_run: "not what this run remembers",
    all_deleted_at_the_end: "deleted and never charged",
    content_when_locked: "Do not catch that error",
    credits: "each is lowered once",
}
