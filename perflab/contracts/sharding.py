"""What must hold of a database cut into shards.

Under test is a function `make(shards, new_database)`, a class for instance. `shards` is a list of
`Shard`; `new_database` opens one database, called with anything that has a shard's attributes. What
is made has `get_shard(key)`, which returns the opened database that keeps the key, and
`add_shard(shard)`, by which one joins. `over` makes one of a router.

A check knows the keys, so what moves and how full a shard is are counts, not estimates.
"""

import builtins
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.shards import (
    Databases,
    Make,
    Shard,
    found,
    listed,
    made,
    over,
    share_moved,
)
from perflab.contracts.parts.stepping import look_at_each_instruction, switch_at_each_instruction

__all__ = ["over"]  # the rest are checks

KEYS = [f"user:{number}" for number in range(50_000)]
FEW = KEYS[:5_000]
MIXED = {"light": 1, "heavy": 3}  # weights
PATIENCE = 1.0  # seconds for a lookup that should wait for nothing, on a machine that may be busy


@check(
    "each shard is opened with its user, its password and its limits",
    "A database opened without them is refused, or opens connections without a limit. Hand on all "
    "that the configuration says.",
)
def opened(make: Make) -> Evidence:
    databases, names = Databases(), ("user", "password", "max_open_conns", "max_idle_conns")
    make(listed(3), databases.new_database)
    wanted = [getattr(Shard(""), name) for name in names]
    whole = [wanted == [getattr(one, name, None) for name in names] for one in databases.asked]
    return Evidence(len(whole) == 3 and all(whole), f"{sum(whole)} of {len(whole)}")


@check(
    "if one shard does not open, none of the others stays open",
    "An error in the middle leaves the function, and with it everything opened before is out of "
    "reach. Close what is open, then raise.",
)
def all_or_none(make: Make) -> Evidence:
    databases = Databases(down="shard-2")
    try:
        make(listed(4), databases.new_database)
    except ConnectionRefusedError:
        left = len(databases.open)
        return Evidence(left == 0, f"{left} stay open")
    return Evidence(False, "the error is not raised")


@check(
    "no shards, or a weight of 0, is refused when it is made",
    "A list without shards is a mistake of the configuration. Say so where it is made: the first "
    "lookup, which divides by zero, comes much later and elsewhere.",
)
def refused(make: Make) -> Evidence:
    accepted = 0
    for shards in ([], [Shard("a", weight=0), Shard("b")]):
        try:
            made(make, shards)
        except Exception:
            continue
        accepted += 1
    return Evidence(accepted == 0, f"accepts {accepted} of 2")


@check(
    "another process, with another seed of hash(), finds the same shards",
    "Python seeds hash() of strings anew in every process: a key written by one is looked for "
    "elsewhere by the next. Use a hash that is defined by bytes, such as zlib.crc32 or hashlib.",
    may_hang=True,  # it replaces hash() for everybody, so it does that in a child process
)
def processes(make: Make) -> Evidence:
    before = found(made(make, listed(5)), FEW)
    true_hash = builtins.hash
    try:
        builtins.hash = lambda thing: true_hash(("another seed", thing))
        moved = share_moved(before, found(made(make, listed(5)), FEW))
    finally:
        builtins.hash = true_hash
    return Evidence(moved == 0, f"{moved:.0f} % are elsewhere")


@check(
    "the order in which the shards are listed decides nothing",
    "Two services list the same shards in another order, and each finds keys elsewhere. Let the "
    "name of a shard decide, not its number in a list.",
)
def order(make: Make) -> Evidence:
    shards = listed(5)
    before, after = (found(made(make, one), FEW) for one in (shards, shards[::-1]))
    moved = share_moved(before, after)
    return Evidence(moved == 0, f"{moved:.0f} % are elsewhere")


@check(
    "of 16 shards the fullest holds at most 1.10 times the mean",
    "One point a shard on a ring leaves arcs of very different length. Hundreds of points each "
    "even them out: the spread falls with the square root of their number.",
)
def balance(make: Make) -> Evidence:
    held = Counter(found(made(make, listed(16)), KEYS))
    fullest = max(held.values()) * 16 / len(KEYS)
    return Evidence(len(held) == 16 and fullest <= 1.10, f"{fullest:.2f} times the mean")


