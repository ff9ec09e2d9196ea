"""`webapp()`: the shop's web API as a server of its own, and what it tells about itself."""

import json
import ssl
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perflab.errors import ServerError, is_number, is_whole, require
from perflab.measure.sampler import Profile, read_folded
from perflab.systems.remote import MODES
from perflab.systems.servers import HOST, Server
from perflab.systems.shop import Shop
from perflab.systems.shop import shop as make_shop

AUTHORITY, CERTIFICATE, KEY = "authority.pem", "certificate.pem", "key.pem"
HOUR_MS = 3_600_000
MOST = 2**31  # of a whole number


@dataclass(frozen=True)
class Settings:
    """How the shop's web API behaves; `webapp` explains each. Its child gets it as JSON."""

    path: str  # the shop's database
    slots: int = 4
    service_ms: float = 5.0
    service: Literal["constant", "exponential"] = "constant"
    seed: int = 1
    slow_every: int = 100
    threads: int = 2
    slow_ms: float = 100.0
    trace_size: int = 200_000
    log_requests: bool = False
    compress: bool = False
    routes: str = ""
    tls: str = ""  # the one version spoken, "1.2" or "1.3"; "" for none

    def __post_init__(self) -> None:
        for name, least in {"slots": 1, "seed": 0, "slow_every": 0, "threads": 1}.items():
            _whole(name, getattr(self, name), least)
        _whole("trace_size", self.trace_size, 1)
        for name in ("service_ms", "slow_ms"):
            value = getattr(self, name)
            fits = is_number(value) and 0 <= value <= HOUR_MS
            require(fits, name, value, f"a number from 0 to {HOUR_MS:,}")
        known = isinstance(self.service, str) and self.service in ("constant", "exponential")
        require(known, "service", self.service, "'constant' or 'exponential'")
        for name in ("log_requests", "compress"):
            value = getattr(self, name)
            require(isinstance(value, bool), name, value, "true or false")
        spoken = isinstance(self.tls, str) and self.tls in ("", "1.2", "1.3")
        require(spoken, "tls", self.tls, "'1.2', '1.3', or '' for plain HTTP")
        where = isinstance(self.routes, str) and self.routes.count(":") == (self.routes != "")
        where = where and not self.routes.startswith(":") and not self.routes.endswith(":")
        require(where, "routes", self.routes, "'package.module:function'")


@dataclass(frozen=True)
class Trace:
    """What the remote party recorded: one entry for each call, in order of finish.

    Clock readings in nanoseconds of `time.perf_counter_ns`, which on Linux and macOS is one clock
    for all processes of a machine. Calls still waiting are not in it.
    """

    arrival_ns: NDArray[np.int64]
    started_ns: NDArray[np.int64]
    finished_ns: NDArray[np.int64]
    slots: int
    dropped: int  # calls that ended after the trace was full

    def __len__(self) -> int:
        return len(self.arrival_ns)

    @property
    def wait(self) -> NDArray[np.float64]:
        """Seconds that each call waited for a place."""
        return (self.started_ns - self.arrival_ns) / 1e9

    @property
    def response(self) -> NDArray[np.float64]:
        """Seconds from each call's arrival to its finish."""
        return (self.finished_ns - self.arrival_ns) / 1e9

    @property
    def holding(self) -> NDArray[np.float64]:
        """Seconds that each call held its place."""
        return (self.finished_ns - self.started_ns) / 1e9


