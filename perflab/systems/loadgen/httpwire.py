"""HTTP/1.1 without a socket: requests as bytes, and answers read as they arrive (RFC 9112).

Bodies are counted, not kept.
"""

import base64
import re
from typing import Any, NamedTuple

CHUNKED, UNTIL_CLOSE = -1, -2  # lengths of a body that is not announced
MOST_HEAD = 300 << 10  # bytes of headers, of trailers too; libcurl stops there as well
MOST_LINE = 16 << 10  # bytes of the line that announces a chunk

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")
_FRAMING = re.compile(
    rb"\n(content-length|transfer-encoding|connection)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?(?=\n)", re.I
)
_NO_COLON = re.compile(rb"\n(?![ \t])[^:\r\n]+\r?\n")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;.*)?\r?")


class MalformedError(ValueError):
    """What came is not HTTP/1."""


class TooLargeError(ValueError):
    """The body is above the cap, or says that it will be."""


class Head(NamedTuple):
    """What the headers of an answer say about its end."""

    status: int
    length: int  # of the body in bytes, or CHUNKED or UNTIL_CLOSE
    keep: bool  # whether the connection stays, unless its end is the body's


def read_head(head: bytes) -> Head:
    """Reads a status line and headers with the empty line at their end. Raises MalformedError."""
    line = _STATUS.match(head)
    if line is None or b"\0" in head or _NO_COLON.search(head, line.end() - 1):
        raise MalformedError
    status, keep, length, chunked = int(line[2]), line[1] == b"1", UNTIL_CLOSE, False
    for name, value in _FRAMING.findall(head):
        said = value.lower()
        if name[0] in b"Tt":
            chunked = chunked or said == b"chunked"
            if said not in (b"chunked", b"identity"):
                raise MalformedError  # packed, although nobody asked for that
        elif len(name) == len("connection"):
            keep = b"close" not in said and (keep or b"keep-alive" in said)
        elif not said.isdigit() or length not in (UNTIL_CLOSE, _whole(said)):
            raise MalformedError
        else:
            length = _whole(said)
    if status < 200 or status in (204, 304):
        length = 0
    elif chunked:
        length = CHUNKED  # a length beside it means nothing
    return Head(status, length, keep)


def _whole(digits: bytes) -> int:
    return int(digits[:30])  # enough to be too large, and int() refuses thousands of digits


class Chunks:
    """A body in chunks (RFC 9112, section 7.1).

    State: `size`, the bytes of the body so far; what the next line is; how much of the chunk is
    missing; the line that has begun. `rest` tells, once `ended`, how much came behind the end.
    """

    def __init__(self) -> None:
        self.size = self.rest = 0
        self.ended = False
        self._next = self._announced
        self._missing = self._trailers = 0
        self._line = b""

    def feed(self, data: bytes) -> None:
        """The next bytes, whatever their number. Raises MalformedError."""
        at = 0
        while at < len(data) and not self.ended:
            if self._missing:
                part = min(self._missing, len(data) - at)
                self._missing -= part
                self.size += part
                at += part
                continue
            newline = data.find(b"\n", at)
            end = newline if newline >= 0 else len(data)
            self._line += data[at:end]
            if len(self._line) > MOST_LINE:
                raise MalformedError
            at = end + 1
            if newline >= 0:
                line, self._line = self._line, b""
                self._next(line)
        self.rest = len(data) - at if self.ended else 0

    def _announced(self, line: bytes) -> None:
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise MalformedError
        self._missing = int(match[1], 16)
        self._next = self._behind if self._missing else self._trailer

    def _behind(self, line: bytes) -> None:
        if line not in (b"\r", b""):
            raise MalformedError
        self._next = self._announced

    def _trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if self._trailers > MOST_HEAD:
            raise MalformedError
        self.ended = line in (b"\r", b"")


