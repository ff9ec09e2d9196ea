"""`filesite()`: small files over TLS from nginx, which speaks HTTP/1.1 and HTTP/2; and `fetch`,
which gets them over one connection in turn, over several, or side by side over one."""

import shutil
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import pycurl

from perflab.errors import is_whole, require
from perflab.systems.programs import program, unprivileged_user
from perflab.systems.servers import HOST, Server, free_port
from perflab.systems.webapp import AUTHORITY, CERTIFICATE, KEY, make_certificate

CONFIGURATION = """
worker_processes 1;
daemon off;
pid "{folder}/pid";
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path "{folder}/client";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate "{folder}/{certificate}";
        ssl_certificate_key "{folder}/{key}";
        root "{folder}/files";
    }}
}}
"""


class FileSite(Server):
    """nginx with `paths`, so many files of so many bytes; `authority` is the file to trust."""

    name = "site of small files"

    def __init__(self, files: int, size: int) -> None:
        self.user = unprivileged_user()
        self.paths = [f"/{number:03}.txt" for number in range(files)]
        self._size = size
        command = [program("nginx"), "-p", "{folder}", "-c", "nginx.conf", "-e", "stderr"]
        super().__init__(command, port=free_port(), inherits_socket=False)

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def authority(self) -> Path | None:
        """The file with the certificate to trust, while it runs; else None."""
        return self._folder / AUTHORITY if self._folder is not None else None

    def _prepare(self, folder: Path) -> None:
        make_certificate(folder)
        (folder / "files").mkdir()
        for path in self.paths:
            (folder / "files" / path[1:]).write_bytes(b"." * self._size)
        text = CONFIGURATION.format(folder=folder, port=self.port, certificate=CERTIFICATE, key=KEY)
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        if self.user is not None:
            for one in (folder, *folder.rglob("*")):
                shutil.chown(one, self.user)

    def _answers(self, port: int, timeout: float) -> None:
        context = ssl.create_default_context(cafile=str(self.authority))
        with (
            socket.create_connection((HOST, port), timeout) as bare,
            context.wrap_socket(bare, server_hostname=HOST),
        ):
            pass


def filesite(files: int = 60, size: int = 1_000) -> FileSite:
    """So many small files over TLS, as HTTP/1.1 and HTTP/2.

        with filesite() as site:
            fetch(site, site.paths, site.authority, http2=True)

    Raises ValueError for a bad argument, MissingProgramError where there is no nginx on this
    machine, and on entry ServerError where it does not start.
    """
    for name, value, most in (("files", files, 999), ("size", size, 1_000_000)):
        require(is_whole(value) and 1 <= value <= most, name, value, f"from 1 to {most:,}")
    return FileSite(files, size)


@dataclass(frozen=True)
class Fetched:
    """`seconds` until the last file was there, when each was (`done`, ascending), and the
    `connections` opened."""

    seconds: float
    done: tuple[float, ...]
    connections: int


def fetch(
    server: Any, paths: list[str], authority: Any, *, connections: int = 1, http2: bool = False
) -> Fetched:
    """Get all files over at most so many connections; with `http2` side by side over each.

    `server` has a `.url`. Raises OSError where a file does not come whole.
    """
    multi, opened = pycurl.CurlMulti(), 0
    done: list[float] = []
    multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX if http2 else pycurl.PIPE_NOTHING)
    multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, connections)
    began = perf_counter()
    handles = [_asking(server.url + path, authority, http2) for path in paths]
    for one in handles:
        multi.add_handle(one)
    while len(done) < len(paths):
        multi.perform()
        _, good, bad = multi.info_read()
        for _, _, why in bad:
            raise OSError(f"a file did not come: {why}")
        for one in good:
            done.append(perf_counter() - began)
            opened += one.getinfo(pycurl.NUM_CONNECTS)
            multi.remove_handle(one)
        if len(done) < len(paths):
            multi.select(min(max(multi.timeout(), 0), 1_000) / 1_000 or 0.001)
    for one in handles:
        one.close()
    multi.close()
    return Fetched(done[-1], tuple(done), opened)


def _asking(url: str, authority: Any, http2: bool) -> pycurl.Curl:
    one = pycurl.Curl()
    one.setopt(pycurl.URL, url)
    one.setopt(pycurl.CAINFO, str(authority))
    one.setopt(
        pycurl.HTTP_VERSION, getattr(pycurl, f"CURL_HTTP_VERSION_{'2TLS' if http2 else '1_1'}")
    )
    one.setopt(pycurl.PIPEWAIT, int(http2))  # wait for the connection there is, and share it
    one.setopt(pycurl.FAILONERROR, 1)
    one.setopt(pycurl.WRITEFUNCTION, len)
    one.setopt(pycurl.TIMEOUT_MS, 30_000)
    one.setopt(pycurl.HTTPHEADER, ["cookie: " + "k" * 150, "accept: */*"])
    return one
