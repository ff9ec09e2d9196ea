"""What this machine has and lacks for the book, and a remedy for each thing that is missing."""

import os
import platform
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from perflab.book.readers import ROOT, chapters, my_folder, writable
from perflab.errors import MissingProgramError, PerflabError
from perflab.measure.machine import Machine, noise_floor

PACKAGES = ("jupyterlab", "ipykernel", "nbval", "numpy", "pandas", "matplotlib", "starlette")
SERVERS = {"Valkey": "valkey-server", "PostgreSQL": "postgres", "nginx": "nginx"}
LAB_PORT = 8888
BUSY, NOISY = 0.5, 0.02  # shares of the cores' and of one thread's time
INSTALL = "run: python make.py lab  (it makes the environment anew where it is not complete)"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `state` is ok, note (works, but mind it) or missing (needed)."""

    name: str
    state: str
    found: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Look at everything, the quick things first; takes some three seconds."""
    yield from software()
    yield from hardware()
    yield from places()
    yield from servers()
    yield webapp()


def table(findings: list[Finding]) -> str:
    """The findings, aligned, each remedy under what it mends."""
    sign = {"ok": "✓", "note": "!", "missing": "✗"}
    width = max(len(finding.name) for finding in findings)
    lines = []
    for one in findings:
        lines.append(f"{sign[one.state]} {one.name:<{width}}  {one.found}")
        if one.remedy:
            lines.append(f"  {'':<{width}}  → {one.remedy}")
    return "\n".join(lines)


def software() -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()}, {platform.platform(terse=True)}")
    yield Finding("SQLite", "ok", sqlite3.sqlite_version)
    missing, found = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Finding("packages", "ok", ", ".join(found))
    for name in missing:
        yield Finding(name, "missing", "not installed", INSTALL)


def hardware() -> Iterator[Finding]:
    machine = Machine.here()
    enough = machine.cores >= 2
    yield Finding(
        "cores",
        "ok" if enough else "note",
        f"{machine.cores}, {machine.cpu}",
        "" if enough else "server and load generator share the core: trust ratios, not times",
    )
    load = Machine.load(0.3)
    yield Finding(
        "load",
        "note" if load > BUSY else "ok",
        f"{load:.0%} of all cores",
        "close what else is running, or expect «inconclusive» more often" if load > BUSY else "",
    )
    enough = machine.memory_gib >= 2
    yield Finding(
        "memory",
        "ok" if enough else "note",
        f"{machine.memory_gib} GiB",
        "" if enough else "keep to the quick scale",
    )
    yield noise()


def noise() -> Finding:
    floor = noise_floor(0.5)
    noisy = floor.stolen > NOISY
    return Finding(
        "noise floor",
        "note" if noisy else "ok",
        f"clock steps of {floor.resolution * 1e9:.0f} ns; {floor.stolen:.1%} of a thread's time "
        f"lost, at most {floor.max_gap * 1e3:.1f} ms at once",
        "other work disturbs what is measured: close it, plug the machine in" if noisy else "",
    )


def places() -> Iterator[Finding]:
    yield place("your folder", my_folder)
    yield place("the shop's data", lambda: ROOT / "data" / "generated")
    try:
        yield Finding("chapters", "ok", ", ".join(path.stem for path in chapters()))
    except PerflabError as error:
        yield Finding("chapters", "missing", "none", str(error))
    free = port_is_free(LAB_PORT)
    yield Finding(
        "Lab's port",
        "ok" if free else "note",
        f"{LAB_PORT} is {'free' if free else 'taken'}",
        "" if free else "Lab takes the next free one by itself; see the address it prints",
    )


def place(name: str, folder: Callable[[], Path]) -> Finding:
    try:
        return Finding(name, "ok", f"{writable(folder())} can be written")
    except PerflabError as error:
        found, _, remedy = str(error).partition(". ")
        return Finding(name, "missing", found, remedy)


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name != "nt":  # where the option would let two servers share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def servers() -> Iterator[Finding]:
    """Which servers' programs are there; without one a chapter runs, and says what was not run."""
    from perflab.systems.programs import program

    for name, command in SERVERS.items():
        try:
            yield Finding(name, "ok", program(command))
        except MissingProgramError as error:
            found, _, remedy = str(error).partition(". ")
            remedy += "; until then its experiments say «not run here»"
            yield Finding(name, "note", found, remedy)


def webapp() -> Finding:
    """Start the shop's server as the chapters do, and say how long it took and where it is from."""
    from perflab import systems  # brings the server's libraries: the rest works without them

    began = time.perf_counter()
    try:
        with systems.webapp() as server:
            took = time.perf_counter() - began
            found = f"answers at {server.url} after {took:.2f} s; {source('uvicorn')}"
            return Finding("web server", "ok", found)
    except PerflabError as error:
        return Finding("web server", "missing", str(error), INSTALL)


def source(package: str) -> str:
    """Version of a package and the folder that it is installed in."""
    found = distribution(package)
    return f"{package} {found.version} from {found.locate_file('')}"
