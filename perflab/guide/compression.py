"""The guide's compressing middleware as ASGI, ported with its defects (guide, lines 1038–1075, Go).

As printed it does not compile: its writer embeds http.ResponseWriter and gzip.Writer, and both
have a Header, so that neither is chosen. Ported is what it does once that is mended.

Kept as they are:

- «gzip» anywhere in Accept-Encoding counts: `gzip;q=0` and `x-nogzip` do, `GZIP` and `*` do not;
- Vary is set on compressed answers alone, before the handler runs, which may set another;
- the handler's Content-Length stays, though another number of bytes follows;
- what is compressed already, a part of a file (206) and an answer of eleven bytes are compressed;
- 204 and 304 say that they are compressed, and have no body;
- nobody can flush: a stream's parts wait until the compressor has enough of them, or the end;
- each answer makes a compressor of its own (814 kB in Go, some 260 kB here).

Python removes one: net/http guesses the type of an answer without one from its bytes, and stops
guessing where an encoding is set, so that in Go an untyped answer loses its type.
"""

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

GZIP = 31  # zlib's number for 15 bits of window and gzip's own header
BODILESS = (204, 304)  # net/http lets nobody write a body here


def compression_middleware(app: App) -> App:
    async def compressing(scope: Any, receive: Receive, send: Send) -> None:
        accepts = dict(scope.get("headers", ())).get(b"accept-encoding", b"")
        if scope["type"] != "http" or b"gzip" not in accepts:
            await app(scope, receive, send)
            return
        await app(scope, receive, GzipResponseWriter(send).send)

    return compressing


class GzipResponseWriter:
    """State: the compressor, the answer's status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._gz = zlib.compressobj(wbits=GZIP)
        self._status = 200

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            await self._send({**message, "headers": self._headers(message.get("headers", ()))})
            return
        body = self._gz.compress(message.get("body", b""))
        more = message.get("more_body", False)
        if not more:
            body += self._gz.flush()
        await self._send({**message, "body": b"" if self._status in BODILESS else body})

    def _headers(self, headers: Any) -> list[tuple[bytes, bytes]]:
        """The guide sets its two before the handler runs: what that sets again replaces them."""
        set_again = {name.lower() for name, _ in headers}
        ours = [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
        return [*(one for one in ours if one[0] not in set_again), *headers]
