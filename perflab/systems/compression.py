"""A compressing middleware for ASGI: content negotiation as RFC 9110 has it (12.5.3, 8.4, 8.8.1).

`negotiate` decides from a header alone; `answer` decides from an answer's head whether it may be
compressed at all; the rest is carrying bytes. A stream's parts are flushed one by one, so that a
client can read each when it was sent.
"""

import zlib
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, Protocol

import brotli
import zstandard

from perflab.errors import is_whole, require
from perflab.measure.request import App, Message, Receive, Send

Headers = list[tuple[bytes, bytes]]

MINIMUM_SIZE = 500  # bytes; a header and a trailer of some twenty would eat what is won
PREFERENCE = ("zstd", "br", "gzip")  # of two that a client likes alike: the cheaper one per byte
COMPRESSIBLE = (b"text/", b"application/json", b"application/javascript", b"application/xml",
                b"application/x-ndjson", b"image/svg+xml")  # fmt: skip
BODILESS = (204, 304)


class Encoder(Protocol):
    """Compresses one answer, part by part."""

    def part(self, data: bytes) -> bytes:
        """These bytes, compressed and flushed: readable on their own."""
        ...

    def end(self, data: bytes) -> bytes:
        """The last bytes, and what ends the answer."""
        ...


class Gzip:
    def __init__(self, level: int) -> None:
        self._zlib = zlib.compressobj(level, wbits=31)

    def part(self, data: bytes) -> bytes:
        return self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)

    def end(self, data: bytes) -> bytes:
        return self._zlib.compress(data) + self._zlib.flush()


class Brotli:
    def __init__(self, level: int) -> None:
        self._brotli = brotli.Compressor(quality=level)

    def part(self, data: bytes) -> bytes:
        return bytes(self._brotli.process(data) + self._brotli.flush())

    def end(self, data: bytes) -> bytes:
        return bytes(self._brotli.process(data) + self._brotli.finish())


class Zstd:
    def __init__(self, level: int) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level).compressobj()

    def part(self, data: bytes) -> bytes:
        block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return self._zstd.compress(data) + self._zstd.flush(block)

    def end(self, data: bytes) -> bytes:
        return self._zstd.compress(data) + self._zstd.flush()


ENCODERS: dict[str, Callable[[int], Encoder]] = {"gzip": Gzip, "br": Brotli, "zstd": Zstd}
LEVELS = {"gzip": (0, 9), "br": (0, 11), "zstd": (1, 19)}
LEVEL = {"gzip": 6, "br": 4, "zstd": 3}


def negotiate(accepted: str, offered: tuple[str, ...] = PREFERENCE) -> str | None:
    """The encoding for an Accept-Encoding header, or None for the body as it is.

    The client's highest q wins, of equal ones the first that is offered. Names are compared
    without case; `*` stands for those not named; what cannot be read counts as not said.
    """
    said: dict[str, float] = {}
    for one in accepted.lower().split(","):
        name, _, parameters = one.partition(";")
        quality = _quality(parameters)
        if name.strip() and quality is not None:
            said[name.strip()] = quality
    best = max(offered, key=lambda name: said.get(name, said.get("*", 0.0)), default=None)
    if best is None or said.get(best, said.get("*", 0.0)) <= 0:
        return None
    return best


def _quality(parameters: str) -> float | None:
    """The q of a header's entry, 1 without one; None where it is no number from 0 to 1."""
    name, sign, value = parameters.strip().partition("=")
    if not sign:
        return 1.0 if not name else None
    try:
        quality = float(value)
    except ValueError:
        return None
    return quality if name.strip() == "q" and 0 <= quality <= 1 else None


