"""Bursts: a server that answers when all are there, and counts connections."""

import asyncio

import pytest

from perflab.experiments.countedserver import CountedServer, in_bursts
from perflab.guide.httpclients import HTTPClientPool, new_http_client


def one(connect):
    client = new_http_client(connect)
    return lambda: client


def five(connect):
    return HTTPClientPool(5, connect).get


def fitting(connect):
    client = connect(idle=20)
    return lambda: client


@pytest.mark.parametrize(
    ("clients", "bursts", "alone"),
    [(one, [20, 30, 40], [1, 1, 1]), (five, [20, 20, 20], [1, 2, 3]), (fitting, [20] * 3, [1] * 3)],
)
def test_connections_are_what_the_limits_make_of_bursts(clients, bursts, alone):
    """A limit of 10 throws ten of twenty away; one user in turn opens one at each client."""
    together = asyncio.run(in_bursts(clients, burst=20, bursts=3, delay=0))
    assert together.connections.tolist() == bursts
    singly = asyncio.run(in_bursts(clients, burst=1, bursts=3, delay=0))
    assert singly.connections.tolist() == alone


def test_a_burst_is_answered_when_all_of_it_is_there():
    """Two of three requests wait; the third lets all go."""

    async def ask(server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server._port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"ok")
        writer.close()

    async def scene():
        async with CountedServer(3) as server, CountedServer(1) as other:
            waiting = [asyncio.create_task(ask(server)) for _ in range(2)]
            while server.requests < 2:
                await asyncio.sleep(0)
            for _ in range(5):  # time enough for an answer, had one been sent
                await ask(other)
            still = not any(task.done() for task in waiting)
            await asyncio.gather(ask(server), *waiting)
            return still, server.connections, server.most

    assert asyncio.run(scene()) == (True, 3, 3)


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, None, "x"])
def test_a_burst_is_a_number_of_requests(bad):
    """A bad argument is named at once."""
    with pytest.raises(ValueError, match="burst"):
        CountedServer(bad)