class Answer:
    """One answer on its way.

    `status` is 0 until the status line has come, `size` counts the body, `keep` says at the end
    whether the connection can be used again; `head` and its bytes, `raw`, are there once it is
    complete. State: what has come of the headers, how far the search for their end has been, how
    much interim answers took; what is missing of the body.
    """

    def __init__(self, most: int, without_body: bool = False) -> None:
        """`most` bytes of body are taken; `without_body`: the answer to a HEAD."""
        self.status = self.size = 0
        self.keep = False
        self.head: Head | None = None
        self.raw = b""
        self._most, self._without_body = most, without_body
        self._waiting, self._searched, self._interim = b"", 0, 0
        self._missing = 0
        self._chunks: Chunks | None = None

    def feed(self, data: bytes) -> bool:
        """The next bytes; whether the answer is complete. Raises MalformedError, TooLargeError."""
        if self.head is None:
            rest = self._read_head(data)
            if rest is None:
                return False
            data = rest
        return self._read_body(data)

    def ends_by_close(self) -> bool:
        """Whether a connection closed now means that the answer is complete."""
        return self.head is not None and self.head.length == UNTIL_CLOSE

    def _read_head(self, data: bytes) -> bytes | None:
        """Looks for the end of the headers; what comes behind it."""
        self._waiting += data
        while True:
            self._look_at_first_line()
            end = _END.search(self._waiting, self._searched)
            if end is None:
                self._searched = max(len(self._waiting) - 3, 0)
                if self._interim + len(self._waiting) > MOST_HEAD:
                    raise MalformedError
                return None
            self.raw = self._waiting[: end.end()]
            head = read_head(self.raw)
            self._interim += end.end()
            self._waiting, self._searched = self._waiting[end.end() :], 0
            if head.status == 101:
                raise MalformedError  # another protocol, which nobody asked for
            if head.status >= 200:  # others announce the answer proper
                break
        rest, self._waiting = self._waiting, b""
        self._begin_body(head)
        return rest

    def _look_at_first_line(self) -> None:
        """What is no HTTP from its first bytes on need not be waited for."""
        line = _STATUS.match(self._waiting)
        if line:
            self.status = int(line[2])
        elif b"\n" in self._waiting or not b"HTTP/1.".startswith(self._waiting[:7]):
            raise MalformedError

    def _begin_body(self, head: Head) -> None:
        if self._without_body:
            head = head._replace(length=0)
        self.head, self.keep = head, head.keep and head.length != UNTIL_CLOSE
        if head.length > self._most:
            raise TooLargeError
        self._missing = max(head.length, 0)
        self._chunks = Chunks() if head.length == CHUNKED else None

    def _read_body(self, data: bytes) -> bool:
        assert self.head is not None
        if self._chunks:
            try:
                self._chunks.feed(data)
            finally:
                self.size = self._chunks.size
            rest, ended = self._chunks.rest, self._chunks.ended
        elif self.head.length == UNTIL_CLOSE:
            self.size, rest, ended = self.size + len(data), 0, False
        else:
            part = min(self._missing, len(data))
            self.size += part
            self._missing -= part
            rest, ended = len(data) - part, not self._missing
        if self.size > self._most:
            raise TooLargeError
        self.keep = self.keep and not rest  # nobody asked for more than one answer
        return ended


def request_bytes(base: str, route: dict[str, Any]) -> bytes:
    """A route as it goes over the wire, as libcurl would send it."""
    host, slash, path = base.removeprefix("http://").partition("/")
    body = b"" if route["body"] is None else base64.b64decode(route["body"])
    given = {line.partition(":")[0].lower() for line in route["headers"]}
    lines = [f"{route['method']} {slash}{path}{route['path']} HTTP/1.1"]
    own = {"Host": host.removesuffix(":80"), "User-Agent": "perflab", "Accept": "*/*"}
    lines += [f"{name}: {value}" for name, value in own.items() if name.lower() not in given]
    lines += [
        line if line.partition(":")[2].strip() else line.rstrip() for line in route["headers"]
    ]
    if (route["method"] not in ("GET", "HEAD") or route["body"] is not None) and (
        "content-length" not in given
    ):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
