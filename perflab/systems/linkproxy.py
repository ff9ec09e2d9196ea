"""The slow link's own process: a proxy that delays, limits, counts, resets and half-closes.

Run as a script with the standard library alone:

    linkproxy.py FD CONTROL HOST PORT

FD listens for clients, HOST and PORT are the target, CONTROL is the path of a Unix socket on which
the owner asks; each line is JSON, answered by one line of JSON:

    {"set": {"bandwidth": bits a second or null, "delay": s, "jitter": s, "seed": n}} → {}
    {"counts": true}      → what Counts holds
    {"forget": true}      → {}, and the counts begin at 0
    {"reset": true}       → {"connections": n}: all open ones end with a RST
    {"half_close": true}  → {"connections": n}: no more is read from the target, the client sees
                            its end of the stream, and may go on sending

Both directions of the link are shared by all connections: what one sends, the others wait for.
"""

import asyncio
import json
import random
import selectors
import socket
import struct
import sys
from typing import Any

BUFFER = 256 * 1024  # bytes under way in one direction of a connection, before its sender waits
PACKET = 1448  # bytes of payload in a packet of Ethernet
PIECE_S = 0.001  # seconds of the link that one piece takes at most, where packets are not larger
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: close sends a RST


class Settings:
    """How the link is. Changed at any time; what is under way keeps its due time."""

    def __init__(self) -> None:
        self.bandwidth: float | None = None  # bits a second in each direction
        self.delay = 0.0  # seconds from one end to the other
        self.jitter = 0.0  # seconds at most on top, drawn for each piece
        self.seed = 1

    def piece(self) -> int:
        """Bytes that are sent as one."""
        if self.bandwidth is None:
            return 65536
        return min(max(PACKET, int(self.bandwidth / 8 * PIECE_S)), 65536)


class Counts:
    """What passed the link since the start or since it was told to forget."""

    def __init__(self) -> None:
        self.connections = 0  # accepted from clients
        self.refused = 0  # of them, those that the target did not take
        self.bytes_up = 0  # from clients to the target
        self.bytes_down = 0
        self.turns = 0  # changes of direction, summed over connections
        self.resets = 0  # connections that we ended with a RST


class Direction:
    """One way along the link. Its state: until when it is busy sending."""

    def __init__(self, link: "Link", name: str) -> None:
        self.link, self.name = link, name
        self.rng = random.Random(f"{link.settings.seed} {name}")
        self.busy_until = 0.0

    def due(self, size: int, ready: float) -> float:
        """When a piece that is there at `ready` has reached the other end."""
        settings = self.link.settings
        taken = 8 * size / settings.bandwidth if settings.bandwidth is not None else 0.0
        self.busy_until = max(self.busy_until, ready) + taken
        return self.busy_until + settings.delay + self.rng.random() * settings.jitter


class Link:
    """The whole proxy. Its state: settings, counts, both directions, open connections."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.settings, self.counts = Settings(), Counts()
        self.directions = self._directions()
        self.open: set[Connection] = set()

    def _directions(self) -> dict[str, Direction]:
        return {name: Direction(self, name) for name in ("up", "down")}

    def obey(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "set" in asked:
            vars(self.settings).update(asked["set"])
            self.directions = self._directions()
        elif "counts" in asked:
            return vars(self.counts)
        elif "forget" in asked:
            self.counts = Counts()
        elif "reset" in asked:
            return {"connections": sum(one.reset() for one in list(self.open))}
        elif "half_close" in asked:
            return {"connections": sum(one.half_close() for one in list(self.open))}
        return {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its connection to its end."""
        self.counts.connections += 1
        began = asyncio.get_running_loop().time()
        try:
            target = await asyncio.open_connection(*self.target)
        except OSError:
            self.counts.refused += 1
            abort(writer)
            return
        connection = Connection(self, (reader, writer), target, began)
        self.open.add(connection)
        try:
            await connection.run()
        finally:
            self.open.discard(connection)


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connection:
    """One client and its connection to the target.

    State: `opened`, when its handshake would have been over; `last`, the direction of the last
    piece; the tasks of its two directions.
    """

    def __init__(self, link: Link, client: Ends, target: Ends, began: float) -> None:
        self.link, self.client, self.target = link, client, target
        self.opened = began + 2 * link.settings.delay  # the round trip of SYN and SYN-ACK
        self.last = ""
        self.tasks: dict[str, asyncio.Task[None]] = {}
        for _, writer in (client, target):
            no_delay(writer)

    async def run(self) -> None:
        ends = {"up": (self.client[0], self.target[1]), "down": (self.target[0], self.client[1])}
        for name, (reader, writer) in ends.items():
            self.tasks[name] = asyncio.create_task(self.carry(name, reader, writer))
        try:
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        finally:
            for _, writer in (self.client, self.target):
                writer.close()

    async def carry(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Read pieces and hand them over when they are due, in order."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        room = Room(BUFFER)
        delivering = asyncio.create_task(self.deliver(under_way, writer, room))
        try:
            while True:
                data = await reader.read(self.link.settings.piece())
                under_way.put_nowait((self.due(name, len(data)), data))
                if not data:
                    break
                await room.take(len(data))
            await delivering
        except (OSError, asyncio.IncompleteReadError):
            self.reset()
        finally:
            delivering.cancel()

    def due(self, name: str, size: int) -> float:
        """When this piece arrives; and it is counted."""
        counts = self.link.counts
        if size and self.last not in ("", name):
            counts.turns += 1
        if size:
            self.last = name
        setattr(counts, f"bytes_{name}", getattr(counts, f"bytes_{name}") + size)
        ready = max(asyncio.get_running_loop().time(), self.opened)
        return self.link.directions[name].due(size, ready)

    async def deliver(
        self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter,
        room: "Room",
    ) -> None:  # fmt: skip
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await under_way.get()
            wait = due - clock()
            if wait > 0:
                await asyncio.sleep(wait)
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
            room.give(len(data))

    def reset(self) -> bool:
        """End it with a RST to both sides."""
        self.link.counts.resets += 1
        for task in self.tasks.values():
            task.cancel()
        for _, writer in (self.client, self.target):
            abort(writer)
        return True

    def half_close(self) -> bool:
        """The client reads the end of the stream; what it sends still arrives."""
        self.tasks["down"].cancel()
        writer = self.client[1]
        if writer.is_closing():
            return False
        writer.write_eof()
        return True


class Room:
    """How many bytes may still be under way; the one reader waits while there is no room."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.waiting: asyncio.Future[None] | None = None

    async def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            self.waiting = asyncio.get_running_loop().create_future()
            await self.waiting

    def give(self, size: int) -> None:
        self.left += size
        if self.left >= 0 and self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)


def no_delay(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def abort(writer: asyncio.StreamWriter) -> None:
    """Close with a RST: the other side learns at once that nothing more will come."""
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def main(fd: str, control: str, host: str, port: str) -> None:
    link = Link(host, int(port))

    async def controlled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(link.obey(json.loads(line))).encode() + b"\n")
        writer.close()

    controls = await asyncio.start_unix_server(controlled, control)
    clients = await asyncio.start_server(link.serve, sock=socket.socket(fileno=int(fd)))
    async with controls, clients:
        await asyncio.gather(controls.serve_forever(), clients.serve_forever())


if __name__ == "__main__":
    # select, for its time-outs are exact to the microsecond; epoll's are rounded up to milliseconds
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main(*sys.argv[1:]))
