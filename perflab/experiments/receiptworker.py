"""A process that takes receipts from a table and sends them, until it is killed or none is left.

Started by `perflab.experiments.receiptqueue`, which tells it where it has to stand still and ask:
it writes «taken 90» or «sent 90» and goes on when it reads a line. Most die there.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import partial

import psycopg

URL = "PERFLAB_RECEIPTS"
NEXT = "SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
Stand = Callable[[str, int], None]
Send = Callable[[int], None]


def delete_first(jobs: psycopg.Connection, send: Send, stand: Stand) -> bool:
    """Take it out of the table, then send it; whether there was one."""
    row = jobs.execute(f"DELETE FROM jobs WHERE id = ({NEXT}) RETURNING id").fetchone()
    if row is None:
        return False
    stand("taken", row[0])
    send(row[0])
    stand("sent", row[0])
    return True


def locked(jobs: psycopg.Connection, send: Send, stand: Stand) -> bool:
    """Lock it, send it, and take it out when it has been sent; whether there was one."""
    with jobs.transaction():
        row = jobs.execute(NEXT).fetchone()
        if row is None:
            return False
        stand("taken", row[0])
        send(row[0])
        stand("sent", row[0])
        jobs.execute("DELETE FROM jobs WHERE id = %s", row)
    return True


def plain(mail: psycopg.Connection, job: int) -> None:
    """Hand a receipt to the party that delivers: what it has accepted cannot be taken back."""
    mail.execute("INSERT INTO delivered (job) VALUES (%s)", (job,))


def keyed(mail: psycopg.Connection, job: int) -> None:
    """The same with a key, which that party accepts once."""
    mail.execute(
        "INSERT INTO delivered (job, key) VALUES (%s, %s) ON CONFLICT DO NOTHING", (job, job)
    )


WAYS = {
    "deleted first": (delete_first, plain),
    "locked until sent": (locked, plain),
    "locked, sent with a key": (locked, keyed),
}


def main(way: str, places: list[tuple[str, int]]) -> None:
    """Work as WAYS says; stand still and ask at these places."""
    take, deliver = WAYS[way]
    asked = {(point, job) for point, job in places}

    def stand(point: str, job: int) -> None:
        if (point, job) in asked:
            print(point, job, flush=True)
            if not sys.stdin.readline():  # whoever started us has gone
                sys.exit(1)

    url = os.environ[URL]
    with psycopg.connect(url, autocommit=True) as jobs, psycopg.connect(url, autocommit=True) as it:
        while take(jobs, partial(deliver, it), stand):
            pass


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
