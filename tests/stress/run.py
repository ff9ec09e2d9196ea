"""Hammer every pattern with many threads, then ten million operations each without growth.

    python tests/stress/run.py [PART …] [--seconds 60] [--threads 32] [--operations 10000000]

A part is a module of this folder with `stress(seconds, threads, seed)`, which asserts what must
always hold, and `growth(operations)`; each returns one line of what was done. A thread left behind
is a violation too, and so is a wait without end: where a part takes far longer than its time, the
threads' stacks are shown and the run ends.
"""

import argparse
import faulthandler
import importlib
import pkgutil
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

PATIENCE = 300.0  # seconds beyond its own time after which a part hangs
ENDING = 5.0  # seconds that a thread has to end after its part has returned


def parts() -> list[str]:
    """Names of the modules that stress a pattern."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return [one.name for one in found if one.name != "run"]


def module(part: str) -> ModuleType:
    return importlib.import_module(f"tests.stress.{part}")


def nothing_left(work: Callable[[], str]) -> str:
    """What `work` returns; AssertionError where a thread that it started lives on."""
    before = set(threading.enumerate())
    said = work()
    end = time.monotonic() + ENDING
    while left := [thread for thread in threading.enumerate() if thread not in before]:
        assert time.monotonic() < end, f"threads left: {[thread.name for thread in left]}"
        time.sleep(0.01)
    return said


def held(name: str, work: Callable[[], str], seconds: float) -> bool:
    """Do it and print one line; false where something was violated."""
    faulthandler.dump_traceback_later(seconds + PATIENCE, exit=True, file=sys.__stderr__)
    began = time.monotonic()
    try:
        said, right = nothing_left(work), True
    except Exception:  # an AssertionError is a violation, and so is whatever else comes out
        said, right = traceback.format_exc(), False
    faulthandler.cancel_dump_traceback_later()
    word = "held" if right else "VIOLATED"
    print(f"{name:24} {word:8} {time.monotonic() - began:5.0f} s  {said}", flush=True)
    return right


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(parts())}")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--operations", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(parts()):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    print(f"{asked.threads} threads for {asked.seconds:g} s each, --seed {asked.seed}", flush=True)
    violated = 0
    for part in asked.parts or parts():
        stress, growth = module(part).stress, module(part).growth
        hammer = (stress, asked.seconds, asked.threads, asked.seed)
        violated += not held(part, lambda call=hammer: call[0](*call[1:]), asked.seconds)
        long = asked.operations * 100e-6  # nothing takes longer an operation
        violated += not held(f"{part}, growth", lambda g=growth: g(asked.operations), long)
    print(f"{violated} violations" if violated != 1 else "1 violation")
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
