"""`balancer()`: several servers behind one address, by nginx."""

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from perflab.errors import require
from perflab.systems.programs import program, unprivileged_user
from perflab.systems.servers import HOST, Server, free_port

# nginx's own words for each policy; round robin is what it does unasked. «random two» is the power
# of two choices (Mitzenmacher, «The Power of Two Choices in Randomized Load Balancing», 2001).
POLICIES = {"round robin": "", "least connections": "least_conn;",
            "two choices": "random two least_conn;", "random": "random;"}  # fmt: skip
CONFIGURATION = """
worker_processes 1;
daemon off;
pid "{folder}/pid";
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path "{folder}/client";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    upstream servers {{
        {policy}
        {servers}
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream {retries};
            proxy_connect_timeout 1s;
        }}
        location = /balancer {{ return 200 "ok"; }}
    }}
}}
"""


class Balancer(Server):
    """A running balancer: a `Server` that hands each request on to one of several."""

    name = "balancer"

    def __init__(self, targets: Sequence[str], policy: str, retries: bool) -> None:
        self.user = unprivileged_user()
        self._settings = {
            "policy": POLICIES[policy],
            "servers": " ".join(f"server {target} max_fails=0;" for target in targets),
            "retries": "error timeout" if retries else "off",
        }
        command = [program("nginx"), "-p", "{folder}", "-c", "nginx.conf", "-e", "stderr"]
        super().__init__(command, port=free_port(), inherits_socket=False)

    def _prepare(self, folder: Path) -> None:
        path = folder / "nginx.conf"
        text = CONFIGURATION.format(folder=folder, port=self.port, **self._settings)
        path.write_text(text, encoding="utf-8")
        if self.user is not None:
            for one in (folder, path):
                shutil.chown(one, self.user)

    def _answers(self, port: int, timeout: float) -> None:
        with socket.create_connection((HOST, port), timeout) as connection:
            connection.sendall(b"GET /balancer HTTP/1.0\r\n\r\n")
            if not connection.recv(1024).startswith(b"HTTP/1.1 200"):
                raise ConnectionError("the balancer does not answer")


def balancer(
    servers: Sequence[Server | str], *, policy: str = "round robin", retries: bool = False
) -> Balancer:
    """Several running servers behind one address.

        with webapp() as one, webapp() as two, balancer([one, two]) as both:
            run_load(both, …)

    `servers` speak plain HTTP; they may die and come back. `policy` is one of "round robin",
    "least connections", "two choices" (of two drawn at random the one with fewer connections) and
    "random". With `retries` a request whose server cannot be reached, or goes away before it
    answers, is sent to another one; without it that is a 502.

    Raises ValueError for a bad argument, MissingProgramError where there is no nginx on this
    machine, and on entry ServerError where it does not start.
    """
    several = isinstance(servers, list | tuple) and len(servers) > 0
    require(several, "servers", servers, "a list of running servers or their URLs")
    targets = [_target(one) for one in servers]
    known = isinstance(policy, str) and policy in POLICIES
    require(known, "policy", policy, f"one of {', '.join(POLICIES)}")
    require(isinstance(retries, bool), "retries", retries, "true or false")
    return Balancer(targets, policy, retries)


def _target(server: object) -> str:
    """Host and port, as nginx wants them."""
    url = server if isinstance(server, str) else getattr(server, "url", None)
    parts = urlsplit(url) if isinstance(url, str) else None
    plain = parts is not None and parts.scheme == "http" and parts.hostname == HOST
    plain = plain and parts is not None and bool(parts.port)
    allowed = f"a running server, or http://{HOST} with a port"
    require(plain, "servers", server, allowed)
    assert parts is not None
    return f"{HOST}:{parts.port}"
