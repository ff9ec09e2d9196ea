"""How honest and how sharp `compare` is: false alarms, power and time, replayed and live.

python tests/benchmarks/compare.py                 the table, replayed from the two traces
python tests/benchmarks/compare.py live            the same on this machine, now
python tests/benchmarks/compare.py record NAME     a new trace: quiet or busy
"""

import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

MEASURE = Path(__file__).parents[1] / "measure"
sys.path.insert(0, str(MEASURE))

from replay import Replay  # noqa: E402  # the tests' own helper, found by the line above

from perflab.measure.compare import Comparison, compare  # noqa: E402  # stands below the path

ENTRIES = 16_384
EFFECTS = (0.0, 0.02, 0.05, 0.10)
CLAIMS = ("faster", "slower")


def record(name: str) -> None:
    """Time ENTRIES consecutive calls of one function and keep what each took."""
    numbers = range(33_000)
    clock = time.perf_counter
    stamps = [clock()]
    for _ in range(ENTRIES):
        sum(numbers)
        stamps.append(clock())
    taken = np.diff(np.array(stamps)).astype(np.float32)
    np.save(MEASURE / f"{name}_trace.npy", taken)
    marks = np.percentile(taken, [5, 50, 95, 99, 100]) * 1e3
    print(f"{name}: {taken.sum():.0f} s; ms at 5, 50, 95, 99, 100 %:", *marks.round(3))


def replayed(trace: str, extra: float, seed: int, budget_s: float) -> tuple[Comparison, float]:
    """One comparison on the trace, from a place of its own; and the virtual seconds it took."""
    machine = Replay(trace, start=seed * 7919 % ENTRIES)
    variants = {"one": machine.variant(), "other": machine.variant(extra)}
    return compare(variants, budget_s, clock=machine, seed=seed), machine.now


def live(extra: float, seed: int, budget_s: float) -> tuple[Comparison, float]:
    """One comparison of real sums, here and now."""
    numbers, more = range(10_000), range(round(10_000 * (1 + extra)))
    begin = time.perf_counter()
    found = compare({"one": lambda: sum(numbers), "other": lambda: sum(more)}, budget_s, seed=seed)
    return found, time.perf_counter() - begin


def row(name: str, extra: float, results: list[tuple[Comparison, float]]) -> str:
    """One line of the table."""
    verdicts = Counter(found.other.verdict for found, _ in results)
    ratios = [found.other.ratio for found, _ in results]
    claims = sum(verdicts[claim] for claim in CLAIMS)
    width = np.median([found.other.high - found.other.low for found, _ in results])
    taken = np.median([seconds for _, seconds in results])
    return (
        f"{name:<6} +{extra:4.0%}  {claims:>4} of {len(results)} claim a difference  "
        f"same {verdicts['same']:>3}  inconclusive {verdicts['inconclusive']:>3}  "
        f"ratio {np.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})  "
        f"interval {width:.3f} wide  {taken:.2f} s"
    )


def main() -> None:
    """Print the table asked for."""
    command = sys.argv[1] if len(sys.argv) > 1 else "replay"
    if command == "record":
        record(sys.argv[2])
        return
    budget_s = 2.0
    for trace in ("live",) if command == "live" else ("quiet", "busy"):
        for extra in EFFECTS:
            results = [
                live(extra, seed, budget_s)
                if trace == "live"
                else replayed(trace, extra, seed, budget_s)
                for seed in range(20 if trace == "live" else 400)
            ]
            print(row(trace, extra, results), flush=True)


if __name__ == "__main__":
    main()
