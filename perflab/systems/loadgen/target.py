"""Where the load goes: an address that is checked before anything is sent to it."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from perflab.errors import require


def origin(target: Any, allow_remote: bool = False) -> str:
    """`http://host:port` or with a base path, of a URL or of an object that has a `.url`.

    It is put together anew from its parsed parts, so that libcurl cannot read another host out of
    it than the one that was checked. ValueError where it is no http(s) URL, or leaves this
    machine and `allow_remote` is not set: load on a machine of someone else is an attack.
    """
    url = target if isinstance(target, str) else getattr(target, "url", None)
    require(isinstance(url, str), "target", target, "a URL or an object with a .url")
    try:
        parts = urlsplit(str(url))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    plain = bool(host) and host.isascii() and host.isprintable() and not set(host) & set(" %\\")
    plain = plain and parts.scheme in ("http", "https") and not (parts.query or parts.fragment)
    plain = plain and port != 0  # of a server that never ran; left out it would become 80
    require(plain and parts.username is None, "target", url, "http(s)://host:port and a path")
    require(allow_remote or is_loopback(host), "target", url,
            "on this machine (127.0.0.0/8, ::1, localhost), or allow_remote=True")  # fmt: skip
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
