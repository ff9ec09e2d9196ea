"""What must hold of a tier when threads meet in it, and what a tier is; part of `tiers.py`."""

import itertools
import threading
from collections.abc import Callable
from typing import Protocol

from perflab.contracts.core import Evidence, check
from perflab.contracts.threads import Running, at_once
from perflab.measure.virtual import VirtualClock


class Tier(Protocol):
    """What is asked of a tier."""

    def entry(self, key: str) -> tuple[bytes, float] | None: ...
    def set(self, key: str, value: bytes, ttl: float) -> None: ...
    def delete(self, key: str) -> object: ...


Make = Callable[..., Tier]


def new_tier(make: Make, max_entries: int = 1_000, ttl: float = 60.0) -> tuple[Tier, VirtualClock]:
    """An empty tier, and the clock that it lives by."""
    clock = getattr(make, "clock", VirtualClock)()
    return make(max_entries=max_entries, ttl=ttl, clock=clock), clock


def value_of(tier: Tier, key: str) -> bytes | None:
    """The value alone."""
    entry = tier.entry(key)
    return None if entry is None else bytes(entry[0])


@check(
    "threads at once: nothing lost, nothing wrong, the bound held",
    "Finding, moving and evicting are several steps: another thread comes between. What was "
    "evicted in between is a miss, not an error.",
)
def threads(make: Make) -> Evidence:
    tier, _ = new_tier(make, max_entries=8)

    def use(number: int) -> int:
        wrong = 0
        for turn in range(300):
            key = str((turn * (number + 1)) % 16)
            tier.set(key, key.encode(), 60)
            wrong += value_of(tier, str(turn % 16)) not in (None, str(turn % 16).encode())
        return wrong

    wrong = sum(thread.result() for thread in at_once(4, use))
    held = sum(tier.entry(str(number)) is not None for number in range(16))
    return Evidence(wrong == 0 and held == 8, f"{wrong} wrong values, {held} of 8 held")


class Interrupting(VirtualClock):
    """A clock that lets something happen whenever the time is read."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def __call__(self) -> float:
        self.meanwhile()
        return self.now


@check(
    "an entry evicted between finding and moving it is a miss",
    "Without a lock an entry can go between two steps of a hit. Expect that moving it fails.",
)
def evicted(make: Make) -> Evidence:
    """What reads the clock in the middle of a hit is interrupted there by other keys."""
    clock = Interrupting()
    tier = make(max_entries=2, ttl=60.0, clock=clock)
    tier.set("a", b"x", 60)

    def meanwhile() -> None:
        clock.meanwhile = lambda: None
        for key in "bc":
            tier.set(key, b"y", 60)

    clock.meanwhile = meanwhile
    first, then = value_of(tier, "a"), value_of(tier, "a")
    right = first in (b"x", None) and then is None
    return Evidence(right, f"during it {first!r}, after it {then!r}")


class Named(str):
    """A key whose comparison is Python code, in which other threads get their turn."""

    meet: Callable[[], None] = staticmethod(lambda: None)

    def __hash__(self) -> int:
        return 1  # so that they are compared

    def __eq__(self, other: object) -> bool:
        self.meet()
        return str(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other


@check(
    "a key compared by Python code may be interrupted there",
    "While keys are compared another thread may change what is being searched. Take a lock for "
    "keys that are not of a plain type, or copy them into one.",
    may_hang=True,
)
def compared(make: Make) -> Evidence:
    """At the first, second, … comparison in a lookup another thread replaces all the entries."""
    rounds = [_replaced_at(make, moment) for moment in range(1, 9)]
    right = sum(rounds)
    return Evidence(right == len(rounds), f"right in {right} of {len(rounds)} moments")


def _replaced_at(make: Make, moment: int) -> bool:
    tier, _ = new_tier(make, max_entries=4)
    for number in range(4):
        tier.set(Named(number), str(number).encode(), 60)
    reader, comparisons, inside, done = (
        threading.current_thread(),
        itertools.count(1),
        threading.Event(),
        threading.Event(),
    )

    def meet() -> None:
        if threading.current_thread() is reader and next(comparisons) == moment:
            inside.set()
            done.wait(0.01)  # in vain where the reader holds a lock: that is right, too

    def replace() -> None:
        inside.wait()
        for number in range(40):
            tier.set(Named(f"other {number}"), b"x", 60)
        done.set()

    writer = Running(replace)
    Named.meet = staticmethod(meet)
    found = value_of(tier, Named(3))
    inside.set()
    writer.result()
    held = sum(tier.entry(Named(f"other {number}")) is not None for number in range(40))
    return found in (None, b"3") and held == 4
