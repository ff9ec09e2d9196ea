"""What must hold of a comparison of two timings.

Under test is a function `ratio(a, b, clock)`: how many times as long `b()` takes as `a()`, by a
clock that is called to be read, in seconds. The machine here is a model on virtual time: a call
costs what it should, times the machine's slowness at that moment. A real machine drifts in the
same ways, only never twice alike: turbo, neighbours, caches that fill, a garbage collector.
"""

import math
from collections.abc import Callable

from perflab.contracts.core import Evidence, check
from perflab.measure.virtual import VirtualClock

Work = Callable[[], None]
Clock = Callable[[], float]
Ratio = Callable[[Work, Work, Clock], float]

DOUBLING = 100  # calls after which the drifting machine is twice as slow


class ModelMachine:
    """Its state: the virtual clock, and how many calls it has served so far."""

    def __init__(self, slowness: Callable[[int], float]) -> None:
        self.clock = VirtualClock()
        self.calls = 0
        self._slowness = slowness

    def work(self, cost: float) -> Work:
        def call() -> None:
            self.clock.advance(cost * self._slowness(self.calls))
            self.calls += 1

        return call


def steady(call: int) -> float:
    """Every call costs the same."""
    return 1.0


def drifting(call: int) -> float:
    """Each call is a little slower than the one before: twice as slow after a hundred."""
    return float(2 ** (call / DOUBLING))


def measured(ratio: Ratio, slowness: Callable[[int], float], true_ratio: float = 1.0) -> float:
    """What `ratio` says of two pieces of work whose true ratio is known, on a model machine."""
    machine = ModelMachine(slowness)
    return ratio(machine.work(1.0), machine.work(true_ratio), machine.clock)


def _near(value: float, true: float, allowed: float) -> Evidence:
    return Evidence(abs(value - true) <= allowed * true, f"says {value:.2f}×, true is {true:.2f}×")


@check("equal work on a steady machine is 1.00×", "Divide b's time by a's.")
def steady_machine(ratio: Ratio) -> Evidence:
    return _near(measured(ratio, steady), 1.0, 0.001)


@check(
    "half as fast is 2.00×, not 0.50×",
    "The ratio says how many times as long b takes as a: b's time goes on top.",
)
def direction(ratio: Ratio) -> Evidence:
    return _near(measured(ratio, steady, 2.0), 2.0, 0.001)


@check(
    "equal work stays 1.00× while the machine slows down",
    "All of a and then all of b puts the slow half of the run on b. Take turns.",
)
def drift(ratio: Ratio) -> Evidence:
    return _near(measured(ratio, drifting), 1.0, 0.01)


@check(
    "a true 1.50× stays 1.50× while the machine slows down",
    "Turns find a real difference too: the ratio of each pair, then the middle of the ratios.",
)
def drift_and_difference(ratio: Ratio) -> Evidence:
    return _near(measured(ratio, drifting, 1.5), 1.5, 0.02)


@check(
    "who goes first does not decide",
    "In every run the same one came out slower: on a machine that slows down, that is whoever goes "
    "second. Swap the order from turn to turn, so that each goes first equally often.",
)
def order(ratio: Ratio) -> Evidence:
    """Twelve runs on a machine that slows down fast: an order drawn at random may be off in one."""
    said = [measured(ratio, lambda call: float(1.05 ** min(call, 400))) for _ in range(12)]
    above, below = sum(one > 1.01 for one in said), sum(one < 0.99 for one in said)
    furthest = max(said, key=lambda one: abs(math.log(max(one, 1e-9))))
    fair = max(above, below) < len(said) and 0.9 < furthest < 1.1
    return Evidence(fair, f"b slower in {above} of 12 runs, furthest {furthest:.2f}×")


@check(
    "the slow first call (a cold cache) does not count",
    "The first call pays for what both use later. Call each once before the clock counts.",
)
def warm_up(ratio: Ratio) -> Evidence:
    return _near(measured(ratio, lambda call: 5000.0 if call == 0 else 1.0), 1.0, 0.01)


@check(
    "one stall in the middle does not decide",
    "A mean carries one stall of the machine into the result. Take the median of the pairs.",
)
def stall(ratio: Ratio) -> Evidence:
    return _near(measured(ratio, lambda call: 500.0 if call == 13 else 1.0), 1.0, 0.01)
