"""Chapter 10, exercise 1: an answer, and wrong ones with what their hint must name."""


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


SOLUTION = one_transaction
WRONG = {
    each_message: "Ask whether this order has been charged",
    by_card_and_amount: "one card and one amount",
    delete_first: "after the message was deleted",
    without_a_transaction: "between the charge and the balance",
    looks_before_it_begins: "between your look and your charge",
    only_the_first: "messages are left",
}
