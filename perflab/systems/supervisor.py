"""A tiny process between the notebook and a server: whatever happens above, nothing stays behind.

Run as a script with the standard library alone (`python -I -S supervisor.py …`, some 20 ms):

    supervisor.py FOLDER PORT inherit|bind USER END LEAVE COMMAND…

USER is the number of the user to run it as, or -1 for our own; END and LEAVE are the numbers of
the signals that end it cleanly, and that end it when its owner has gone (9: at once).

It speaks with its owner over two pipes. Each line on stdin is `NUMBER LETTER`, each is answered
by one line on stdout, `NUMBER word…`; an owner that was interrupted before it read an answer
skips it by its number.

    S  start the server      → ok PID PORT | error REASON
    ?  how is it             → running | exited CODE
    P  stop it for a while   → as ?
    C  let it go on          → as ?
    T  end it (END, after GRACE seconds SIGKILL) → exited CODE
    K  end it at once        → exited CODE

When stdin ends, or the owner has gone without closing it (a fork of the owner may hold the pipe),
the server's whole process group gets LEAVE and soon SIGKILL, which works on stopped processes too,
and FOLDER is removed. All signals come from here, the server's parent: as long as it is not
reaped, its number cannot have gone to another process.
"""

import os
import select
import signal
import socket
import sys
from contextlib import suppress

GRACE = 2.0  # seconds between END and SIGKILL
LEAVE_GRACE = 0.5  # seconds between LEAVE and SIGKILL
TICK = 0.25  # seconds between two looks at the owner and the server
ENDING = (signal.SIGTERM, signal.SIGHUP)
LINUX = sys.platform == "linux"
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG in <sys/prctl.h>


def bound(listener: socket.socket, port: int) -> int:
    """Bind to this port of 127.0.0.1, or for 0 to a free one; which it is.

    A free one is taken below those that systems hand out to clients (from 32,768 on): a client
    could else have it for a moment while its server restarts. OSError where the port is taken.
    """
    for _ in range(0 if port else 100):
        with suppress(OSError):
            drawn = 20_000 + int.from_bytes(os.urandom(2), "big") % 12_000
            listener.bind(("127.0.0.1", drawn))
            return int(listener.getsockname()[1])
    listener.bind(("127.0.0.1", port))
    return int(listener.getsockname()[1])


class Supervisor:
    """One server, started any number of times on the same port.

    State: `port` (0 until the first start), `pid` of the running or stopped server (0 when there
    is none), whether we `stopped` it, and `code`, the exit code of the last one (negative: the
    signal that ended it). One thread; no locks.
    """

    def __init__(
        self, folder: str, port: int, inherit: bool, user: int, end: int, command: list[str]
    ) -> None:
        self.owner = os.getppid()
        self.folder = folder
        self.port = port
        self.inherit = inherit
        self.user = user
        self.end_signal = end
        self.command = command
        self.pid = 0
        self.stopped = False
        self.code = 0

    def serve(self) -> None:
        """Answer the owner until it has gone."""
        waiting = b""
        while self.owned():
            readable, _, _ = select.select([0], [], [], TICK)
            self.reap()
            if not readable:
                continue
            data = os.read(0, 4096)
            if not data:
                return
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                number, letter = line.decode().split()
                os.write(1, f"{number} {self.obey(letter)}\n".encode())

    def owned(self) -> bool:
        return os.getppid() == self.owner

    def obey(self, letter: str) -> str:
        self.reap()
        if letter == "S":
            return self.start()
        if letter == "P":
            self.pause()
        elif letter == "C":
            self.resume()
        elif letter == "T":
            self.end(self.end_signal, GRACE)
        elif letter == "K":
            self.kill()
        return "running" if self.pid else f"exited {self.code}"

    def start(self) -> str:
        if self.pid:
            return "error it runs already"
        try:
            with socket.socket() as listener:
                # Lets a restart have its port back while old connections are in TIME_WAIT.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.port = bound(listener, self.port)
                if self.inherit:
                    # From here on clients queue until the server accepts them: the port is
                    # never free for another, and readiness needs no polling.
                    listener.listen(2048)
                else:
                    listener.close()
                self.spawn(listener.fileno())
        except OSError as error:
            return f"error port {self.port}: {error.strerror}"
        return f"ok {self.pid} {self.port}"

    def spawn(self, fd: int) -> None:
        words = {"{port}": str(self.port), "{fd}": str(fd)}
        command = [words.get(word, word).replace("{folder}", self.folder) for word in self.command]
        supervisor = os.getpid()
        # Held back until the child has no handler of ours: Python forgets what came before.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                become(command, fd, supervisor, self.user)
            except BaseException as error:
                os.write(2, f"{command[0]}: {error}\n".encode())
            finally:
                os._exit(127)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        with suppress(OSError):  # the child was faster and runs its program already
            os.setpgid(self.pid, self.pid)  # both sides do it: whoever comes first

    def send(self, number: int) -> None:
        if self.pid:
            # It has just gone, which macOS calls a lack of permission.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def pause(self) -> None:
        """SIGSTOP, and wait until it has stopped indeed, or ended."""
        self.send(signal.SIGSTOP)
        if (
            self.pid and not self.stopped
        ):  # a stop is reported once: a second wait would be for ever
            _, status = os.waitpid(self.pid, os.WUNTRACED)
            self.stopped = os.WIFSTOPPED(status)
            if not self.stopped:
                self.ended(status)

    def resume(self) -> None:
        self.send(signal.SIGCONT)
        self.stopped = False

    def end(self, number: int, grace: float, abandoned: bool = False) -> None:
        """Send this signal, and SIGKILL where that has not helped in `grace` seconds, or at once
        when the owner goes meanwhile."""
        self.send(number)
        self.resume()  # a stopped process would keep the signal waiting
        for _ in range(int(grace / 0.01)):
            if not self.pid or not (abandoned or self.owned()):
                break
            select.select([], [], [], 0.01)
            self.reap()
        self.kill()

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.reap(wait=True)

    def reap(self, wait: bool = False) -> None:
        """Take note of a server that has ended, and end what it left in its group."""
        if not self.pid:
            return
        pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
        if pid:
            self.ended(status)

    def ended(self, status: int) -> None:
        self.send(signal.SIGKILL)
        self.pid, self.stopped, self.code = 0, False, os.waitstatus_to_exitcode(status)


def become(command: list[str], fd: int, supervisor: int, user: int) -> None:
    """Turn this forked child into the server: own group, own output, no pipe of ours."""
    os.setpgid(0, 0)
    if LINUX:
        import ctypes  # before the user changes, who may not read our Python

        prctl = ctypes.CDLL(None).prctl
    if user >= 0:
        import pwd

        os.setgroups([])
        os.setgid(pwd.getpwuid(user).pw_gid)
        os.setuid(user)
    if LINUX:
        # For the case that somebody kills the supervisor itself.
        prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != supervisor:
            return
    for number in (*ENDING, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if fd >= 0:
        os.set_inheritable(fd, True)
    os.execvp(command[0], command)


def main(
    folder: str, port: str, mode: str, user: str, end: str, leaving: str, *command: str
) -> None:
    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)  # so that what `finally` says below is done

    inherit = mode == "inherit"
    supervisor = Supervisor(folder, int(port), inherit, int(user), int(end), list(command))
    try:
        for number in ENDING:
            signal.signal(number, leave)
        with suppress(OSError):  # a pipe broke: the owner has gone
            supervisor.serve()
    finally:
        supervisor.end(int(leaving), LEAVE_GRACE, abandoned=True)
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
