"""Requests over bare sockets, to http:// alone: a fraction of libcurl's CPU time for each.

What libcurl does with such requests is done here too, and what goes wrong has the same names.
Most answers come in one piece, behind headers that came before (the date changes once a second):
a table of headers and what they mean stands in for a parser. The rest is httpwire.Answer's.
"""

import errno
import os
import socket
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from perflab.systems.loadgen.connection import STATUS, Connection, Heads, addresses
from perflab.systems.loadgen.httpwire import Answer, MalformedError, TooLargeError, request_bytes
from perflab.systems.loadgen.poller import IN, OUT, SPIN, STDIN, best_poller
from perflab.systems.loadgen.transport import BY_SYSTEM, CODE, Done, Outcome, Slot

NEVER = float("inf")
AT_ONCE = 65_536  # bytes read from a socket
HEADS, LONGEST_HEAD = 1024, 2048  # how many headers are remembered, and of what length
TICK = 0.001  # seconds between two searches for requests that take too long


class SocketTransport:
    """One connection a slot, opened when it is needed and kept while the server keeps it.

    State: the connections, all and by descriptor; headers that came with what they mean (length,
    status, error); the address that answered last; when to search next for requests that take
    too long.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        base = settings["base"]
        self._addresses, self._good = addresses(base), 0
        self._timeout: float = settings["timeout"]
        self._most: int = settings["max_bytes"]
        self._all: list[Connection] = []
        self._by_fd: dict[int, Connection] = {}
        self._heads: Heads = {}
        self._routes: list[tuple[bytes, bool, Heads]] = []
        for route in settings["routes"]:
            is_head = route["method"] == "HEAD"  # where the same headers mean something else
            heads = {} if is_head else self._heads
            self._routes.append((request_bytes(base, route), is_head, heads))
        self._next_search = -NEVER
        self._poller = best_poller()
        self._poller.watch(STDIN, IN)

    def slot(self) -> Slot:
        self._all.append(Connection())
        return self._all[-1].slot

    def aim(self, slot: Slot, route: int) -> None:
        connection: Connection = slot.handle
        connection.request, connection.is_head, connection.heads = self._routes[route]

    def send(self, slot: Slot) -> Done:
        connection: Connection = slot.handle
        connection.busy = True
        connection.began = perf_counter()
        if connection.sock is None:
            connection.address, connection.tries = self._good, 1
            return self._open(connection)
        request = connection.request
        try:
            sent = connection.send(request)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            return self._broken(connection, error.errno or 0)
        if sent < len(request):
            connection.unsent = memoryview(request)[sent:]
            self._poller.watch(connection.sock.fileno(), IN | OUT)
        return ()

    def wait(self, now: float, until: float) -> Iterator[Done]:
        if now >= self._next_search:
            yield self._give_up(now)
        pause = min(until, self._next_search) - now
        by_fd, receive = self._by_fd.get, self._receive
        for fd, bits in self._poller.wait(pause if pause > SPIN else 0.0):
            connection = by_fd(fd)
            if connection is None:
                if fd == STDIN:
                    os._exit(1)  # the caller is gone: it says nothing more in its lifetime
            elif connection.unsent:
                yield self._send_and_receive(connection, bits)
            else:
                yield receive(connection)

    def outcome(self, slot: Slot, failure: int) -> Outcome:
        outcome: Outcome = slot.handle.outcome
        return outcome

    def release(self, slot: Slot) -> None:
        """The connection stays where it is."""

    def _receive(self, connection: Connection) -> Done:
        try:
            data = connection.recv(AT_ONCE)
        except BlockingIOError:
            return ()  # of a socket that had this number before
        except OSError as error:
            return self._broken(connection, error.errno or 0)
        now = perf_counter()
        if connection.busy and connection.answer is None and not connection.unsent:
            end = data.find(b"\r\n\r\n") + 4
            known = connection.heads.get(data[:end])
            if known is not None and known[0] == len(data) - end:
                length, status, error_code = known
                connection.outcome = (
                    connection.connect, 0.0, now - connection.began, length,
                    connection.slot.route, status, error_code, connection.opened,
                )  # fmt: skip
                connection.busy = False
                connection.connect, connection.opened = 0.0, 0
                return connection.done
        return self._take_piece(connection, data, now)

    def _take_piece(self, connection: Connection, data: bytes, now: float) -> Done:
        """What is no complete answer behind headers that are known."""
        if not connection.busy:
            self._close(connection)  # closed, or said what nobody asked for
            return ()
        if not data:
            return self._hung_up(connection)
        answer = connection.answer
        if answer is None:
            answer = connection.answer = Answer(self._most, connection.is_head)
            connection.first_byte = now - connection.began
        try:
            ended = answer.feed(data)
        except MalformedError:
            return self._end(connection, CODE["malformed"])
        except TooLargeError:
            return self._end(connection, CODE["too large"])
        if not ended:
            return ()
        self._remember(connection, answer)
        return self._end(connection, 0)

    def _remember(self, connection: Connection, answer: Answer) -> None:
        """Note what the headers meant, if they can mean nothing else next time."""
        head, raw = answer.head, answer.raw
        if head is None or not head.keep or head.length < 0 or len(raw) > LONGEST_HEAD:
            return
        if raw.find(b"\r\n\r\n") + 4 == len(raw) and not connection.is_head:
            if len(self._heads) >= HEADS:
                self._heads.clear()
            error = STATUS if head.status >= 400 else 0
            self._heads[raw] = (head.length, head.status, error)

    def _send_and_receive(self, connection: Connection, bits: int) -> Done:
        """Where the request is not out yet: an answer may come before the end of its body."""
        done: Done = ()
        if bits & IN and connection.stands:
            done = self._receive(connection)
        return done or (self._push(connection) if connection.unsent else ())

    def _open(self, connection: Connection) -> Done:
        """Begin a connection, and send as much as it takes at once: all, on this machine."""
        connection.opened, connection.unsent, connection.stands = 1, connection.request, False
        family, address = self._addresses[connection.address]
        try:
            sock = connection.sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            return self._broken(connection, error.errno or 0)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send, connection.recv = sock.send, sock.recv
        self._by_fd[sock.fileno()] = connection
        number = sock.connect_ex(address)
        if number not in (0, errno.EINPROGRESS):
            return self._broken(connection, number)
        return self._push(connection)

    def _push(self, connection: Connection) -> Done:
        """Send what the connection takes of the rest, if it stands by now."""
        sock, sent = connection.sock, 0
        assert sock is not None
        now = perf_counter()
        if not connection.stands and (
            number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        ):
            return self._broken(connection, number)
        try:
            sent = connection.send(connection.unsent)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, *(() if connection.stands else (errno.ENOTCONN,))):
                return self._broken(connection, error.errno or 0)
        else:
            if not connection.stands:
                connection.stands, connection.connect = True, now - connection.began
                self._good = connection.address
        connection.unsent = memoryview(connection.unsent)[sent:]
        self._poller.watch(sock.fileno(), IN | OUT if connection.unsent else IN)
        return ()

    def _hung_up(self, connection: Connection) -> Done:
        if connection.answer is not None:
            complete = connection.answer.ends_by_close()
            return self._end(connection, 0 if complete else CODE["cut short"])
        if connection.opened:
            return self._end(connection, CODE["no answer"])
        return self._again(connection)

    def _broken(self, connection: Connection, number: int) -> Done:
        if not connection.busy:
            self._close(connection)
            return ()
        if not connection.opened and connection.answer is None:
            return self._again(connection)
        if not connection.stands and connection.tries < len(self._addresses):
            connection.tries += 1
            connection.address = (connection.address + 1) % len(self._addresses)
            return self._again(connection)
        otherwise = "reset" if connection.stands else "refused"
        return self._end(connection, CODE[BY_SYSTEM.get(number, otherwise)])

    def _again(self, connection: Connection) -> Done:
        """Once more on a fresh connection: a kept one may close as the request is under way."""
        self._close(connection)
        return self._open(connection)

    def _close(self, connection: Connection) -> None:
        if connection.sock is not None:
            self._poller.forget(connection.sock.fileno())
            self._by_fd.pop(connection.sock.fileno(), None)
            connection.sock.close()
            connection.sock = None

    def _end(self, connection: Connection, failure: int) -> Done:
        if not connection.end(failure):
            self._close(connection)
        return connection.done

    def _give_up(self, now: float) -> Done:
        """End what takes too long. All are looked at, but only when the oldest may be due."""
        busy = [connection for connection in self._all if connection.busy]
        began = now - self._timeout
        late = [one for one in busy if one.slot.start <= began]
        oldest = min((one.slot.start for one in busy if one.slot.start > began), default=now)
        self._next_search = max(oldest + self._timeout, now + TICK)
        return [done for one in late for done in self._end(one, CODE["timeout"])]
