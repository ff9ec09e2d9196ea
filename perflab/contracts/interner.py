"""What must hold of a string interner.

Under test is a function `make(max_size=None)`, a class for instance, that returns an interner with
`intern(s)` and `stats()`, whose `hits` and `misses` are counts. `without_bound` makes one of a
class like the guide's, which takes no bound.

A check compares objects, not values: `s1 == s2` is true of strings that share nothing.
"""

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

from perflab.contracts.core import Evidence, check
from perflab.contracts.parts.stepping import look_at_each_instruction, switch_at_each_instruction
from perflab.contracts.threads import at_once

Make = Callable[..., Any]

BOUND, CHURN = 100, 10_000
PATIENCE = 1.0  # seconds for a lookup that should wait for nothing, on a machine that may be busy


def without_bound(interner: Callable[[], Any]) -> Make:
    """The maker that a class without a bound is: it is told one, and has none."""
    return lambda max_size=None: interner()


def copy(text: str) -> str:
    """The same text in an object of its own."""
    return str(text.encode("utf-8", "surrogatepass"), "utf-8", "surrogatepass")


class Tagged(str):
    """A token of a parser: a str with something hanging on it."""

    page: bytes


class Folded(str):
    """A str that does not tell capitals from small letters."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and str.lower(self) == str.lower(other)

    def __hash__(self) -> int:
        return hash(str.lower(self))


def _taken(interner: Any, thing: object) -> Any:
    """What the interner gives for it; None where it refuses."""
    try:
        return interner.intern(thing)
    except (TypeError, ValueError):
        return None


def _held(strings: list[str]) -> int:
    """How many of them somebody else holds, too: their reference counts tell."""
    alone = [copy("held by this list")]
    lowest = next(sys.getrefcount(text) for text in alone)
    return sum(sys.getrefcount(text) > lowest for text in strings)


@check(
    "equal strings come back as one object, others as themselves",
    "Keep the first object of each text, as key and as value, and return that one for every equal "
    "string. Compare with `is`.",
)
def one_object(make: Make) -> Evidence:
    interner = make()
    texts = ["value", "Value", "café", "cafe\u0301", "", "a lone \ud800", "v" * 1000]
    came = [[interner.intern(copy(text)) for text in texts] for _ in range(10)]
    objects = {id(text) for row in came for text in row}
    right = all(row == texts for row in came)
    said = f"{len(objects)} objects for {len(texts)} texts"
    return Evidence(right and len(objects) == len(texts), said if right else "another text")


@check(
    "two threads that bring one new string at once get one object",
    "Both look, and both find nothing. Who adds must look again under the same lock, or use one "
    "step that does both, such as dict.setdefault, and return what is in the table then.",
)
def two_threads(make: Make) -> Evidence:
    """The second thread acts at each instruction of the first, one after the other."""
    text, scenes = "brought by two", []

    def scene() -> tuple[Callable[[], Any], Callable[[], Any]]:
        interner, came = make(), list[str]()
        scenes.append((interner, came))
        mine, theirs = copy(text), copy(text)
        return (
            lambda: came.append(interner.intern(mine)),
            lambda: came.append(interner.intern(theirs)),
        )

    tried = switch_at_each_instruction(scene)
    for interner, came in scenes:
        came.append(interner.intern(copy(text)))  # who comes after both
    differ = sum(len({id(one) for one in came}) > 1 for _, came in scenes)
    return Evidence(differ == 0, f"two objects in {differ} of {tried} switches")


@check(
    "a known string is found while another is being added",
    "A dict lookup is one step of the interpreter: it needs no lock. Take the lock only to add, "
    "and let no reader wait for who holds it.",
)
def lookup_beside(make: Make) -> Evidence:
    def scene() -> tuple[Callable[[], Any], Callable[[], Any]]:
        interner = make()
        interner.intern("known")
        return lambda: interner.intern("new"), lambda: interner.intern("known")

    late = look_at_each_instruction(scene, PATIENCE)
    return Evidence(late == 0, "a lookup waits for the lock" if late else "waits for nobody")


@check(
    "1, True and 1.0 are refused, not taken for one another",
    "To a dict they are one key, so whoever came first is returned for all three. An interner of "
    "strings takes strings: look at the type of what is new.",
)
def no_strings(make: Make) -> Evidence:
    interner = make()
    came = [_taken(interner, thing) for thing in (1, True, 1.0)]
    taken = sum(thing is not None for thing in came)
    return Evidence(taken == 0, f"takes {taken} of 3")


@check(
    "a subclass of str leaves nothing of its own behind",
    "Whoever comes first is kept for good, with its class and all that hangs on it, and given to "
    "everybody. Refuse it, as sys.intern does, or keep str.__str__(s).",
)
def subclass(make: Make) -> Evidence:
    interner = make()
    tagged = Tagged("token")
    tagged.page = b"the whole page that it was cut from"
    gone = weakref.ref(tagged)
    _taken(interner, tagged)
    del tagged
    gc.collect()
    after = type(interner.intern(copy("token"))).__name__
    kept = "keeps" if gone() is not None else "does not keep"
    return Evidence(
        after == "str" and gone() is None, f"{kept} it, and gives a {after} to who comes after"
    )


@check(
    "a subclass that redefines == is not taken for another text",
    "The table asks the key's own __eq__ and __hash__, and a case-insensitive str says that it is "
    "the other one. Look at the type before the table is asked.",
)
def redefined(make: Make) -> Evidence:
    interner = make()
    interner.intern(copy("abc"))
    came = _taken(interner, Folded("ABC"))
    text = "nothing" if came is None else str.__str__(came)
    return Evidence(text in ("nothing", "ABC"), f"gives {text} for ABC")


@check(
    f"of {CHURN:,} strings at most the bound of {BOUND} is kept",
    "What is interned once stays for ever, though nobody else has it any more. Give the table a "
    "bound and let something go when it is reached.",
)
def bounded(make: Make) -> Evidence:
    interner = make(BOUND)
    strings = [copy(f"seen once: {number}") for number in range(CHURN)]
    for text in strings:
        interner.intern(text)
    kept = _held(strings)
    return Evidence(kept <= BOUND, f"keeps {kept:,}")


@check(
    "a string in use outlives all that are seen once",
    "Let go what was not used for longest, not what came first: what came first may be in use "
    "every day.",
)
def in_use(make: Make) -> Evidence:
    interner = make(BOUND)
    came = []
    for number in range(1_000):
        interner.intern(copy(f"seen once: {number}"))
        if number % 10 == 0:
            came.append(interner.intern(copy("in use")))
    objects = len({id(text) for text in came})
    return Evidence(objects == 1, f"{objects} objects for one string in use")


@check(
    "hits and misses are all the calls, with four threads at once",
    "Count what was found and what was added: whether interning saves or costs is not seen "
    "otherwise. Two threads that add to one number lose counts unless that is one step.",
)
def counted(make: Make) -> Evidence:
    interner, texts, each = make(), [f"value {number}" for number in range(10)], 500
    running = at_once(4, lambda _: [interner.intern(copy(texts[n % 10])) for n in range(each)])
    for one in running:
        one.result()
    seen = interner.stats()
    right = (seen.hits, seen.misses) == (4 * each - len(texts), len(texts))
    return Evidence(right, f"{seen.hits} hits and {seen.misses} misses in {4 * each} calls")
