"""Requests through libcurl: handles that are used again, and what became of each request."""

import errno
from collections import deque
from typing import Any

import pycurl

from perflab.systems.loadgen.wire import ERRORS

_CODE = {name: code for code, name in enumerate(ERRORS)}

_BY_CURL = {
    pycurl.E_COULDNT_RESOLVE_HOST: "unresolved",
    pycurl.E_COULDNT_CONNECT: "refused",
    pycurl.E_GOT_NOTHING: "no answer",
    pycurl.E_PARTIAL_FILE: "cut short",
    pycurl.E_SEND_ERROR: "reset",
    pycurl.E_RECV_ERROR: "reset",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_FILESIZE_EXCEEDED: "too large",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "malformed",  # the name it had first; any protocol
    pycurl.E_UNSUPPORTED_PROTOCOL: "malformed",  # an answer without a status line (HTTP/0.9)
    pycurl.E_BAD_CONTENT_ENCODING: "malformed",
    100: "malformed",  # CURLE_TOO_LARGE: headers beyond libcurl's limit; pycurl does not name it
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
}

_BY_SYSTEM = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EADDRNOTAVAIL: "no port",
    errno.EMFILE: "no port",
    errno.ENFILE: "no port",
}


CUT_SHORT = _CODE["cut short"]


def error_code(curl_error: int, system_error: int, status: int) -> int:
    """The kind of failure as an index into `wire.ERRORS`; 0 for success.

    libcurl says «could not connect» of several things that the system's error tells apart.
    """
    if curl_error == pycurl.E_OK:
        return _CODE["status"] if status >= 400 else _CODE["none"]
    name = _BY_CURL.get(curl_error, "other")
    if curl_error == pycurl.E_RECV_ERROR and system_error == 0:
        name = "malformed"  # libcurl read the bytes and could make nothing of them
    if name in ("refused", "reset", "other"):
        name = _BY_SYSTEM.get(system_error, name)
    return _CODE[name]


class Slot:
    """A handle for one request at a time.

    State: the times of the request under way; the last route; the last line of headers.
    """

    __slots__ = ("curl", "header", "intended", "lateness", "route", "start")

    def __init__(self, settings: dict[str, Any]) -> None:
        self.curl = new_handle(settings)
        self.curl.slot = self  # from a finished handle back to its request
        # libcurl takes a connection that closes after the status line for a full answer. A deque
        # of one keeps the last line, and costs no Python frame for each.
        self.header: deque[bytes] = deque(maxlen=1)
        self.curl.setopt(pycurl.HEADERFUNCTION, self.header.append)
        self.route = -1
        self.intended = self.start = self.lateness = 0.0

    def headers_ended(self) -> bool:
        """Whether the empty line has come that ends the headers."""
        return bool(self.header) and self.header[0] in (b"\r\n", b"\n")


def new_handle(settings: dict[str, Any]) -> Any:
    """A handle set up as every request needs it, the address apart."""
    curl = pycurl.Curl()
    timeout_ms = max(1, round(settings["timeout"] * 1000))
    for option, value in (
        (pycurl.NOSIGNAL, 1),
        (pycurl.PROXY, ""),  # whatever the environment says
        (pycurl.TIMEOUT_MS, timeout_ms),
        (pycurl.CONNECTTIMEOUT_MS, timeout_ms),
        (pycurl.USERAGENT, "perflab"),
        (pycurl.MAXFILESIZE_LARGE, settings["max_bytes"]),
        (pycurl.WRITEFUNCTION, len),  # read to its end, kept nowhere: `len` says «all taken»
    ):
        curl.setopt(option, value)
    return curl
