"""What passes between the calling process and the engine: frames of plain bytes.

In: one line of JSON, then the schedule as raw float64. Out: frames of a kind (one byte), a length
(four) and a payload: samples and readings as packed records, the rest as JSON. Nothing is pickled.
Imports neither numpy nor pycurl: both sides read it, and the engine is to stay small.
"""

import struct
from collections.abc import Iterator

SAMPLES, READINGS, END, FAILURE = b"S", b"R", b"E", b"F"
HEADER = struct.Struct("<cI")

# One request. Times in seconds since the measurement began; lateness and phases in seconds.
SAMPLE_FIELDS = [
    ("intended_start", "<f8"),
    ("start", "<f8"),
    ("end", "<f8"),
    ("lateness", "<f4"),  # start − the later of intended_start and the first free connection
    ("connect", "<f4"),  # until the connection stood; 0 where an open one was used
    ("tls", "<f4"),  # until TLS stood; 0 without
    ("first_byte", "<f4"),  # until the first byte of the answer; 0 where none came
    ("bytes", "<u4"),  # of the body
    ("route", "<u2"),
    ("status", "<u2"),  # 0 where no status line came
    ("error", "<u1"),  # index into ERRORS
    ("connections", "<u1"),  # opened for this request: 0 where one was reused
]
MOST_BYTES = 0xFFFF_FFFF
SAMPLE = struct.Struct("<dddffffIHHBB")

# One look at the processes. CPU time in seconds since they began; −1 where it cannot be read.
READING_FIELDS = [
    ("time", "<f8"),
    ("tester_rss", "<f8"),
    ("tester_cpu", "<f8"),
    ("server_rss", "<f8"),
    ("server_cpu", "<f8"),
]
READING = struct.Struct("<5d")

# What can go wrong with a request; the order is the code in a sample.
ERRORS = (
    "none",
    "status",  # answered with a status of 400 or above
    "refused",  # nobody listens
    "reset",  # the connection broke
    "no answer",  # closed by the server before a byte of the answer
    "cut short",  # closed by the server within the headers or the body
    "timeout",
    "too large",  # body above the cap
    "malformed",  # not HTTP, or headers without end
    "no port",  # the tester's own system had no port or descriptor left
    "unresolved",  # the name has no address
    "tls",
    "other",
)


def frame(kind: bytes, payload: bytes | bytearray) -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


class Frames:
    """Cuts a stream of bytes into frames. State: what has come of the frame not yet complete."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._rest += data
        while len(self._rest) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._rest)
            end = HEADER.size + length
            if len(self._rest) < end:
                return
            payload = bytes(self._rest[HEADER.size : end])
            del self._rest[:end]
            yield kind, payload