class WebApp(Server):
    """The shop's running web API: a `Server`, and what only this one can tell."""

    name = "shop's web API"

    def __init__(
        self,
        settings: Settings,
        *,
        port: int,
        timeout: float,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings
        # -P: a random.py in the folder where the reader works is not ours to import.
        program = [sys.executable, "-P", "-m", "perflab.systems.shopapi"]
        command = [*program, json.dumps(asdict(settings), default=float), "{fd}", "{folder}"]
        super().__init__(command, port=port, timeout=timeout, env=env)

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http{'s' if self.settings.tls else ''}://{HOST}:{self.port}"

    @property
    def authority(self) -> Path | None:
        """The file with the certificate to trust, while it runs with TLS; else None."""
        return self._folder / AUTHORITY if self._folder is not None and self.settings.tls else None

    def _prepare(self, folder: Path) -> None:
        if self.settings.tls:
            make_certificate(folder)

    def _answers(self, port: int, timeout: float) -> None:
        self._fetch("/health", "GET", timeout, port)

    def get(self, path: str, *, method: str = "GET", timeout: float = 10.0) -> tuple[int, bytes]:
        """Ask for one page over a new connection; return status and body.

        OSError where the server does not answer.
        """
        good = isinstance(path, str) and path.startswith("/") and path.isascii()
        good = good and path.isprintable() and " " not in path
        require(good, "path", path, 'a path that starts with "/", in ASCII without spaces')
        status, _, body = self._fetch(path, method, timeout)
        return status, body

    def set_remote(self, mode: Literal["serving", "stuck", "failing"]) -> None:
        """Make the remote party stuck (who holds a place holds it until it serves again), failing
        (every payment is a 502, at once), or serving."""
        known = isinstance(mode, str) and mode in MODES
        require(known, "mode", mode, f"one of {', '.join(MODES)}")
        self._told(f"/remote/{mode}", "POST")

    def trace(self) -> Trace:
        """The remote party's calls since the start or the last reset."""
        _, dropped, body = self._told("/trace")
        times = np.frombuffer(body, dtype=np.int64).reshape(-1, 3)
        arrival, started, finished = (column.copy() for column in times.T)
        return Trace(arrival, started, finished, self.settings.slots, dropped)

    def reset_trace(self) -> None:
        """Forget the calls so far, those under way included."""
        self._told("/trace/reset", "POST")

    def stats(self) -> dict[str, float]:
        """Since its start `cpu_seconds` used and product pages `counted`; now `resident_bytes` and
        `connections` open."""
        numbers: dict[str, float] = json.loads(self._told("/stats")[2])
        return numbers

    def metrics(self) -> dict[str, Any]:
        """The request monitor's snapshot: counts, errors and latencies by route."""
        snapshot: dict[str, Any] = json.loads(self._told("/metrics")[2])
        return snapshot

    def _fetch(
        self, path: str, method: str, timeout: float, port: int | None = None
    ) -> tuple[int, int, bytes]:
        """Status, entries dropped from a trace, and body; OSError where there is no whole answer.

        The port is known only to who starts it before it has answered once.
        """
        import http.client  # here, for the child imports this module and has no use for it

        connection = http.client.HTTPConnection(HOST, port or self.port, timeout=timeout)
        if self.authority is not None:
            context = ssl.create_default_context(cafile=self.authority)
            connection = http.client.HTTPSConnection(
                HOST, port or self.port, timeout=timeout, context=context
            )
        try:
            connection.request(method, path, headers={"connection": "close"})
            answer = connection.getresponse()
            return answer.status, int(answer.headers.get("x-dropped", 0)), answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"no whole answer: {error!r}") from error
        finally:
            connection.close()

    def profile(self, seconds: float = 1.0) -> Profile:
        """Where the server's time goes in the seconds from now, seen by a sampler within it."""
        fits = is_number(seconds) and 0 < seconds <= 60
        require(fits, "seconds", seconds, "above 0, at most 60")
        told = self._told(f"/profile?seconds={seconds}", timeout=seconds + 10.0)
        return read_folded(told[2].decode())

    def _told(
        self, path: str, method: str = "GET", timeout: float = 10.0
    ) -> tuple[int, int, bytes]:
        try:
            status, dropped, body = self._fetch(path, method, timeout)
        except OSError as error:
            raise ServerError(f"the {self.name} does not answer {path}: {error}") from error
        if status != 200:
            raise ServerError(f"the {self.name} answered {path} with {status}")
        return status, dropped, body


def webapp(
    shop: Shop | None = None,
    *,
    slots: int = 4,
    service_ms: float = 5.0,
    service: Literal["constant", "exponential"] = "constant",
    seed: int = 1,
    slow_every: int = 100,
    threads: int = 2,
    slow_ms: float = 100.0,
    trace_size: int = 200_000,
    log_requests: bool = False,
    compress: bool = False,
    routes: str = "",
    tls: Literal["", "1.2", "1.3"] = "",
    env: Mapping[str, str] | None = None,
    port: int = 0,
    timeout: float = 15.0,
) -> WebApp:
    """The shop's web API on a free port of 127.0.0.1, in a process of its own.

        with webapp(slots=4, service_ms=5) as app:
            run_load(app.url + "/pay", …)
            app.trace().wait

    `shop` is the data (quick scale by default). `/pay` calls a remote party that is modelled:
    `slots` callers at once, each for `service_ms` (constant, or exponential with that mean, drawn
    from `seed`). Of `/products/{id}` each id that `slow_every` divides lacks the number sold and
    must count it (0: none lacks it), in one of `threads` threads. The request monitor logs what
    took longer than `slow_ms`. `log_requests` writes a line for each request to the server's
    output. With `compress` answers are compressed for clients that want it. `routes` is
    "package.module:function", called with the Settings for more Starlette routes, and `env` what
    they find in their environment. With `tls` it speaks that version of TLS alone, by a
    certificate made at its start; `app.authority` is the file to trust. It must answer within
    `timeout` seconds.

    Raises ValueError for a bad argument; on entry ServerError where the server does not start.
    """
    require(shop is None or isinstance(shop, Shop), "shop", shop, "what shop() returns, or None")
    settings = Settings(
        path=str((make_shop() if shop is None else shop).path.resolve()),
        slots=slots,
        service_ms=service_ms,
        service=service,
        seed=seed,
        slow_every=slow_every,
        threads=threads,
        slow_ms=slow_ms,
        trace_size=trace_size,
        log_requests=log_requests,
        compress=compress,
        routes=routes,
        tls=tls,
    )
    return WebApp(settings, port=port, timeout=timeout, env=env)


def _whole(name: str, value: object, least: int) -> None:
    allowed = f"a whole number from {least}, below {MOST:,}"
    require(is_whole(value) and least <= value < MOST, name, value, allowed)


def make_certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1, its key, and the authority to trust, into the folder."""
    import trustme  # here, for the child imports this module and has no use for it

    authority = trustme.CA()
    issued = authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(folder / AUTHORITY)
    issued.cert_chain_pems[0].write_to_path(folder / CERTIFICATE)
    (folder / KEY).touch(0o600)
    issued.private_key_pem.write_to_path(folder / KEY)
