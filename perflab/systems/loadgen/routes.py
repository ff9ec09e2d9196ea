"""What is asked for: one request out of several, by weight, with its headers and its body."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perflab.errors import require
from perflab.systems.loadgen.workload import number

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MOST_ROUTES = 50_000
MOST_BODY = 16 << 20
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")  # RFC 9110, section 5.6.2


@dataclass(frozen=True)
class Route:
    """One kind of request: `weight` says how often it is sent, compared with the others.

    `body` is bytes, text (sent as UTF-8), or a dict or list (sent as JSON, with the header that
    says so); afterwards `.body` is bytes or None. ValueError for what HTTP cannot carry.
    """

    path: str
    method: str = "GET"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0

    def __post_init__(self) -> None:
        require(_is_path(self.path), "route", self.path,
                'a path that starts with "/", in ASCII without spaces')  # fmt: skip
        known = isinstance(self.method, str) and self.method in METHODS
        require(known, "method", self.method, f"one of {', '.join(METHODS)}")
        number("weight", self.weight, 0, 1e12)
        several = isinstance(self.headers, Mapping)
        require(several, "headers", self.headers, "a mapping of names to values")
        headers = dict(self.headers)
        for name, value in headers.items():
            require(_is_header(name, value), "headers", f"{name}: {value}",
                    "a name and a value in printable ASCII")  # fmt: skip
        if isinstance(self.body, dict | list) and "content-type" not in map(str.lower, headers):
            headers["Content-Type"] = "application/json"
        body = _as_bytes(self.body)
        require(body is None or self.method != "HEAD", "body", self.body, "left out of a HEAD")
        object.__setattr__(self, "body", body)
        object.__setattr__(self, "headers", headers)

    @property
    def name(self) -> str:
        """The path, with the method before it where that is not GET."""
        return self.path if self.method == "GET" else f"{self.method} {self.path}"


def routes_of(route: Any) -> tuple[Route, ...]:
    """Routes from a path or Route, several of them (equal shares), or {path: weight}.

    The same path twice in a list counts twice. ValueError where none has a weight above 0.
    """
    if isinstance(route, str | Route):
        route = [route]
    listed = isinstance(route, Mapping | Sequence) and not isinstance(route, bytes)
    require(listed, "route", route, "a path, a Route, several of them, or {path: weight}")
    if isinstance(route, Mapping):
        routes = [Route(path, weight=weight) for path, weight in route.items()]
    else:
        alike = [one if isinstance(one, Route) else Route(one) for one in route]
        shares = Counter(one.path for one in alike if one == Route(one.path))
        plain = [Route(path, weight=float(times)) for path, times in shares.items()]
        routes = plain + [one for one in alike if one != Route(one.path)]
    some = 0 < len(routes) <= MOST_ROUTES and sum(one.weight for one in routes) > 0
    require(some, "route", route, f"1 to {MOST_ROUTES:,} routes, one with a weight above 0")
    return tuple(routes)


def _is_path(path: object) -> bool:
    if not isinstance(path, str):
        return False
    return path.startswith("/") and path.isascii() and path.isprintable() and " " not in path


def _is_header(name: object, value: object) -> bool:
    named = isinstance(name, str) and bool(name) and set(name.lower()) <= TOKEN
    return bool(named and isinstance(value, str) and value.isascii() and value.isprintable())


def _as_bytes(body: Any) -> bytes | None:
    if isinstance(body, dict | list):
        try:
            body = json.dumps(body, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            require(False, "body", body, "something that JSON can carry")
    if isinstance(body, str):
        body = body.encode(errors="surrogatepass")
    good = body is None or (isinstance(body, bytes) and len(body) <= MOST_BODY)
    require(
        good, "body", body, f"bytes, text, a dict or list, at most {MOST_BODY >> 20} MB, or None"
    )
    return body  # type: ignore[no-any-return]  # bytes or None by then
