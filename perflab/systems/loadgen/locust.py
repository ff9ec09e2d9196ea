"""Past one machine: a scenario as a locustfile, and Locust run here with a master and workers.

Locust (locust.io) spreads a load over machines; the extra `distributed` installs it. What it runs
is `locustfile.py` beside this file, with the scenario's values in its head: it needs nothing of
perflab. Locust's own tables keep two digits of each time; `run_locust` reads the raw times.
"""

import base64
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from perflab.errors import LoadError, require
from perflab.systems.loadgen.scenario import Scenario
from perflab.systems.loadgen.target import origin
from perflab.systems.loadgen.workload import Closed, Floats, whole
from perflab.systems.servers import scratch

MOST_TIMES = 500_000  # start times in one file: 5 MB of text
STARTING = 60.0  # seconds that Locust has beside the run itself, for its start and its end

_HEAD = '''"""A load test for Locust, written by perflab. For example, with two workers:

    locust -f {name} --headless --master --expect-workers 2 --host http://127.0.0.1:8000
    locust -f {name} --worker        (twice)

Response times count from the intended start of a request. Locust rounds them to two digits; with
LOAD_TIMES=FOLDER in its environment each worker writes its raw times there, as float64: intended
start, response time (seconds), status (−1 − status where it failed). With LOAD_OWNER=PID it ends
when that process, which started it, has gone.
"""

'''


def write(scenario: Scenario, path: str | Path) -> Path:
    """Write a scenario as a locustfile that stands alone; its path.

    Closed: the same users, think time and weights. Open: the very same start times and routes,
    dealt out among the workers by turns. Locust knows no `grace` and no `max_bytes`. ValueError
    for more than 500,000 start times, or for a name that is no module's or is Locust's own;
    OSError where it cannot be written.
    """
    require(isinstance(scenario, Scenario), "scenario", scenario, "a Scenario")
    path = Path(path)
    good = path.suffix == ".py" and path.name != "locust.py"
    require(good, "path", str(path), "a file that ends in .py, but not locust.py itself")
    shared, closed, open_ = _template()
    body = closed if isinstance(scenario.workload, Closed) else open_
    text = _HEAD.format(name=path.name) + _constants(scenario) + shared + body
    path.write_text(text, encoding="utf-8")
    return path


def _template() -> tuple[str, str, str]:
    text = Path(__file__).with_name("locustfile.py").read_text(encoding="utf-8")
    shared, closed = text.partition("# ── end\n")[2].split("# ── closed", 1)
    closed, open_ = closed.split("# ── open", 1)
    return shared, "# ── closed" + closed.rstrip() + "\n", "# ── open" + open_


def _constants(scenario: Scenario) -> str:
    """Values as Python writes them down itself: no path or header can become code."""
    workload, times = scenario.workload, scenario.times()
    shown = f"{times.size:,} start times"
    require(times.size <= MOST_TIMES, "workload", shown, f"at most {MOST_TIMES:,} for Locust")
    routes = [
        (one.method, one.path, one.name, dict(one.headers), one.body) for one in scenario.routes
    ]
    closed = workload if isinstance(workload, Closed) else None
    values = {
        "HOST": "http://127.0.0.1",
        "WEIGHTS": [float(one.weight) for one in scenario.routes],
        "WARM_UP": scenario.warm_up,
        "TIMEOUT": scenario.timeout,
        "CONNECTIONS": scenario.connections,
        "SEED": scenario.seed,
        "USERS": closed.users if closed else 1,
        "THINK_TIME": closed.think_time if closed else 0.0,
        "REQUESTS": closed.requests if closed else None,
        "DURATION": workload.duration,
    }
    lines = [f"{name} = {value!r}\n" for name, value in values.items()]
    lines += ["ROUTES = [  # method, path, name, headers, body\n"]
    lines += [*(f"    {route!r},\n" for route in routes), "]\n"]
    packed = base64.encodebytes(times.astype("<f8").tobytes()).decode()
    lines += [f'TIMES_BASE64 = """\n{packed}"""\n' if packed else 'TIMES_BASE64 = ""\n']
    return "".join(lines)


