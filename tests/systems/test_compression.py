"""Content negotiation, and the encodings that the contract cannot read."""

import random

import brotli
import pytest
import zstandard

from perflab.contracts.compression import TEXT, answer, ask
from perflab.systems.compression import PREFERENCE, CompressionMiddleware, negotiate


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("gzip, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("gzip;q=1.0, br;q=0.9", "gzip"),
        ("gzip ; q=0.5 , br;q=0", "gzip"),
        ("*", "zstd"),
        ("*;q=0.1, gzip", "gzip"),
        ("zstd;q=0, *", "br"),
        ("gzip;q=2", None),
        ("gzip;q=nan", None),
        ("deflate, compress", None),
        ("GZip", "gzip"),
    ],
)
def test_the_clients_highest_weight_wins_and_ours_breaks_ties(accepted, chosen):
    """RFC 9110, 12.5.3."""
    assert negotiate(accepted) == chosen


def test_only_what_is_offered_is_chosen():
    """A client may like what we do not speak."""
    assert negotiate("br, gzip;q=0.1", ("gzip",)) == "gzip"
    assert negotiate("gzip", ()) is None


READ = {
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize("encoding", READ)
@pytest.mark.parametrize("parts", [(TEXT,), (TEXT[:5_000], TEXT[5_000:], b"")])
def test_brotli_and_zstd_are_read_by_their_own_libraries(encoding, parts):
    """Whole, in one piece or as a stream."""
    got = ask(CompressionMiddleware, answer(*parts), encoding)
    assert got.encoding == encoding
    assert READ[encoding](got.body) == TEXT
    assert len(got.body) < len(TEXT) / 4


@pytest.mark.parametrize("encoding", PREFERENCE)
def test_a_level_is_the_encoders(encoding):
    """More effort, fewer bytes."""
    words = random.Random(1).choices([*TEXT.split(), b"apple", b"pear", b"plum"], k=5_000)
    sizes = [
        len(
            ask(
                lambda app, level=level: CompressionMiddleware(app, levels={encoding: level}),
                answer(b" ".join(words)),
                encoding,
            ).body
        )
        for level in (1, 9)
    ]
    assert sizes[1] < sizes[0]


def test_a_head_request_says_nothing_of_a_body_that_it_does_not_send():
    """Its Content-Length stays the plain one."""
    size = (b"content-length", b"%d" % len(TEXT))
    got = ask(CompressionMiddleware, answer(b"", headers=(size,)), method="HEAD")
    assert (got.encoding, got.headers["content-length"]) == ("", f"{len(TEXT)}")


def test_what_must_not_be_transformed_is_not():
    """Cache-Control: no-transform (RFC 9111, 5.2.2.6)."""
    got = ask(CompressionMiddleware, answer(TEXT, headers=((b"cache-control", b"no-transform"),)))
    assert got.body == TEXT


def test_an_application_that_fails_before_its_first_byte_has_sent_nothing():
    """The server may still answer 500."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise OSError("no")

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": []}
    with pytest.raises(OSError, match="no"):
        CompressionMiddleware(app)(scope, None, send).send(None)
    assert not sent