class CompressionMiddleware:
    """Compresses the answers of an ASGI application for those clients that want it.

    `encodings` are offered, the first preferred; `levels` by encoding; answers of less than
    `minimum_size` bytes are left as they are.
    """

    def __init__(
        self,
        app: App,
        *,
        encodings: tuple[str, ...] = PREFERENCE,
        levels: dict[str, int] | None = None,
        minimum_size: int = MINIMUM_SIZE,
    ) -> None:
        require(callable(app), "app", app, "an ASGI application")
        known = isinstance(encodings, tuple) and set(encodings) <= ENCODERS.keys()
        require(known, "encodings", encodings, f"a tuple of {', '.join(ENCODERS)}")
        self._levels = {**LEVEL, **_checked(levels or {})}
        require(
            is_whole(minimum_size) and minimum_size >= 0,
            "minimum_size",
            minimum_size,
            "bytes, from 0",
        )
        self._app, self._encodings, self._minimum = app, encodings, minimum_size

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        accepted = b",".join(
            v for name, v in scope.get("headers", ()) if name == b"accept-encoding"
        )
        encoding = negotiate(accepted.decode("latin-1"), self._encodings)
        if scope["method"] == "HEAD":  # it has no body whose compressed length could be told
            encoding = None
        make = partial(ENCODERS[encoding], self._levels[encoding]) if encoding else None
        answer = _Answer(send, encoding or "", make, self._minimum)
        await self._app(scope, receive, answer.send)


def _checked(levels: dict[str, int]) -> dict[str, int]:
    for name, level in levels.items():
        require(name in LEVELS, "levels", levels, f"by {', '.join(LEVELS)}")
        low, high = LEVELS[name]
        require(
            is_whole(level) and low <= level <= high, name, level, f"a level from {low} to {high}"
        )
    return levels


class _Answer:
    """One answer on its way. State: its head, held back until its first body message tells how
    long it is; `encoder`, made once it is decided that the body is compressed (it takes some
    300 kB), else None."""

    def __init__(
        self, send: Send, encoding: str, make: Callable[[], Encoder] | None, minimum: int
    ) -> None:
        self._send, self._minimum = send, minimum
        self._encoding, self._make = encoding, make
        self._encoder: Encoder | None = None
        self._head: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        head, self._head = self._head, None
        size = None if more else len(body)
        if head is not None and self._make is not None and _may(head, size, self._minimum):
            self._encoder = self._make()
        if self._encoder is not None:
            body = self._encoder.part(body) if more else self._encoder.end(body)
        if head is not None:
            length = None if more else len(body)
            encoding = self._encoding if self._encoder is not None else ""
            await self._send({**head, "headers": _headers(head, encoding, length)})
        await self._send({**message, "body": body})


def _may(head: Message, size: int | None, minimum: int) -> bool:
    """Whether an answer with this head may be compressed; `size` of its body, if it is known."""
    said = {name.lower(): value for name, value in head.get("headers", ())}
    if size is None:
        declared = said.get(b"content-length", b"")
        size = int(declared) if declared.isdigit() else minimum
    plain = not said.keys() & {b"content-encoding", b"content-range"}
    plain = plain and b"no-transform" not in said.get(b"cache-control", b"")
    kind = said.get(b"content-type", b"").lower()
    text = kind.startswith(COMPRESSIBLE) or kind.partition(b";")[0].endswith((b"+json", b"+xml"))
    return plain and text and head["status"] not in (*BODILESS, 206) and size >= minimum


def _headers(head: Message, encoding: str, length: int | None) -> Headers:
    """The head's headers, true of the body that follows; Vary on every answer, for the next
    client of a cache may ask otherwise."""
    kept: Headers = []
    vary = [b"Accept-Encoding"]
    for name, value in head.get("headers", ()):
        key = name.lower()
        if key == b"vary":
            vary += [one.strip() for one in value.split(b",")]
        elif key == b"etag" and encoding and not value.startswith(b"W/"):
            kept.append((name, b"W/" + value))  # other bytes of the same thing: no strong match
        elif not (key == b"content-length" and encoding):
            kept.append((name, value))
    if encoding:
        kept.append((b"content-encoding", encoding.encode()))
        if length is not None:
            kept.append((b"content-length", b"%d" % length))
    named = {one.lower(): one for one in reversed(vary)}
    return [*kept, (b"vary", b", ".join(reversed(named.values())))]
