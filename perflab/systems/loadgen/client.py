"""Requests through libcurl: handles that are used again, and what became of each request."""

import base64
import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import pycurl

from perflab.systems.loadgen.poller import SPIN, STDIN, best_poller
from perflab.systems.loadgen.transport import BY_SYSTEM, CODE, Done, Outcome, Slot
from perflab.systems.loadgen.wire import MOST_BYTES

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

CUT_SHORT = CODE["cut short"]
SIZE_DOWNLOAD = getattr(pycurl, "SIZE_DOWNLOAD_T", pycurl.SIZE_DOWNLOAD)
NEVER = float("inf")


def error_code(curl_error: int, system_error: int, status: int) -> int:
    """The kind of failure as an index into `wire.ERRORS`; 0 for success.

    libcurl says «could not connect» of several things that the system's error tells apart.
    """
    if curl_error == pycurl.E_OK:
        return CODE["status"] if status >= 400 else CODE["none"]
    name = _BY_CURL.get(curl_error, "other")
    if curl_error == pycurl.E_RECV_ERROR and system_error == 0:
        name = "malformed"  # libcurl read the bytes and could make nothing of them
    if name in ("refused", "reset", "other"):
        name = BY_SYSTEM.get(system_error, name)
    return CODE[name]


class Aim(NamedTuple):
    """A route as libcurl is told of it."""

    url: str
    method: str
    headers: list[str]
    body: bytes | None
    plain: bool  # a GET with nothing of its own: only the address has to be set


class CurlTransport:
    """Requests through libcurl's multi interface; one handle a slot, connections kept.

    State: the handles under way, counted; when libcurl wants to be asked again, by the clock.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._aims = [_aim(settings["base"], route) for route in settings["routes"]]
        self._under_way = 0
        self._poller = best_poller()
        self._poller.watch(STDIN, 1)
        self._multi = pycurl.CurlMulti()
        self._socket_action = self._multi.socket_action
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_MAXCONNECTS, settings["connections"])

    def slot(self) -> Slot:
        slot = Slot(new_handle(self._settings))
        slot.handle.slot = slot  # from a finished handle back to its request
        # libcurl takes a connection that closes after the status line for a full answer. A deque
        # of one keeps the last line, and costs no Python frame for each.
        slot.header = deque(maxlen=1)
        slot.handle.setopt(pycurl.HEADERFUNCTION, slot.header.append)
        return slot

    def aim(self, slot: Slot, route: int) -> None:
        curl, aim = slot.handle, self._aims[route]
        curl.setopt(pycurl.URL, aim.url)
        if aim.plain and (slot.route < 0 or self._aims[slot.route].plain):
            return
        curl.setopt(pycurl.HTTPGET, 1)  # takes a method, a body and HEAD back
        curl.unsetopt(pycurl.CUSTOMREQUEST)
        curl.unsetopt(pycurl.HTTPHEADER)  # which an empty list would not do
        if aim.headers:
            curl.setopt(pycurl.HTTPHEADER, aim.headers)
        if aim.method == "HEAD":
            curl.setopt(pycurl.NOBODY, 1)
        elif aim.method != "GET" or aim.body is not None:
            curl.setopt(pycurl.POSTFIELDS, aim.body or b"")
            curl.setopt(pycurl.CUSTOMREQUEST, aim.method)

    def send(self, slot: Slot) -> Done:
        self._under_way += 1
        self._multi.add_handle(slot.handle)
        _, running = self._socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._ended() if running < self._under_way else ()

    def wait(self, now: float, until: float) -> Iterator[Done]:
        pause, libcurl_ms = until - now, self._multi.timeout()  # -1: no time-out is set
        libcurl_due = NEVER
        if libcurl_ms >= 0:
            libcurl_due = time.perf_counter() + libcurl_ms / 1000
            pause = min(pause, libcurl_ms / 1000)
        for fd, bits in self._poller.wait(pause if pause > SPIN else 0.0):
            if fd == STDIN:
                os._exit(1)  # the caller is gone: it says nothing more in its lifetime
            yield self._act(fd, bits)
        if libcurl_due != NEVER and time.perf_counter() >= libcurl_due:
            yield self._act(pycurl.SOCKET_TIMEOUT, 0)

    def outcome(self, slot: Slot, failure: int) -> Outcome:
        info = slot.handle.getinfo
        status, size = info(pycurl.RESPONSE_CODE), int(info(SIZE_DOWNLOAD))
        error = error_code(failure, info(pycurl.OS_ERRNO) if failure else 0, status)
        if not (error or size or _headers_ended(slot)):
            error = CUT_SHORT
        return (
            info(pycurl.CONNECT_TIME), info(pycurl.APPCONNECT_TIME),
            info(pycurl.STARTTRANSFER_TIME), min(size, MOST_BYTES),
            slot.route, status, error, min(info(pycurl.NUM_CONNECTS), 255),
        )  # fmt: skip

    def release(self, slot: Slot) -> None:
        self._multi.remove_handle(slot.handle)
        self._under_way -= 1

    def _act(self, fd: int, bits: int) -> Done:
        """Let libcurl work on a socket, and take what that has finished."""
        _, running = self._socket_action(fd, bits)
        return self._ended() if running < self._under_way else ()

    def _ended(self) -> Done:
        _, good, bad = self._multi.info_read(self._under_way)
        done = [(curl.slot, 0) for curl in good]
        if bad:
            done += [(curl.slot, code) for curl, code, _ in bad]
        return done

    def _on_socket(self, what: int, fd: int, multi: Any, data: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            self._poller.forget(fd)
        else:
            self._poller.watch(fd, what)  # POLL_IN 1, POLL_OUT 2, POLL_INOUT 3


def _headers_ended(slot: Slot) -> bool:
    """Whether the empty line has come that ends the headers."""
    return bool(slot.header) and slot.header[0] in (b"\r\n", b"\n")


def _aim(base: str, route: dict[str, Any]) -> Aim:
    method = route["method"]
    body = None if route["body"] is None else base64.b64decode(route["body"])
    headers = [_header(line) for line in route["headers"]]
    plain = method == "GET" and not headers and body is None
    if method not in ("GET", "HEAD") or body is not None:
        # libcurl adds what nobody asked for, unless it is told not to: a request for leave to
        # send the body, and that the body is a form.
        given = {line.partition(":")[0].lower() for line in route["headers"]}
        headers += [f"{name}:" for name in ("Expect", "Content-Type") if name.lower() not in given]
    return Aim(base + route["path"], method, headers, body, plain)


def _header(line: str) -> str:
    """A header as libcurl wants it: with a semicolon where there is no value."""
    name, _, value = line.partition(":")
    return line if value.strip() else f"{name};"


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
    if settings.get("authority"):
        curl.setopt(pycurl.CAINFO, settings["authority"])
    return curl
