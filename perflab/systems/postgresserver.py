"""`postgres()`: a real PostgreSQL server of one's own, with an empty database."""

import locale
import secrets
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from perflab.errors import ServerError, require
from perflab.systems.programs import program, unprivileged_user
from perflab.systems.servers import HOST, Server

if TYPE_CHECKING:
    import psycopg

USER = "perflab"
DATA, SECRET = "{folder}/data", "{folder}/password"
# Makes a new cluster, into which only the password lets anyone, unless there is one already; then
# becomes the server. By a shell below the supervisor, so that nothing is left when it is cut off.
START = """
[ -d "$1" ] || {
    "$2" -D "$1" -U perflab -A scram-sha-256 --pwfile="$3" -E UTF8 --locale="$4" \\
        --no-sync --no-instructions && rm -f "$3"
} || exit 1
shift 4
exec "$@"
"""
LOCALES = ("en_US.UTF-8", "C.UTF-8", "C")  # the first that this machine has
# What a laptop's experiment needs otherwise than a server does; `settings` overrides it.
SETTINGS: dict[str, str | int | float | bool] = {
    "max_connections": 100,
    "autovacuum": False,  # statistics change when an experiment says so, not in its middle
    "jit": False,  # compiling a query takes longer than these queries run
}


class PostgresServer(Server):
    """A running PostgreSQL: a `Server` with a password that nobody else knows."""

    name = "PostgreSQL server"
    ends_by = signal.SIGINT  # fast shutdown: does not wait for clients
    leaves_by = signal.SIGQUIT  # immediate, but takes its shared memory along

    def __init__(
        self, settings: Mapping[str, str | int | float | bool], *, port: int, timeout: float
    ) -> None:
        self._password = secrets.token_urlsafe(24)
        self._program = program("postgres")
        self.user = unprivileged_user()
        initdb = program("initdb", beside=self._program)
        command = ["/bin/sh", "-c", START, "start", DATA, initdb, SECRET, _locale()]
        command += [self._program, "-D", DATA, "-h", HOST, "-p", "{port}", "-k", "{folder}"]
        for name, value in {**SETTINGS, **settings}.items():
            command += ["-c", f"{name}={value}"]
        super().__init__(command, port=port, inherits_socket=False, timeout=timeout)

    @property
    def url(self) -> str:
        """For `psycopg.connect`, password included: not for printing."""
        return _url(self._password, self.port)

    def connect(self, timeout: float = 5.0, **options: Any) -> "psycopg.Connection":
        """A new connection (psycopg 3); `options` are those of `psycopg.connect`."""
        import psycopg

        if not self.pid:
            raise ServerError(f"the {self.name} was never started")
        return psycopg.connect(self.url, connect_timeout=max(1, round(timeout)), **options)

    # Each backend has a process group of its own, which the supervisor's signals do not reach.

    def pause(self) -> None:
        """Freeze it and all its backends: connections stay open and nobody answers."""
        super().pause()  # first: from here on there are no new backends
        for backend in self._backends():
            with suppress(psutil.NoSuchProcess):
                backend.suspend()

    def resume(self) -> None:
        """Let a frozen server go on."""
        for backend in self._backends():
            with suppress(psutil.NoSuchProcess):
                backend.resume()
        super().resume()

    def kill(self) -> None:
        """End it and all its backends at once (SIGKILL), as a crash would."""
        backends = self._backends()
        super().kill()
        for backend in backends:
            with suppress(psutil.NoSuchProcess):
                backend.kill()
        psutil.wait_procs(backends, timeout=2)

    def restart(self) -> None:
        """Kill it if it runs, and start it again on the same port; it recovers from its log."""
        with self._lock:
            self.kill()
            super().restart()

    def _backends(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True) if self.pid else []
        except psutil.NoSuchProcess:
            return []

    def _answers(self, port: int, timeout: float) -> None:
        _greet(self._password, port, timeout)

    def _prepare(self, folder: Path) -> None:
        secret = Path(SECRET.format(folder=folder))
        secret.touch(0o600)
        secret.write_text(self._password)
        if self.user is not None:
            for path in (folder, secret):
                shutil.chown(path, self.user)


def postgres(
    *,
    settings: Mapping[str, str | int | float | bool] | None = None,
    port: int = 0,
    timeout: float = 30.0,
) -> PostgresServer:
    """A PostgreSQL server on a free port of 127.0.0.1, in a process of its own.

        with postgres(settings={"max_connections": 30}) as server:
            with server.connect() as connection:
                connection.execute("SELECT version()").fetchone()

    `settings` are those of postgresql.conf. Its database, named postgres, is empty.

    Raises ValueError for a bad argument, MissingProgramError where there is no PostgreSQL on this
    machine, and on entry ServerError where it does not start.
    """
    settings = {} if settings is None else settings
    named = isinstance(settings, Mapping) and all(
        isinstance(name, str) and name.replace("_", "").replace(".", "").isalnum()
        and isinstance(value, str | int | float | bool) and "\0" not in str(value)
        for name, value in settings.items()
    )  # fmt: skip
    require(named, "settings", settings, "names of settings with their values")
    return PostgresServer(settings, port=port, timeout=timeout)


def _url(password: str, port: int) -> str:
    return f"postgresql://{USER}:{password}@{HOST}:{port}/postgres"


def _greet(password: str, port: int, timeout: float) -> None:
    import psycopg

    try:
        psycopg.connect(_url(password, port), connect_timeout=max(1, round(timeout))).close()
    except psycopg.OperationalError as error:
        raise ConnectionError(str(error)) from error


def _locale() -> str:
    """A locale in UTF-8 that this machine has, asked without changing this process's own."""
    for name in LOCALES:
        with suppress(locale.Error):
            before = locale.setlocale(locale.LC_COLLATE)
            locale.setlocale(locale.LC_COLLATE, name)
            locale.setlocale(locale.LC_COLLATE, before)
            return name
    return "C"
