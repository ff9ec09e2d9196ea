"""Chapter 6, exercise 4: a benchmark whose work gave the lock back by luck, and the real jobs."""

import hashlib
import json
import re
import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from perflab.book.exercises.judging import Answer, Judgement, accused_twice, dealt
from perflab.experiments import jobs
from perflab.experiments.workercounts import runs, threads

Job = Callable[[], object]
KEEPS = {
    "hashes short messages": "hashlib gives the lock back for blocks of 2 kB and more alone",
    "writes JSON": "json.dumps is one call in C, from beginning to end",
    "sorts a list": "sorted is one call in C, from beginning to end",
    "looks for a pattern": "a regular expression that backtracks is one long call in C",
}
GIVES = ("hashes a long message", "loops in Python", "sorts an array", "waits")


def _hash_short() -> None:
    update = hashlib.sha256().update
    deque(map(update, [b"x" * 300] * 100_000), maxlen=0)  # a loop in C


def _loop() -> int:
    total = 0
    for number in range(4_000_000):
        total += number
    return total


def _by_name() -> dict[str, Job]:
    rng = np.random.default_rng(3)
    numbers = rng.random(800_000)
    some = numbers[:300_000].tolist()
    block = rng.bytes(30_000_000)
    rows = [{"id": number, "name": f"order {number}"} for number in range(60_000)]
    pattern = re.compile("(a+)+b")
    return {
        "hashes short messages": _hash_short,
        "writes JSON": lambda: json.dumps(rows),
        "sorts a list": lambda: sorted(some),
        "looks for a pattern": lambda: pattern.match("a" * 21),
        "hashes a long message": lambda: hashlib.sha256(block).digest(),
        "loops in Python": _loop,
        "sorts an array": lambda: np.sort(numbers),
        "waits": lambda: threading.Event().wait(0.05),
    }


def the_jobs(seed: int | None = None) -> dict[str, Job]:
    """The eight jobs, under letters that the seed deals out."""
    functions = _by_name()
    return {letter: functions[name] for letter, name in dealt(sorted(functions), seed).items()}


def lucky(workers: int) -> float:
    """The team's benchmark: jobs a second with so many threads."""
    (run,) = runs(threads, jobs.hashes, 48, [workers])
    return run.rate


def hopeless(answer: Answer) -> Judgement:
    wrong = accused_twice(lambda seed: answer(the_jobs(seed)), (*KEEPS, *GIVES), KEEPS, "job", _why)
    return wrong or Judgement("right", "All four found, and nobody innocent accused.")


def _why(name: str, letter: str) -> str:
    if name in KEEPS:
        return (
            f"«{name}» got away: {KEEPS[name]}. It keeps the lock. Let a second thread tick beside "
            "it, and count the ticks in the first half of the call."
        )
    if name == "loops in Python":
        return (
            f"«{name}» gives the lock away when it has been asked for it for 5 ms: others get "
            "their turns, and are not kept silent from beginning to end. Let a second thread tick: "
            "its longest silence is a small part of the call."
        )
    return (
        f"«{name}» lets others run beside it. That a job computes, or that it is written in C, "
        "tells nothing of the lock: let a second thread tick, and take the best of several calls."
    )
