# ── begin: `write` puts the scenario's own values in place of these
HOST = "http://127.0.0.1"
ROUTES: list[tuple[str, str, str, dict[str, str], bytes | None]] = []
WEIGHTS: list[float] = []
WARM_UP, TIMEOUT, CONNECTIONS, SEED = 0.0, 10.0, 1024, 1
USERS, THINK_TIME = 1, 0.0
REQUESTS: int | None = None
DURATION: float | None = None
TIMES_BASE64 = ""
# ── end

import array
import base64
import os
import random
import time
from typing import Any

import gevent
import gevent.event
import gevent.pool
from locust import FastHttpUser, LoadTestShape, events, task
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

FOLDER = os.environ.get("LOAD_TIMES", "")  # each worker writes its raw times there, if it is set
OWNER = int(os.environ.get("LOAD_OWNER", "0"))  # the process to end with, whatever ends it; or 0

# State of this process. `BEGIN`, once every user stands ready: when the measurement begins (on
# this process's time.perf_counter()), which worker this is, of how many. `records`: intended
# start, response time, and status of each request (where it failed, −1 − status). `done`: users
# of this worker that are through; `over`: workers of this master that are.
BEGIN: Any = gevent.event.AsyncResult()
records = array.array("d")
done: list[object] = []
over: list[object] = []


def follow() -> None:
    while os.getppid() == OWNER:
        gevent.sleep(0.25)
    os._exit(1)


if OWNER:
    gevent.spawn(follow)


def begin(environment: Any, msg: Any, **_: Any) -> None:
    """The master's word: everyone starts at the same moment of the wall clock."""
    index = getattr(environment.runner, "worker_index", 0)
    start = time.perf_counter() + msg["at"] - time.time() + WARM_UP
    BEGIN.set((start, index, msg["workers"]))


def listen(environment: Any, **_: Any) -> None:
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        runner.register_message("begin", lambda environment, msg, **_: begin(environment, msg.data))
    elif isinstance(runner, MasterRunner):
        runner.register_message("over", lambda environment, msg, **_: over.append(msg))

    def ready(user_count: int, **_: Any) -> None:
        if BEGIN.ready() or isinstance(runner, WorkerRunner):
            return
        word = {"at": time.time() + 0.5, "workers": getattr(runner, "worker_count", 1)}
        begin(environment, word)
        if isinstance(runner, MasterRunner):
            runner.send_message("begin", word)

    environment.events.spawning_complete.add_listener(ready)


add_listener: Any = events.init.add_listener  # Locust gives it no types
add_listener(listen)


class Shape(LoadTestShape):
    """All users at once (open: one for each worker, who sends for it), until all are through."""

    def tick(self) -> tuple[int, float] | None:
        workers = getattr(self.runner, "worker_count", 1)
        if BEGIN.ready() and len(over) >= BEGIN.get()[2]:
            return None
        users = workers if TIMES_BASE64 else max(USERS, 1)
        return users, float(users)


class User(FastHttpUser):
    abstract = True
    host = HOST
    concurrency = CONNECTIONS
    network_timeout = connection_timeout = TIMEOUT

    def on_start(self) -> None:
        agent: Any = self.client.client
        agent.redirect_response_codes = frozenset()  # a redirect is an answer
        agent.valid_response_codes = range(1000)  # judged in `ask`

    def ask(self, intended: float, route: int) -> None:
        """Send one request. Its response time counts from when it was intended to start."""
        method, path, _, headers, body = ROUTES[route]
        status, length, failure = 0, 0, None
        try:
            with gevent.Timeout(TIMEOUT):
                answer = self.client.client.urlopen(
                    f"{self.host}{path}", method=method, headers=headers, payload=body
                )
                status, length = answer.status_code, len(answer.content or b"")
            if status >= 400:
                raise ConnectionError(f"status {status}")
        except (Exception, gevent.Timeout) as error:
            failure = error
        if intended >= BEGIN.get()[0]:  # else warm-up
            self.report(intended, route, status, length, failure)

    def report(
        self, intended: float, route: int, status: int, length: int, failure: BaseException | None
    ) -> None:
        took = time.perf_counter() - intended
        records.extend((intended - BEGIN.get()[0], took, -status - 1 if failure else status))
        self.environment.events.request.fire(
            request_type=ROUTES[route][0], name=ROUTES[route][2], response_time=took * 1000,
            response_length=length, exception=failure, context={},
        )  # fmt: skip

    def through(self) -> None:
        """Rest until the master ends the test, which it does when every worker says «over»."""
        done.append(self)
        runner: Any = self.environment.runner
        if len(done) == runner.user_count:
            if FOLDER:
                with open(os.path.join(FOLDER, f"{BEGIN.get()[1]}.f8"), "wb") as file:
                    records.tofile(file)
            if isinstance(runner, LocalRunner):
                over.append(self)
            else:
                runner.send_message("over", {})
        gevent.event.Event().wait()


# ── closed: a number of users, each of whom waits for the answer before asking again


sent = 0  # by this worker's users since the measurement began
chance = random.Random()  # this worker's, from the seed once its number is known


class Visitor(User):
    concurrency = 1

    @task
    def live(self) -> None:
        start, index, workers = BEGIN.get()
        share = None if REQUESTS is None else len(range(index, REQUESTS, min(workers, USERS)))
        last = float("inf") if DURATION is None else start + DURATION
        chance.seed(f"{SEED} {index}")
        gevent.sleep(max(start - WARM_UP - time.perf_counter(), 0))
        while (now := time.perf_counter()) < last and self.may_send(now >= start, share):
            self.ask(now, chance.choices(range(len(ROUTES)), WEIGHTS)[0])
            gevent.sleep(THINK_TIME)
        self.through()

    def may_send(self, counts: bool, share: int | None) -> bool:
        global sent
        if counts and share is not None and sent >= share:
            return False
        sent += counts
        return True


# ── open: arrivals by their own clock, whether earlier ones have been answered or not


class Arrivals(User):
    @task
    def send(self) -> None:
        start, index, workers = BEGIN.get()
        times = array.array("d", base64.b64decode(TIMES_BASE64))
        routes = random.Random(SEED).choices(range(len(ROUTES)), WEIGHTS, k=len(times))
        arrivals = gevent.pool.Group()
        for at, route in zip(times[index::workers], routes[index::workers], strict=True):
            gevent.sleep(max(start + at - time.perf_counter(), 0))
            arrivals.spawn(self.ask, start + at, route)
        arrivals.join()
        self.through()
