"""What a process that runs a student's code is kept from.

By the operating system: time, processor time, address space, the size of files, the number of open
files and of processes. Started as root, as in a container, it also runs as a user of its own, who
can neither end the grader nor write outside its temporary folder.

By a guard within the interpreter (an audit hook, PEP 578, which cannot be taken out again): new
processes, signals, networks, files outside the temporary folder, and what leads from a function to
the frames of the judge. That is a fence, no wall: the answer is called by the judge, so it shares
its process, and whoever finds a way around the hook can tamper with it. Against that, and against
reading what the grader's user may read, only a container helps.
"""

import contextlib
import ctypes
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

try:
    import resource
except ImportError:  # Windows, where `grade` says that it cannot run
    resource = None  # type: ignore[assignment]  # see above

FIRST_USER = 61_000  # of users that hopefully nobody is; each process that runs code has one
DIES_WITH_PARENT = 1  # prctl
CALLED = "<answer>"  # the file that an answer's code is said to stand in


@dataclass(frozen=True)
class Limits:
    """For each answer: seconds of processor time and in all; bytes of memory beyond the judge's
    own, and of each file; open files; processes and threads."""

    cpu: int = 10
    wall: int = 40
    memory: int = 2 << 30
    file: int = 16 << 20
    files: int = 128
    processes: int = 256

    def __str__(self) -> str:
        return f"{self.cpu} s of processor time, {self.wall} s in all"


def enclose(limits: Limits, folder: str, user: int | None, busy: int) -> None:
    """Restrict this process for good. `busy` is how many processes its user has already."""
    os.chdir(folder)
    tempfile.tempdir = folder  # a judge may need a file, and the nursery knew another place
    os.environ.clear()
    os.environ.update(PATH="/usr/bin:/bin", HOME=folder, TMPDIR=folder, LANG="C.UTF-8")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the grader's interrupt is not the answer's
    most = {
        "CPU": limits.cpu,
        "FSIZE": limits.file,
        "NOFILE": limits.files,
        "NPROC": limits.processes + busy,
        "AS": _address_space() + limits.memory,
        "CORE": 0,
    }
    for name, value in most.items():
        what = getattr(resource, f"RLIMIT_{name}", None)
        if what is not None:
            with contextlib.suppress(ValueError, OSError):  # macOS does not know all of them
                hard = value + 1 if name == "CPU" else value
                resource.setrlimit(what, (value, hard))
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    # Should the nursery be ended, nobody is left to end this process. An alarm is all that macOS
    # has, and an answer could put it off; Linux ends the process with its parent.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(limits.wall + 1)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def _address_space() -> int:
    """Bytes of address space that this process has now; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 4 << 30  # macOS: it is not enforced there anyway


NEVER = (
    "ctypes.", "gc.get_", "mmap.", "os.exec", "os.fork", "os.kill", "os.killpg", "os.posix_spawn",
    "os.spawn", "os.system", "pty.", "resource.", "signal.pthread_kill", "socket.bind",
    "socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.", "sys._current",
    "sys.addaudithook", "sys.monitoring", "sys.setprofile", "sys.settrace", "syslog.",
)  # fmt: skip
CHANGES = (
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
    "os.symlink", "os.truncate", "os.utime", "shutil.", "sqlite3.connect", "tempfile.",
)  # fmt: skip
FRAMES = ("object.__getattr__", "object.__setattr__", "sys._getframe")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def guard(folder: str, readable: tuple[str, ...], trusted: str) -> None:
    """From here on this process may do what an answer needs, and no more. For good.

    Files may be read below `readable`, and read and written below `folder`. What code in a file
    below `trusted` (the judges) does itself is not looked at.
    """
    sys.addaudithook(_hook(folder, readable, trusted))


def _hook(folder: str, readable: tuple[str, ...], trusted: str) -> Callable[..., None]:
    # All in local names: what stands in a module, an answer could change.
    frame_of, path_of, real = sys._getframe, os.fspath, os.path.realpath
    busy, text, number, any_of = threading.local(), str, int, isinstance
    never, changes, frames, writing, called = NEVER, CHANGES, FRAMES, WRITING, CALLED

    def within(path: Any, places: tuple[str, ...]) -> bool:
        if any_of(path, number) or path is None:
            return True  # a file that is open already
        name = path_of(path)
        name = name if any_of(name, text) else os.fsdecode(name)
        return name in (":memory:", "", "/dev/null") or real(name).startswith(places)

    def allowed(event: str, given: tuple[Any, ...], caller: str) -> bool:
        if event in frames:
            looks = event == "sys._getframe" and caller.endswith(("inspect.py", "traceback.py"))
            return caller != called and not looks
        if caller.startswith(trusted):
            return True
        if event == "open":
            writes = any_of(given[2], number) and given[2] & writing
            return within(given[0], (folder,) if writes else (folder, *readable))
        if event.startswith(changes):
            return all(within(one, (folder,)) for one in given if any_of(one, (text, bytes)))
        return False

    def hook(event: str, given: tuple[Any, ...]) -> None:
        watched = event == "open" or event in frames or event.startswith((*never, *changes))
        if not watched or getattr(busy, "now", False):
            return
        busy.now = True  # what the hook itself does is not looked at
        try:
            if not allowed(event, given, frame_of(1).f_code.co_filename):
                raise PermissionError(f"{event} is not for answers that are graded")
        finally:
            busy.now = False

    return hook
