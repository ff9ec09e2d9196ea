"""Compressing middlewares under their contract: ours, the guide's, starlette's and wrong ones."""

import math

from starlette.middleware.gzip import GZipMiddleware

from perflab.contracts import compression as contract
from perflab.guide.compression import compression_middleware
from perflab.systems import compression
from perflab.systems.compression import CompressionMiddleware

CONTRACT = contract
OF_THE_GUIDE = {
    "gzip;q=0 is a no",
    "x-nogzip is not gzip",
    "GZIP in capitals is gzip",
    "* is any encoding that is not named",
    "Content-Length is the length of what is sent, or is not there",
    "Vary names Accept-Encoding on the plain answer too",
    "a Vary of the handler's own stands beside ours",
    "a strong ETag is weak once other bytes are sent",
    "what is encoded already is not encoded again",
    "a part of a file (206) goes as it is",
    "204 and 304 have no body and do not say that it is compressed",
    "a picture goes as it is",
    "an answer of eleven bytes does not grow",
    "each part of a stream can be read when it was sent",
}


def with_one_compressor(app):
    """Ours, with one compressor for all answers."""
    shared = compression.Gzip(6)

    async def wrapped(scope, receive, send):
        await app(scope, receive, compression._Answer(send, "gzip", lambda: shared, 0).send)

    return wrapped


class Unflushed(compression.Gzip):
    def part(self, data):
        return self._zlib.compress(data)


def without_flush(app):
    """Ours, without a flush after each part."""

    async def wrapped(scope, receive, send):
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"").decode()
        wanted = compression.negotiate(accepted)
        make = (lambda: Unflushed(6)) if wanted else None
        answer = compression._Answer(send, "gzip" if wanted else "", make, 500)
        await app(scope, receive, answer.send)

    return wrapped


OF_STARLETTE = {
    "gzip;q=0 is a no",
    "x-nogzip is not gzip",
    "GZIP in capitals is gzip",
    "* is any encoding that is not named",
    "a strong ETag is weak once other bytes are sent",
}
SHARED = {
    "a client that accepts nothing gets the body as it is",
    "gzip;q=0 is a no",
    "x-nogzip is not gzip",
    "* is any encoding that is not named",
    "an answer of eleven bytes does not grow",
    "two requests at once do not share a compressor",
}
FAILS = [
    (CompressionMiddleware, set()),
    (compression_middleware, OF_THE_GUIDE),
    (GZipMiddleware, OF_STARLETTE),
    (with_one_compressor, SHARED),
    (without_flush, {"each part of a stream can be read when it was sent"}),
]
NONSENSE = {
    "CompressionMiddleware(app)": (CompressionMiddleware, [None, 1, "x"]),
    "CompressionMiddleware(encodings)": (
        lambda bad: CompressionMiddleware(print, encodings=bad),
        [None, "gzip", ("gzip", "rot13"), ["gzip"]],
    ),
    "CompressionMiddleware(levels)": (
        lambda bad: CompressionMiddleware(print, levels=bad),
        [{"gzip": 10}, {"gzip": True}, {"br": -1}, {"zstd": 0}, {"x": 1}, {"gzip": math.nan}],
    ),
    "CompressionMiddleware(minimum_size)": (
        lambda bad: CompressionMiddleware(print, minimum_size=bad),
        [None, -1, 1.5, True, "x"],
    ),
}
