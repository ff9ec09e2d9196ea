"""How much several processes get done: what waits for others beside what computes.

    python -m perflab.experiments.waitcompute WHAT SECONDS

is one of them: it says «ready», waits for a line, and says how many pieces of 10 ms it has done.
"""

import subprocess
import sys
import time

from perflab.errors import require

PIECE = 0.010  # seconds of waiting, or of this process's CPU time


def wait() -> None:
    """Stands for a call to a remote party."""
    time.sleep(PIECE)


def compute() -> None:
    """Until this process has used that much more of a processor."""
    until = time.process_time() + PIECE
    while time.process_time() < until:
        pass


WORK = {"wait": wait, "compute": compute}


def done_by(workers: int, what: str, seconds: float = 0.5) -> float:
    """Pieces a second that so many processes get done at once; `what` is "wait" or "compute"."""
    require(what in WORK, "what", what, f"one of {', '.join(WORK)}")
    command = [sys.executable, "-P", "-m", "perflab.experiments.waitcompute", what, str(seconds)]
    crew = [
        subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(workers)
    ]
    for worker in crew:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in crew:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return sum(int(worker.communicate()[0]) for worker in crew) / seconds


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    end, pieces = time.perf_counter() + float(sys.argv[2]), 0
    while time.perf_counter() < end:
        WORK[sys.argv[1]]()
        pieces += 1
    print(pieces)
