"""What must hold where a pool is opened for each of several servers, or for one that fails.

Under test is what `perflab.contracts.connectionpool` tests, here its `open_all(connects,
**limits)`. Each server is a `Factory` that counts its connections.
"""

import threading
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.pools import SOON, Factory, Held, Thing
from perflab.contracts.threads import eventually


class Server(Factory):
    """Lets in who says a user and a password, as `connect(user=…, password=…)`; keeps who came."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.fails, self.users = fails, list[str]()

    def connect(self, user: str = "shop", password: str = "secret") -> Thing:
        self.users.append(user)
        if self.fails or (user, password) != ("shop", "secret"):
            raise ConnectionRefusedError("no such user" if not self.fails else "no server here")
        return self()


class Anyone(Server):
    """A server that asks for no user."""

    def connect(self, user: str = "shop", password: str = "secret") -> Thing:
        return super().connect()


@check(
    "every server is told user and password",
    "What is not handed on is empty, and the server refuses it: a configuration per shard has to "
    "hold all that a connection needs.",
)
def shards_open(make: Any) -> Evidence:
    servers = [Server(), Server()]
    try:
        pools = make.open_all([server.connect for server in servers], max_open=2)
    except ConnectionRefusedError:
        return Evidence(False, f"refused: user {servers[0].users[0]!r}")
    for pool in pools:
        pool.close()
    return Evidence(True, "both let it in")


@check(
    "the limits hold for every server",
    "Limits that are not handed on are none. Then a burst opens as many connections as there are "
    "callers, and none of them is kept.",
)
def shards_limited(make: Any) -> Evidence:
    servers = [Anyone(), Anyone()]
    pools = make.open_all([server.connect for server in servers], max_open=4, max_idle=4)
    for pool in pools:
        held = []
        for _ in range(8):
            try:
                held.append(Held(pool, 0.001))
            except TimeoutError:
                break
        for one in held:
            one.give()
        pool.close()
    most = max(server.most_open for server in servers)
    return Evidence(most == 4, f"{most} open at one server, at most 4 allowed")


@check(
    "where one server cannot be reached, no pool stays open",
    "Pools that were made before the error are nobody's: close each of them before you raise it.",
    may_hang=True,
)
def shards_failing(make: Any) -> Evidence:
    before, servers = threading.active_count(), [Anyone(), Anyone(), Server(fails=True)]
    try:
        make.open_all([server.connect for server in servers], max_open=2, max_idle=2)
    except ConnectionRefusedError:
        return _nothing_left(before, servers)
    return Evidence(False, "no error")


@check(
    "where the first connection fails, nothing stays behind",
    "The pool was there before it was tried: close it on the way out of the error, or each attempt "
    "leaves a thread that waits for ever.",
    may_hang=True,
)
def first_ping(make: Any) -> Evidence:
    before, servers = threading.active_count(), [Server(fails=True)]
    for _ in range(10):
        try:
            make.open_all([servers[0].connect], max_open=2)
        except ConnectionRefusedError:
            continue
        return Evidence(False, "no error")
    return _nothing_left(before, servers)


def _nothing_left(before: int, servers: list[Any]) -> Evidence:
    """No connection and no thread, some of which may still be on their way out."""
    eventually(lambda: threading.active_count() == before, SOON)
    connections, threads = sum(s.open for s in servers), threading.active_count() - before
    return Evidence(
        not connections and not threads, f"{connections} connections, {threads} threads left"
    )