@check(
    "a shard of weight 3 holds three times what one of weight 1 holds",
    "The weight is declared, so it must count: three times the places in the table, or the points "
    "on the ring.",
)
def weights(make: Make) -> Evidence:
    mixed = [Shard(f"{name}-{n}", weight) for n in range(4) for name, weight in MIXED.items()]
    held = Counter(name.partition("-")[0] for name in found(made(make, mixed), KEYS))
    times = held["heavy"] / max(held["light"], 1)
    return Evidence(2.7 <= times <= 3.3, f"{times:.2f} times")


@check(
    'keys like "7:7" spread over two shards',
    "The lowest bit of FNV-1a is the parity of all lowest bits, and in such a key each digit comes "
    "twice. Take the high bits, or a hash whose bits all depend on all of the key.",
)
def doubled(make: Make) -> Evidence:
    keys = [f"{number}:{number}" for number in range(1_000)]
    fullest = max(Counter(found(made(make, listed(2)), keys)).values())
    return Evidence(fullest <= 600, f"{fullest:,} of 1,000 on one")


@check(
    "4 shards become 5: at most 25 % of the keys move",
    "After hash % 4 and hash % 5 a key is at home by luck. Consistent hashing moves only what the "
    "new shard takes over, one key in five.",
)
def four_to_five(make: Make) -> Evidence:
    moved = share_moved(*(found(made(make, listed(count)), FEW) for count in (4, 5)))
    return Evidence(moved <= 25, f"{moved:.0f} % move")


@check(
    "16 shards become 17: at most 6.5 % of the keys move",
    "The new shard's share is 1/17, 5.9 %, and nothing else has a reason to move.",
)
def sixteen_to_seventeen(make: Make) -> Evidence:
    moved = share_moved(*(found(made(make, listed(count)), KEYS) for count in (16, 17)))
    return Evidence(moved <= 6.5, f"{moved:.1f} % move")


@check(
    "a shard that leaves moves its own keys and no others",
    "The keys of all the shards that stay were at home. Only those of the one that left need a new "
    "one.",
)
def leaving(make: Make) -> Evidence:
    shards = listed(5)
    before = found(made(make, shards), FEW)
    after = found(made(make, shards[:2] + shards[3:]), FEW)
    others = sum(a != b for a, b in zip(before, after, strict=True) if a != "shard-2")
    return Evidence(others == 0, f"{others:,} keys of others move")


@check(
    "a lookup beside a shard that joins finds the old shard or the new",
    "A lookup that reads a table twice, or one that is half filled, finds nothing, or something "
    "that never was. Make the new table aside, put it in place by one assignment, read it once.",
)
def joining(make: Make) -> Evidence:
    """Lookups at each place of a join, and a join at each instruction of a lookup."""
    shards, new, keys = listed(2), Shard("shard-2"), KEYS[:20]
    old, then = (found(made(make, one), keys) for one in (shards, [*shards, new]))
    right = {key: set(pair) for key, *pair in zip(keys, old, then, strict=True)}
    looks: list[bool] = []

    def look(one: Any, keys: Sequence[str]) -> None:
        try:
            for key in keys:
                looks.append(one.get_shard(key).name in right[key])  # noqa: PERF401  # each counts
        except Exception:
            looks.append(False)

    def look_beside_join() -> tuple[Callable[[], Any], Callable[[], Any]]:
        one = made(make, shards)
        return lambda: one.add_shard(new), lambda: look(one, keys)

    def join_beside_look() -> tuple[Callable[[], Any], Callable[[], Any]]:
        one = made(make, shards)
        return lambda: look(one, moves), lambda: one.add_shard(new)

    look_at_each_instruction(look_beside_join, PATIENCE)
    moves = [key for key, name in zip(keys, then, strict=True) if name == new.database][:1]
    switch_at_each_instruction(join_beside_look, PATIENCE)
    wrong = looks.count(False)
    return Evidence(wrong == 0, f"{wrong} of {len(looks):,} find something else")
