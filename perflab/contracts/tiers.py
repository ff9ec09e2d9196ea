"""What must hold of a tier: one place that keeps values, in memory, on a server or in a table.

Under test is `make(max_entries=…, ttl=…, clock=…)`, which makes an empty tier: MemoryTier itself,
or a function that clears a server and wraps a client. A tier has `entry(key)`, which returns the
value and its remaining seconds, or None; `set(key, value, ttl)`; and `delete(key)`. Keys are text
and values bytes. Where the tier lives by a clock of its own, `make.clock()` is one to wait with.
"""

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts import tierthreads
from perflab.contracts.parts.tierthreads import Make, Tier, new_tier, value_of


def _remaining(tier: Tier, key: str) -> float:
    entry = tier.entry(key)
    return 0.0 if entry is None else entry[1]


@check(
    "what was set is found, byte for byte, and nothing else is",
    "Look at what becomes of an empty value, of a zero byte, and of a key that was never set: the "
    "first two are values, the third is None.",
)
def keeps(make: Make) -> Evidence:
    tier, _ = new_tier(make)
    values = {"a": b"", "b": b"\x00\xff", "c": b"null", "ü €": b"x" * 10_000}
    for key, value in values.items():
        tier.set(key, value, 60)
    right = sum(value_of(tier, key) == value for key, value in values.items())
    absent = tier.entry("d") is None and tier.entry("") is None
    return Evidence(right == len(values) and absent, f"{right} of {len(values)} values found")


@check(
    "an entry says how long it has left",
    "Whoever copies it elsewhere must not give it a new life: return the seconds until it expires "
    "beside the value.",
)
def remaining(make: Make) -> Evidence:
    tier, clock = new_tier(make)
    tier.set("a", b"1", 10)
    clock.advance(4)
    left = _remaining(tier, "a")
    return Evidence(5.5 <= left <= 6.1, f"{left:.1f} s left, true is 6.0")


@check(
    "an entry expires after its TTL, and not before",
    "Compare the clock with the moment of expiry at every lookup.",
)
def expires(make: Make) -> Evidence:
    tier, clock = new_tier(make)
    tier.set("a", b"1", 10)
    tier.set("b", b"1", 10)
    clock.advance(9)
    before = value_of(tier, "a")
    clock.advance(1.1)
    after = value_of(tier, "b")
    return Evidence(
        before == b"1" and after is None, f"found after 9 s: {before!r}, 10.1 s: {after!r}"
    )


@check(
    "a hit does not prolong the TTL",
    "A value that is asked for all the time would never be asked of its source again. Set the "
    "expiry when the value is set, and only there.",
)
def hit(make: Make) -> Evidence:
    tier, clock = new_tier(make)
    tier.set("a", b"1", 10)
    seconds = 0
    while tier.entry("a") is not None and seconds < 30:
        clock.advance(1)
        seconds += 1
    return Evidence(seconds <= 11, f"asked each second, there for {seconds} s of 10")


@check(
    "the tier's own TTL is the longest",
    "`ttl` of the call and `ttl` of the tier: the shorter one counts.",
)
def longest(make: Make) -> Evidence:
    tier, clock = new_tier(make, ttl=5)
    tier.set("a", b"1", 60)
    left = _remaining(tier, "a")
    clock.advance(5.1)
    return Evidence(left <= 5 and tier.entry("a") is None, f"{left:.1f} s left, 5.0 allowed")


@check(
    "setting a key again replaces its value and its TTL",
    "The new value lives for the new TTL, be it longer or shorter than what the old one had left.",
)
def again(make: Make) -> Evidence:
    tier, clock = new_tier(make)
    tier.set("a", b"old", 10)
    tier.set("b", b"old", 10)
    tier.set("a", b"new", 20)
    tier.set("b", b"new", 5)
    clock.advance(10.1)
    found = value_of(tier, "a"), value_of(tier, "b")
    return Evidence(found == (b"new", None), f"after 10.1 s: {found[0]!r}, {found[1]!r}")


@check(
    "what was deleted is gone; deleting what is not there is no error",
    "An invalidation comes for keys that were never cached, too.",
)
def deletes(make: Make) -> Evidence:
    tier, _ = new_tier(make)
    tier.set("a", b"1", 60)
    tier.set("b", b"2", 60)
    tier.delete("a")
    tier.delete("a")
    tier.delete("never set")
    found = value_of(tier, "a"), value_of(tier, "b")
    return Evidence(found == (None, b"2"), f"deleted: {found[0]!r}, other: {found[1]!r}")


@check(
    "it holds at most max_entries",
    "Each set that adds a key beyond the bound takes another away.",
)
def bounded(make: Make) -> Evidence:
    tier, _ = new_tier(make, max_entries=50)
    for number in range(500):
        tier.set(str(number), b"x", 60)
        tier.set(str(number), b"y", 60)  # not a further entry
    held = sum(tier.entry(str(number)) is not None for number in range(500))
    return Evidence(held == 50, f"{held} of 50 held after 500 keys")


@check(
    "the entry least recently used goes first, and a hit is a use",
    "A hit moves the entry to the young end; what is dropped comes from the old end.",
)
def lru(make: Make) -> Evidence:
    tier, _ = new_tier(make, max_entries=3)
    for key in "abc":
        tier.set(key, b"x", 60)
    tier.entry("a")
    tier.set("b", b"y", 60)
    tier.set("d", b"x", 60)
    held = "".join(key for key in "abcd" if tier.entry(key) is not None)
    return Evidence(held == "abd", f"holds {held}, c was used last")


threads, evicted = tierthreads.threads, tierthreads.evicted
compared = tierthreads.compared
