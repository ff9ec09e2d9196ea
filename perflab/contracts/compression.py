"""What must hold of a middleware that compresses the answers of a web application.

Under test is `make(app)`, which wraps an ASGI application. A check plays the server for one
request and reads the bytes that would go to the client. What must hold is RFC 9110's: 12.5.3
(Accept-Encoding), 12.5.5 (Vary), 8.4 (Content-Encoding), 8.6 (Content-Length), 8.8.1 (ETag),
14 (Range), 15.3.5 and 15.4.5 (204 and 304 have no body).
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.measure.request import App, Message, Receive, Send

Make = Callable[[App], App]

TEXT = b"".join(b'{"id": %d, "name": "a product"}\n' % n for n in range(400))  # 12 kB, repetitive
TINY = b"hello world"
JSON = (b"content-type", b"application/json")


@dataclass(frozen=True)
class Got:
    """What a client received: header values by name in small letters, joined, and the parts."""

    status: int
    headers: dict[str, str]
    parts: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def encoding(self) -> str:
        return self.headers.get("content-encoding", "")

    @property
    def read(self) -> bytes:
        """The body as a client reads it; zlib.error where it is not what it says to be."""
        return zlib.decompress(self.body, 31) if self.encoding == "gzip" else self.body


def ask(make: Make, app: App, accept: str | None = "gzip", method: str = "GET") -> Got:
    """One request with this Accept-Encoding, None for a request without."""
    headers = [] if accept is None else [(b"accept-encoding", accept.encode())]
    scope = {"type": "http", "method": method, "path": "/", "headers": headers}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    _run(make(app)(scope, receive, send))
    joined: dict[str, str] = {}
    for name, value in sent[0].get("headers", ()):
        key, text = name.decode().lower(), value.decode()
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return Got(sent[0]["status"], joined, tuple(one.get("body", b"") for one in sent[1:]))


def _run(coroutine: Any) -> None:
    """To its end without an event loop: nothing here waits, and a notebook has a loop already."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        return


