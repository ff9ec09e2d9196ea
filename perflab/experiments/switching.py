"""Threads and tasks that wait: what each keeps, and what it takes to hand a turn over."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import psutil


def bytes_of_a_thread(count: int = 500) -> float:
    """Resident bytes for each of so many threads that wait."""
    gate, here = threading.Event(), psutil.Process()
    before = here.memory_info().rss
    threads = [threading.Thread(target=gate.wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    held = here.memory_info().rss - before
    gate.set()
    for thread in threads:
        thread.join()
    return float(held) / count


def bytes_of_a_task(count: int = 5_000) -> float:
    """Resident bytes for each of so many tasks that wait."""

    async def main() -> float:
        gate, here = asyncio.Event(), psutil.Process()
        before = here.memory_info().rss
        tasks = [asyncio.create_task(gate.wait()) for _ in range(count)]
        await asyncio.sleep(0)  # all have begun
        held = here.memory_info().rss - before
        gate.set()
        await asyncio.gather(*tasks)
        return float(held) / count

    return asyncio.run(main())


# ── A turn is handed over to the other side and comes back, so many times


def between_threads(rounds: int = 500) -> None:
    """By two locks."""
    ping, pong = threading.Lock(), threading.Lock()
    ping.acquire()
    pong.acquire()

    def other() -> None:
        for _ in range(rounds):
            ping.acquire()
            pong.release()

    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(rounds):
        ping.release()
        pong.acquire()
    thread.join()


def between_tasks(rounds: int = 500) -> None:
    """By two events, in a loop of their own."""

    async def main() -> None:
        ping, pong = asyncio.Event(), asyncio.Event()

        async def other() -> None:
            for _ in range(rounds):
                await ping.wait()
                ping.clear()
                pong.set()

        task = asyncio.create_task(other())
        for _ in range(rounds):
            ping.set()
            await pong.wait()
            pong.clear()
        await task

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))  # a notebook has a
    thread.start()  # loop in this thread already
    thread.join()
    loop.close()


def between_generators(rounds: int = 500) -> None:
    """By `next`, without anybody who decides whose turn it is."""

    def endless() -> Iterator[None]:
        while True:
            yield

    other = endless()
    for _ in range(rounds):
        next(other)


def between_processes(rounds: int = 500) -> None:
    """By a byte in a pipe; the other side is a fork that does nothing else."""
    to_read, to_write = os.pipe()
    back_read, back_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for _ in range(rounds):
                os.write(back_write, os.read(to_read, 1))
        finally:
            os._exit(0)
    for _ in range(rounds):
        os.write(to_write, b"x")
        os.read(back_read, 1)
    os.waitpid(child, 0)
    for end in (to_read, to_write, back_read, back_write):
        os.close(end)


def calls_each(hand_over: Callable[[int], None], rounds: int = 200) -> float:
    """Function calls, of Python's and C's functions, for one hand-over of a turn."""
    once, twice = _calls(hand_over, rounds), _calls(hand_over, 2 * rounds)
    return (twice - once) / (2 * rounds)  # there and back; what happens once falls out


def _calls(hand_over: Callable[[int], None], rounds: int) -> int:
    count = 0

    def seen(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    threading.setprofile(seen)
    sys.setprofile(seen)
    try:
        hand_over(rounds)
    finally:
        sys.setprofile(before)
        threading.setprofile(before)
    return count
