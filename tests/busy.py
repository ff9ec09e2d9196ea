"""Keep every core and the disk busy in changing patterns: what «on a busy machine» means here.

    python tests/busy.py [SECONDS]

Runs until it is interrupted or the time is over. Its children end with it, even when it is killed
outright, and the file it writes has no name, so that nothing stays behind.
"""

import hashlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable

SEED = 1
BLOCK = os.urandom(1 << 20)


def steady(rng: random.Random, end: float) -> None:
    """Pure Python without a pause: holds the GIL and one core."""
    while time.monotonic() < end:
        sum(range(20_000))


def bursts(rng: random.Random, end: float) -> None:
    """Work and rest by turns of 1 to 40 ms: comes and goes like a neighbour's requests."""
    while time.monotonic() < end:
        stop = time.monotonic() + rng.uniform(0.001, 0.04)
        while time.monotonic() < stop:
            sum(range(2_000))
        time.sleep(rng.uniform(0.001, 0.04))


def hashing(rng: random.Random, end: float) -> None:
    """Long calls into C which release the GIL."""
    while time.monotonic() < end:
        hashlib.sha256(BLOCK).digest()


def churn(rng: random.Random, end: float) -> None:
    """Tens of megabytes asked for, touched and given back: page faults, caches swept."""
    while time.monotonic() < end:
        pages = bytearray(rng.randrange(8, 33) << 20)
        pages[::4096] = b"x" * len(pages[::4096])


def writing(rng: random.Random, end: float) -> None:
    """Writes and fsyncs a file without a name, never longer than 32 MB."""
    with tempfile.TemporaryFile() as file:
        while time.monotonic() < end:
            file.write(BLOCK[: rng.randrange(1 << 12, 1 << 20)])
            file.flush()
            os.fsync(file.fileno())
            if file.tell() > 32 << 20:
                file.seek(0)
                file.truncate()


CPU: tuple[Callable[[random.Random, float], None], ...] = (steady, bursts, hashing, churn)
DISK: tuple[Callable[[random.Random, float], None], ...] = (writing,)


def work(patterns: tuple[Callable[[random.Random, float], None], ...], seed: int) -> None:
    """One child: pattern after pattern, each up to a second, as long as the parent lives."""
    rng = random.Random(seed)
    parent = multiprocessing.parent_process()
    try:
        while parent is not None and parent.is_alive():
            rng.choice(patterns)(rng, time.monotonic() + rng.uniform(0.2, 1.0))
    except KeyboardInterrupt:
        pass  # the parent was interrupted and tells the rest


def main() -> None:
    """Start a child per core and one for the disk, and wait."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else float("inf")
    cores = os.cpu_count() or 1
    jobs = [(CPU, SEED + n) for n in range(cores)] + [(DISK, SEED + cores)]
    # Spawned, not forked: a fork would hold its siblings' pipes and so miss the parent's death.
    spawn = multiprocessing.get_context("spawn")
    children = [spawn.Process(target=work, args=job, daemon=True) for job in jobs]
    for child in children:
        child.start()
    names = ", ".join(pattern.__name__ for pattern in CPU)
    print(f"busy: {cores} children by turns {names}; one writing; seed {SEED}", flush=True)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(0.2, max(0.0, end - time.monotonic())))
    except KeyboardInterrupt:
        pass
    finally:
        for child in children:
            child.terminate()
            child.join()


if __name__ == "__main__":
    main()
