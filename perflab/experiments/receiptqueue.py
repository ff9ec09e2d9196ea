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

from perflab.errors import ServerError, require
from perflab.experiments.receiptworker import URL, WAYS
from perflab.systems.postgresserver import PostgresServer

WORKERS, FURTHER, PATIENCE = 2, 10, 20.0  # PATIENCE in seconds
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

    def end(self, number: int) -> int:
        """Kill it if it still runs; its exit code."""
        worker = self.running.pop(number)
        worker.kill()
        code = worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            with suppress(OSError):  # what was not read any more
                if pipe:
                    pipe.close()
        return code


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
            while (left := own.execute("SELECT count(*) FROM jobs").fetchone()) != (0,):
                crew.start()  # what a dead one held is free a moment later
                killed += _watch(crew, {})
        finally:
            for number in list(crew.running):
                crew.end(number)
        counts = own.execute("SELECT count(*), count(DISTINCT job) FROM delivered").fetchone()
    assert counts is not None
    assert left is not None
    return Delivery(jobs, killed, jobs - counts[1], counts[0] - counts[1], left[0])


def _watch(crew: _Crew, gates: dict[Place, Place]) -> int:
    """Until every worker has ended: kill at each place whoever stands there first; how many."""
    dying, killed = set(gates.values()), 0
    standing: dict[Place, int] = {}
    while crew.started < WORKERS:
        crew.start()
    while crew.running:
        number, line = crew.next()
        if not line:
            _ended(crew, number)
            continue
        point, job = line.split()
        place = (point, int(job))
        if place in dying:
            dying.discard(place)
            standing[place] = number
            continue
        if gates.get(place) in standing:
            crew.end(standing.pop(gates[place]))
            killed += 1
            crew.start()
        crew.go_on(number)
    return killed


def _ended(crew: _Crew, number: int) -> None:
    """A worker has said its last: killed by us, or done with its work."""
    if number in crew.running and crew.end(number) not in (0, -9):
        raise ServerError(f"worker {number} failed")
