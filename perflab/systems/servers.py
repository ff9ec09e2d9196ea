"""A real server in a supervised child process, on 127.0.0.1 and a port of its own.

Between this process and the server stands `supervisor.py`, which ends the server when this
process goes, even by SIGKILL. Both are in a session of their own, so that an interrupt of the
notebook's kernel does not reach them.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from perflab.errors import ServerError, is_number, is_whole, require
from perflab.systems.supervisor import bound

HOST = "127.0.0.1"
SUPERVISOR = Path(__file__).with_name("supervisor.py")
END_TIMEOUT = 5.0  # seconds an answer of the supervisor may take; its own grace is shorter


class Server:
    """A server that is started, stopped, frozen and killed at will; a context manager.

    `command` is run with `{port}` and `{fd}` replaced where they stand as words of their own:
    the port it has to serve, and the descriptor of a socket that listens there already (with
    `inherits_socket`); and with `{folder}` replaced anywhere: a folder that is its own and that
    goes with it. `ready(port, timeout)` returns when the server answers and raises OSError
    when it does not yet. `port` 0 means a free one. Nothing runs until `start()` or `with`.

    State: the supervisor's process and the folder it will remove (both None when nothing was
    started), the number of the last question asked, and bytes read of an answer that is not
    complete. `_lock` guards all of it: one question at a time, from any thread.
    """

    name = "server"
    ends_by = signal.SIGTERM  # what `stop` sends; SIGKILL follows where that does not help
    leaves_by = signal.SIGKILL  # what it is ended by when this process has gone
    user: int | None = None  # the number of the user to run it as; None: as this process

    def __init__(
        self,
        command: Sequence[str],
        ready: Callable[[int, float], None] | None = None,
        *,
        port: int = 0,
        inherits_socket: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 15.0,
    ) -> None:
        is_port = is_whole(port) and 0 <= port <= 65535
        require(is_port, "port", port, "a port from 1 to 65535, or 0 for a free one")
        positive = is_number(timeout) and 0 < timeout <= 3600
        require(positive, "timeout", timeout, "seconds above 0, an hour at most")
        words = isinstance(command, list | tuple) and len(command) > 0
        words = words and all(isinstance(word, str) for word in command)
        require(words, "command", command, "a list of words")
        told = callable(ready) or type(self)._answers is not Server._answers
        require(told, "ready", ready, "a function of port and time-out")
        usable = env is None or isinstance(env, Mapping)
        require(usable, "env", env, "a mapping of names to values, or None")
        self._command = list(command)
        self._ready = ready
        self._wanted_port = port
        self._mode = "inherit" if inherits_socket else "bind"
        self._env = {**os.environ, **(env or {})}
        self._timeout = timeout
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._asked = 0
        self._unread = b""
        self._pid = 0
        self._port = port
        self._lock = threading.RLock()

    @property
    def port(self) -> int:
        """The port it serves, the same after a restart."""
        return self._port

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://{HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the server itself, for its memory and CPU; 0 before the first start."""
        return self._pid

    @property
    def running(self) -> bool:
        """Whether its process is there (frozen or not)."""
        with self._lock:
            return self._supervisor is not None and self._ask("?") == "running"

    def output(self, lines: int = 20) -> str:
        """The last lines that the server wrote to stdout and stderr."""
        with self._lock:
            path = self._folder / "output.log" if self._folder is not None else None
        if path is None or not path.exists():
            return ""
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 200 * lines))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def start(self) -> Self:
        """Start it and return when it answers; where it runs already, nothing is done.

        Raises ServerError, with the server's last words, where it does not within the time-out,
        and where the port is taken.
        """
        with self._lock:
            if self.running:
                return self
            try:
                if self._supervisor is None:
                    self._open_supervisor()
                self._launch()
            except BaseException:  # an interrupt too must leave nothing behind
                self.stop()
                raise
        return self

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nobody answers."""
        self._must_run(self._ask("P"))

    def resume(self) -> None:
        """Let a frozen server go on."""
        self._must_run(self._ask("C"))

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would; `restart` brings it back."""
        self._ask("K")

    def restart(self) -> None:
        """End it if it runs, and start it again on the same port."""
        with self._lock:
            if self._supervisor is None:
                raise ServerError(f"the {self.name} was never started, or was stopped")
            self._ask("K")
            self.start()

    def stop(self) -> None:
        """End it cleanly and remove what belonged to it; a second time does nothing."""
        with self._lock:
            if self._supervisor is None:
                return
            try:
                with suppress(ServerError):  # the supervisor died: what follows tidies up
                    self._ask("T")
            finally:
                self._supervisor = self._folder = None
                self._let_go()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{self.name} on {HOST}:{self._port} pid={self._pid}>"

    def _answers(self, port: int, timeout: float) -> None:
        """Return when it answers; OSError where it does not yet. A kind of server of its own
        overrides this instead of giving `ready`."""
        assert self._ready is not None
        self._ready(port, timeout)

    def _prepare(self, folder: Path) -> None:
        """Put into its folder what the server needs before its first start."""

    def _open_supervisor(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="perflab-"))
        script = [sys.executable, "-I", "-S", str(SUPERVISOR)]
        user = -1 if self.user is None else self.user
        signals = [f"{int(self.ends_by)}", f"{int(self.leaves_by)}"]
        about = [str(self._folder), str(self._wanted_port), self._mode, f"{user}", *signals]
        with (self._folder / "output.log").open("ab") as log:
            self._supervisor = subprocess.Popen(
                [*script, *about, *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env=self._env,
                start_new_session=True,
            )
        self._unread = b""
        # Also for a server that is forgotten without a stop, and at the interpreter's end.
        self._let_go = weakref.finalize(self, _close, self._supervisor, self._folder)
        self._prepare(self._folder)  # now that somebody will remove it, whatever happens

    def _launch(self) -> None:
        deadline = time.monotonic() + self._timeout
        answer = self._ask("S")
        word, _, rest = answer.partition(" ")
        if word != "ok":
            raise ServerError(f"the {self.name} did not start: {rest}")
        self._pid, self._port = map(int, rest.split())
        while True:
            left = deadline - time.monotonic()
            try:
                if left > 0:
                    return self._answers(self._port, left)
            except OSError:
                time.sleep(0.01)  # not yet: ask again, unless it will never come
            state = self._ask("?")
            if state != "running" or left <= 0:
                why = f"no answer within {self._timeout:g} s" if left <= 0 else state
                raise ServerError(f"the {self.name} did not start: {why}\n{self.output()}")

    def _must_run(self, state: str) -> None:
        if state != "running":
            raise ServerError(f"the {self.name} does not run: {state}\n{self.output()}")

    def _ask(self, letter: str) -> str:
        """Ask the supervisor one question; return the answer."""
        with self._lock:
            supervisor = self._supervisor
            if supervisor is None or supervisor.stdin is None or supervisor.stdout is None:
                raise ServerError(f"the {self.name} was never started, or was stopped")
            if supervisor.stdin.closed:  # the collector of garbage let go of it before its owner
                raise ServerError(f"the {self.name} was let go")
            self._asked += 1
            deadline = time.monotonic() + END_TIMEOUT
            try:
                supervisor.stdin.write(b"%d %s\n" % (self._asked, letter.encode()))
                while True:
                    line, newline, rest = self._unread.partition(b"\n")
                    if newline:
                        self._unread = rest
                        number, _, answer = line.decode().partition(" ")
                        if int(number) == self._asked:  # else: of a question that was interrupted
                            return answer
                    else:
                        self._unread += _read(supervisor.stdout.fileno(), deadline)
            except (OSError, EOFError) as error:
                raise ServerError(f"the {self.name}'s supervisor is gone") from error


def free_port() -> int:
    """A port for a server whose configuration has to name one."""
    with socket.socket() as free:
        return bound(free, 0)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone after the block, or with this process, however that ends.

    with scratch() as folder, closing(data.copy(folder / "shop.db")) as db:
        …
    """
    keeper = Server(["true"], lambda port, timeout: None)  # a supervisor that has nothing to start
    try:
        keeper._open_supervisor()
        assert keeper._folder is not None
        yield keeper._folder
    finally:
        keeper.stop()


def _read(fd: int, deadline: float) -> bytes:
    poll = select.poll()  # select.select refuses descriptors above 1,023
    poll.register(fd, select.POLLIN)
    readable = poll.poll(1000 * max(0.0, deadline - time.monotonic()))
    data = os.read(fd, 4096) if readable else b""
    if not data:
        raise EOFError
    return data


def _close(supervisor: subprocess.Popen[bytes], folder: Path) -> None:
    """Let the supervisor go, which ends what is left of its server; wait until it has."""
    for pipe in (supervisor.stdin, supervisor.stdout):
        if pipe is not None:
            pipe.close()
    try:
        supervisor.wait(END_TIMEOUT)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
    shutil.rmtree(folder, ignore_errors=True)  # where the supervisor could not