def answer(*parts: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> App:
    """An application that sends these parts as JSON."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [JSON, *headers]})
        for number, part in enumerate(parts, 1):
            more = number < len(parts)
            await send({"type": "http.response.body", "body": part, "more_body": more})

    return app


def _plain(got: Got, body: bytes, when: str) -> Evidence:
    """Whether a body came as it is."""
    same = not got.encoding and got.body == body
    return Evidence(same, f"{when}: {got.encoding or 'as it is'}, {len(got.body):,} bytes")


# ── What the client asked for


@check(
    "a client that accepts gzip gets it, smaller and whole",
    "Compress the body, say so in Content-Encoding, and end the stream.",
)
def compressed(make: Make) -> Evidence:
    got = ask(make, answer(TEXT))
    whole = got.encoding == "gzip" and got.read == TEXT and len(got.body) < len(TEXT) / 4
    return Evidence(whole, f"{len(TEXT):,} bytes sent as {len(got.body):,}, {got.encoding or '–'}")


@check(
    "a client that accepts nothing gets the body as it is",
    "Without Accept-Encoding send what the handler sent.",
)
def unasked(make: Make) -> Evidence:
    return _plain(ask(make, answer(TEXT), None), TEXT, "no header")


@check(
    "gzip;q=0 is a no",
    "A weight of 0 means «not acceptable» (RFC 9110, 12.4.2). Read the q, do not look for a word.",
)
def refused(make: Make) -> Evidence:
    return _plain(ask(make, answer(TEXT), "gzip;q=0, identity"), TEXT, "gzip;q=0")


@check(
    "x-nogzip is not gzip",
    "Split the header at commas and compare whole names.",
)
def another_word(make: Make) -> Evidence:
    return _plain(ask(make, answer(TEXT), "x-nogzip"), TEXT, "x-nogzip")


@check(
    "GZIP in capitals is gzip",
    "Names of encodings are compared without case (RFC 9110, 8.4.1).",
)
def capitals(make: Make) -> Evidence:
    got = ask(make, answer(TEXT), "GZIP")
    return Evidence(got.encoding == "gzip", f"GZIP: {got.encoding or 'as it is'}")


@check(
    "* is any encoding that is not named",
    "An asterisk stands for every encoding that the header does not name, with its own q.",
)
def anything(make: Make) -> Evidence:
    wanted = ask(make, answer(TEXT), "*").encoding
    unwanted = ask(make, answer(TEXT), "*;q=0").encoding
    found = f"*: {wanted or 'as it is'}, *;q=0: {unwanted or 'as it is'}"
    return Evidence(bool(wanted) and not unwanted, found)


@check(
    "a header that cannot be read costs nobody the answer",
    "What is not a number is no q. Ignore it and answer.",
)
def nonsense(make: Make) -> Evidence:
    whole = 0
    headers = ("gzip;q=much", ";;;", ",", "gzip;q=", "q=1", "gzip;level=9;q=x")
    for header in headers:
        whole += ask(make, answer(TEXT), header).read == TEXT
    return Evidence(whole == len(headers), f"{whole} of {len(headers)} answers readable")


# ── What the answer says of itself


@check(
    "Content-Length is the length of what is sent, or is not there",
    "The handler counted the bytes before they were compressed: replace its number, or drop it.",
)
def length(make: Make) -> Evidence:
    size = (b"content-length", b"%d" % len(TEXT))
    got = ask(make, answer(TEXT, headers=(size,)))
    said = got.headers.get("content-length", "nothing")
    true = said in ("nothing", f"{len(got.body)}")
    return Evidence(true, f"says {said}, sends {len(got.body):,}")


@check(
    "Vary names Accept-Encoding on the plain answer too",
    "A cache in between that keeps the plain answer would hand it to everybody.",
)
def vary(make: Make) -> Evidence:
    said = [ask(make, answer(TEXT), accept).headers.get("vary", "") for accept in ("gzip", None)]
    named = sum("accept-encoding" in one.lower() for one in said)
    return Evidence(named == 2, f"{named} of 2 answers")


@check(
    "a Vary of the handler's own stands beside ours",
    "Add to the header once the handler has set it; do not set it beforehand.",
)
def vary_kept(make: Make) -> Evidence:
    got = ask(make, answer(TEXT, headers=((b"vary", b"Cookie"),)))
    said = got.headers.get("vary", "")
    both = "cookie" in said.lower() and "accept-encoding" in said.lower()
    return Evidence(both, f"Vary: {said or 'nothing'}")


@check(
    "a strong ETag is weak once other bytes are sent",
    "Two answers of the same strong ETag must be the same byte for byte: put W/ before it.",
)
def etag(make: Make) -> Evidence:
    said = ask(make, answer(TEXT, headers=((b"etag", b'"v1"'),))).headers.get("etag", "")
    return Evidence(said != '"v1"', f"ETag: {said or 'nothing'}")


# ── What must be left alone


@check(
    "what is encoded already is not encoded again",
    "The handler said Content-Encoding: gzip. Compress it once more, and the client, which undoes "
    "one of them, reads bytes.",
)
def encoded(make: Make) -> Evidence:
    body = zlib.compress(TEXT, wbits=31)
    got = ask(make, answer(body, headers=((b"content-encoding", b"gzip"),)))
    right = got.encoding == "gzip" and got.body == body
    return Evidence(right, f"Content-Encoding: {got.encoding}, {'once' if right else 'not once'}")


@check(
    "a part of a file (206) goes as it is",
    "Content-Range counts bytes of the plain file: compressed, the range says nothing.",
)
def ranged(make: Make) -> Evidence:
    about = (b"content-range", b"bytes 0-%d/99999" % (len(TEXT) - 1))
    return _plain(ask(make, answer(TEXT, status=206, headers=(about,))), TEXT, "206")


@check(
    "204 and 304 have no body and do not say that it is compressed",
    "There is nothing to compress. Even an empty gzip stream has twenty bytes.",
)
def bodiless(make: Make) -> Evidence:
    all_of_them = [ask(make, answer(b"", status=status)) for status in (204, 304)]
    lies = sum(bool(got.encoding or got.body) for got in all_of_them)
    return Evidence(not lies, f"{lies} of 2 say that they are compressed")


@check(
    "a picture goes as it is",
    "PNG, JPEG, video and archives are compressed already: it costs time and wins nothing.",
)
def picture(make: Make) -> Evidence:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"image/png")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": TEXT})

    return _plain(ask(make, app), TEXT, "image/png")


@check(
    "an answer of eleven bytes does not grow",
    "gzip adds a header and a trailer of 18 bytes. Leave small answers alone.",
)
def tiny(make: Make) -> Evidence:
    return _plain(ask(make, answer(TINY)), TINY, f"{len(TINY)} bytes")


# ── Streams


@check(
    "each part of a stream can be read when it was sent",
    "The compressor keeps bytes back until it has enough. Flush it after each part.",
)
def stream(make: Make) -> Evidence:
    parts = tuple(b"event number %d\n" % n * 40 for n in range(5))
    got = ask(make, answer(*parts))
    reader, readable = zlib.decompressobj(31), 0
    for sent, part in zip(got.parts, parts, strict=False):
        readable += (reader.decompress(sent) if got.encoding else sent) == part
    return Evidence(readable == len(parts), f"{readable} of {len(parts)} parts at once")


@check(
    "a stream is whole at its end",
    "After the last part comes the end of the compressed stream.",
)
def stream_whole(make: Make) -> Evidence:
    got = ask(make, answer(*[TEXT] * 5))
    return Evidence(got.read == TEXT * 5, f"{len(got.read):,} of {5 * len(TEXT):,} bytes")


@check(
    "two requests at once do not share a compressor",
    "A compressor belongs to one answer: make it when the answer begins.",
)
def at_once(make: Make) -> Evidence:
    """Each sends a part before either sends the next."""
    first, second = (b"first " * 200, b"second " * 200)
    sent: dict[str, list[Message]] = {"first": [], "second": []}

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        part = first if scope["path"] == "first" else second
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await _Turn()
        await send({"type": "http.response.body", "body": part})

    wrapped = make(app)

    def request(path: str) -> Any:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent[path].append(message)

        headers = [(b"accept-encoding", b"gzip")]
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
        return wrapped(scope, receive, send)

    requests = [request("first"), request("second")]
    for one in requests:
        one.send(None)  # up to its turn
    for one in requests:
        _run(one)
    whole = sum(
        zlib.decompress(b"".join(one.get("body", b"") for one in sent[path]), 31) == part * 2
        for path, part in (("first", first), ("second", second))
    )
    return Evidence(whole == 2, f"{whole} of 2 answers whole")


class _Turn:
    """Awaited, it hands over to the other request once."""

    def __await__(self) -> Any:
        yield
