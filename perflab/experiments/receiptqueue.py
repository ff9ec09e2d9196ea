"""Receipts on a queue in PostgreSQL, sent by processes that are killed at exactly six places.

A worker stands still where it is told to, with a job in its hands. It is killed there (SIGKILL)
when the other one has gone ten jobs further, and another worker takes its place. So each count
is exact, and it is seen that nobody waits for a lock that a worker holds.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perflab.errors import ServerError, require
from perflab.experiments.receiptworker import URL, WAYS
from perflab.systems.postgresserver import PostgresServer

if TYPE_CHECKING:
    import psycopg

WORKERS, FURTHER = 2, 10
MOST, PATIENCE = 40, 30.0  # workers started in all; seconds
SCHEMA = """
    DROP TABLE IF EXISTS jobs, delivered;
    CREATE TABLE jobs (id integer PRIMARY KEY);
    CREATE TABLE delivered (number bigserial PRIMARY KEY, job integer NOT NULL, key integer UNIQUE);
"""
Place = tuple[str, int]


@dataclass(frozen=True)
class Delivery:
    """What was delivered, counted at the party that did it."""

    jobs: int
    kills: int
    lost: int  # jobs whose receipt was never sent, and never will be
    twice: int  # receipts beyond the first of a job
    left: int  # jobs still in the table


def places(jobs: int = 600, kills: int = 6) -> list[Place]:
    """Where workers die: by turns with a job taken and not yet sent, and sent and not yet noted."""
    step = jobs // (kills + 1)
    require(step > FURTHER, "jobs", jobs, f"above {FURTHER} for each kill")
    return [(("taken", "sent")[n % 2], step * (n + 1)) for n in range(kills)]


@dataclass
class _Crew:
    """The workers. State: `running`, by their number; `said`, what they say, (number, line) in
    order, an empty line at the end; `started`, how many there have been."""

    server: PostgresServer
    way: str
    asks: list[Place]
    running: dict[int, "subprocess.Popen[str]"] = field(default_factory=dict)
    said: "queue.Queue[tuple[int, str]]" = field(default_factory=queue.Queue)
    started: int = 0

    def start(self) -> None:
        command = [sys.executable, "-P", "-m", "perflab.experiments.receiptworker"]
        worker = subprocess.Popen(
            [*command, self.way, json.dumps(self.asks)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, URL: self.server.url},
        )  # fmt: skip
        number, self.started = self.started, self.started + 1
        self.running[number] = worker
        threading.Thread(target=self._listen, args=(number, worker), daemon=True).start()

    def _listen(self, number: int, worker: "subprocess.Popen[str]") -> None:
        assert worker.stdout is not None
        with worker.stdout:
            for line in worker.stdout:
                self.said.put((number, line.strip()))
        self.said.put((number, ""))

    def next(self) -> tuple[int, str]:
        """The next thing that one of them says. ServerError where all stand still for too long."""
        try:
            return self.said.get(timeout=PATIENCE)
        except queue.Empty:
            raise ServerError("the workers stand still: one waits for what another holds") from None

    def go_on(self, number: int) -> None:
        stdin = self.running[number].stdin
        assert stdin is not None
        stdin.write("go on\n")
        stdin.flush()

    def end(self, number: int) -> None:
        """Kill it (SIGKILL) if it still runs."""
        worker = self.running.pop(number)
        worker.kill()
        worker.wait()
        assert worker.stdin is not None
        with suppress(OSError):  # what it has not read any more
            worker.stdin.close()

    def ended(self, number: int) -> None:
        """It has said its last. ServerError if it was not we who ended it and it has failed."""
        if number in self.running:
            code = self.running[number].wait(PATIENCE)
            self.end(number)
            if code != 0:
                raise ServerError(f"a worker that sends receipts failed with exit code {code}")


def delivered(server: PostgresServer, way: str, jobs: int = 600, kills: int = 6) -> Delivery:
    """Put so many jobs on the queue, let two workers send them, and kill six of these.

    ValueError for a way that is none of `WAYS`; ServerError where a worker fails, or waits for a
    lock that another holds.
    """
    require(way in WAYS, "way", way, f"one of {', '.join(WAYS)}")
    deaths = places(jobs, kills)
    gates = {("taken", job + FURTHER): (point, job) for point, job in deaths}
    with server.connect(autocommit=True) as own:
        own.execute(SCHEMA)
        own.execute("INSERT INTO jobs SELECT generate_series(1, %s)", (jobs,))
        crew = _Crew(server, way, [*deaths, *gates])
        try:
            killed = _watch(crew, gates)
            while _count(own, "jobs") and crew.started < MOST:
                crew.start()  # what a dead one held is free a moment later
                _watch(crew, {})
        finally:
            for number in list(crew.running):
                crew.end(number)
        sent, receipts = _count(own, "delivered", "DISTINCT job"), _count(own, "delivered")
        return Delivery(jobs, killed, jobs - sent, receipts - sent, _count(own, "jobs"))


def _count(connection: "psycopg.Connection", table: str, what: str = "*") -> int:
    row = connection.execute(f"SELECT count({what}) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _watch(crew: _Crew, gates: dict[Place, Place]) -> int:
    """Until every worker has ended: kill at each place whoever stands there first; how many.

    Of a place and its gate, ten jobs further, whichever is reached first waits for the other.
    """
    dying, killed = dict.fromkeys(gates.values()), 0
    standing: dict[Place, int] = {}  # who stands at a place to die, or at its gate
    while crew.started < WORKERS:
        crew.start()
    while crew.running:
        number, line = crew.next()
        if not line:
            crew.ended(number)
            continue
        point, job = line.split()
        place = gates.get((point, int(job)), (point, int(job)))
        if place not in dying:  # it was taken again, after a death
            crew.go_on(number)
        elif place not in standing:
            standing[place] = number
        else:
            at_gate = place != (point, int(job))
            victim, other = (standing[place], number) if at_gate else (number, standing[place])
            del dying[place]
            crew.end(victim)
            killed += 1
            crew.start()
            crew.go_on(other)
    return killed