@dataclass(frozen=True, eq=False)
class LocustResult:
    """What Locust measured: for each request in the order of its intended start, that start
    (seconds since the measurement began), its response time (seconds), and whether it failed."""

    intended_start: Floats
    response_time: Floats
    failed: np.typing.NDArray[np.bool_]

    @property
    def requests(self) -> int:
        return int(self.failed.size)

    @property
    def failures(self) -> int:
        return int(self.failed.sum())

    @property
    def throughput(self) -> float:
        """Successes a second, from the beginning to the last answer; 0 without a success."""
        ends = (self.intended_start + self.response_time)[~self.failed]
        return float(ends.size / ends.max()) if ends.size else 0.0

    def percentile(self, p: float) -> float:
        """The p-th percentile (0–100, nearest rank) of the successes' response time, or nan."""
        require(0 <= p <= 100, "p", p, "from 0 to 100")
        times = self.response_time[~self.failed]
        return float(np.percentile(times, p, method="inverted_cdf")) if times.size else float("nan")

    @property
    def p50(self) -> float:
        return self.percentile(50)

    @property
    def p99(self) -> float:
        return self.percentile(99)


def run_locust(scenario: Scenario, target: Any, workers: int = 2) -> LocustResult:
    """Run a scenario on this machine with Locust: a master and some workers, gone afterwards.

        run_locust(Scenario(Open(rate=200)), shop).p99

    `target` as for `run_load`, on this machine only. Raises ImportError where Locust is not
    installed, ValueError for arguments that make no sense, LoadError if Locust itself failed. Where
    this process is killed meanwhile, Locust's see it within a second and end too.
    """
    if importlib.util.find_spec("locust") is None:
        raise ImportError("Locust is not installed: pip install 'perflab[distributed]'")
    host, workers = origin(target), whole("workers", workers, 1, 64)
    require(isinstance(scenario, Scenario), "scenario", scenario, "a Scenario")
    if isinstance(scenario.workload, Closed):
        workers = min(workers, scenario.workload.users)
    with scratch() as folder:
        write(scenario, folder / "scenario.py")
        _run(folder, host, workers, _longest(scenario))
        return _read(sorted(folder.glob("*.f8")), workers)


def _longest(scenario: Scenario) -> float:
    """Seconds after which the run counts as hung; no end where only requests limit it."""
    if scenario.workload.duration is None:
        return float("inf")
    return scenario.warm_up + scenario.workload.duration + scenario.timeout + STARTING


def _run(folder: Path, host: str, workers: int, seconds: float) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    common = [sys.executable, "-P", "-m", "locust", "-f", "scenario.py", "--host", host]
    common += ["--headless", "--loglevel", "WARNING"]
    master = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    master += ["--expect-workers", str(workers), "--exit-code-on-error", "0"]
    worker = ["--worker", "--master-host", "127.0.0.1", "--master-port", port]
    with tempfile.TemporaryFile() as said:
        children: list[subprocess.Popen[bytes]] = []
        try:
            roles = (master, *[worker] * workers)
            children.extend(_start([*common, *role], folder, said) for role in roles)
            _wait(children, time.monotonic() + seconds, said)
        finally:
            for child in children:
                child.kill()
                child.wait()


def _start(command: list[str], folder: Path, said: IO[bytes]) -> subprocess.Popen[bytes]:
    """A child that reads no settings of the user's, and that Ctrl-C reaches through us alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    ours = {"HOME": str(folder), "LOAD_TIMES": str(folder), "LOAD_OWNER": str(os.getpid())}
    return subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        env={**kept, **ours}, start_new_session=True,
    )  # fmt: skip


def _wait(children: list[subprocess.Popen[bytes]], until: float, said: IO[bytes]) -> None:
    """Until the master has ended; LoadError where it fails, hangs, or loses a worker."""
    master, *workers = children
    while (code := master.poll()) is None and time.monotonic() < until:
        if any(worker.poll() for worker in workers):  # ended, and not with 0
            break
        time.sleep(0.05)
    if code != 0:
        said.seek(0)
        words = said.read()[-2000:].decode(errors="replace").strip()
        raise LoadError(f"Locust did not come to its end: {words or code}")


def _read(files: list[Path], workers: int) -> LocustResult:
    if len(files) != workers:
        raise LoadError(f"only {len(files)} of {workers} workers wrote their times")
    rows = np.concatenate([np.fromfile(file).reshape(-1, 3) for file in files])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return LocustResult(rows[:, 0], rows[:, 1], rows[:, 2] < 0)
