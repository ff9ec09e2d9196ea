"""Chapter 5: seventy bytes, a parser that lets go, the pool mended, the wrong process."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from perflab.book.exercises.judging import (
    Answer,
    Exercise,
    Judgement,
    Tried,
    accusation,
    by_contract,
)
from perflab.contracts import objectpool
from perflab.measure.memory import allocations

# ── 1: seventy bytes

RECORDS, ALLOWED = 20_000, 70
Row = tuple[int, float, int]


def some_rows(seed: int, count: int = RECORDS) -> Iterator[Row]:
    """Records made one at a time: an order number, a price, a quantity."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1 << 40, size=count)
    prices, quantities = rng.uniform(0.1, 1_000, count), rng.integers(1, 10, count)
    for at in range(count):
        yield int(numbers[at]), float(prices[at]), int(quantities[at])


def _store(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    store = answer(some_rows(51))
    if store is None:
        return Judgement("not attempted", "Return something that gives the records back.")
    if iter(store) is store if isinstance(store, Iterator) else not hasattr(store, "__getitem__"):
        return Judgement(
            "wrong", "store[i] must give a record: an iterator is used up by one look."
        )
    if len(store) != RECORDS:
        return Judgement("wrong", f"{len(store):,} records instead of {RECORDS:,}.")
    wanted = list(some_rows(51))
    found = [_row(store[at]) for at in range(RECORDS)]
    wrong = next((at for at in range(RECORDS) if found[at] != wanted[at]), None)
    tried.append(("every record comes back", wrong is None, f"{RECORDS:,} looked at"))
    if wrong is not None:
        hint = f"store[{wrong}] is {found[wrong]!r} instead of {wanted[wrong]!r}."
        return Judgement("wrong", hint + " Does a type hold too few digits?", tuple(tried))
    del store, found, wanted
    each = allocations(lambda: answer(some_rows(52))).held_bytes / RECORDS
    tried.append((f"at most {ALLOWED} B a record", each <= ALLOWED, f"{each:.0f} B"))
    if each < 8:  # number and price alone are 12 bytes of noise
        hint = "Too small to be true: where are the records? They must be held by what you return."
        return Judgement("wrong", hint, tuple(tried))
    if each > ALLOWED:
        hint = (
            f"{each:.0f} bytes a record. A record that is an object of its own takes that much by "
            "itself, and its numbers are objects too. What holds numbers without objects?"
        )
        return Judgement("wrong", hint, tuple(tried))
    return Judgement("right", f"{each:.0f} bytes a record.", tuple(tried), each)


def _row(record: Any) -> Any:
    """A record as plain numbers: numpy's own are welcome."""
    if not hasattr(record, "__iter__"):
        return record
    return tuple(one.item() if isinstance(one, np.generic) else one for one in record)


# ── 2: a parser that lets go


class Watched(bytes):
    """Bytes that count what slicing them copies, in `copied`; a slice counts as well."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if not isinstance(found, bytes):
            return found
        Watched.copied += len(found)
        return Watched(found)


def some_messages(seed: int, count: int = 3_000) -> bytes:
    """Messages with their lengths before them; a few bodies begin with an exclamation mark."""
    rng = np.random.default_rng(seed)
    parts = []
    sizes = [*rng.integers(1, 700, count - 1).tolist(), 0]  # the last body is empty
    for at, size in enumerate(sizes):
        body = b"!%04d" % at if at % 500 == 77 else b"." * size
        parts.append(len(body).to_bytes(4, "big") + body)
    return b"".join(parts)


def _urgent(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    most = 0
    for seed in (61, 62):
        data = some_messages(seed)
        wanted = [b"!%04d" % at for at in range(3_000) if at % 500 == 77]
        Watched.copied = 0
        said = answer(Watched(data))
        copied = Watched.copied
        if said is None:
            return Judgement("not attempted", "Return the list of bodies.")
        got = [bytes(body) for body in said]
        tried.append((f"the urgent ones, messages {seed}", got == wanted, f"{len(got)} found"))
        if got != wanted:
            hint = "These are not the bodies that begin with b'!', in their order."
            return Judgement("wrong", hint, tuple(tried))
        linear = copied <= len(data)
        tried.append(("bytes copied by slicing", linear, f"{copied:,} of {len(data):,}"))
        if not linear:
            hint = _what_copies(copied / len(data))
            return Judgement("wrong", hint, tuple(tried))
        del said
        seen = allocations(partial(_parsed, answer, seed))
        beside = seen.held_bytes - sum(map(len, wanted))
        lets_go = beside < 1_000
        tried.append(("held beside the bodies", lets_go, f"{beside:,} B"))
        if not lets_go:
            hint = (
                "What you return holds more than its bodies: a view keeps the whole data alive. "
                "Copy the few bytes that are kept."
            )
            return Judgement("wrong", hint, tuple(tried))
        extra = seen.peak_bytes - len(data)
        most = max(most, extra)
        slim = extra < len(data) / 2
        tried.append(("at most half the data again, at the peak", slim, f"{extra / 1e3:,.0f} kB"))
        if not slim:
            hint = "At its peak it held the data, or most of it, a second time. Go through it once."
            return Judgement("wrong", hint, tuple(tried))
    return Judgement("right", "It copies what it keeps, and nothing else.", tuple(tried), most)


def _what_copies(times: float) -> str:
    if times < 2:
        return (
            "It copied every body, those that are dropped as well. Look at the first byte before "
            "you cut the body out."
        )
    return (
        f"It copied {times:,.0f} times the data: cutting what was read off the front copies the "
        "whole rest each time. Keep a position, or a view."
    )


def _parsed(answer: Answer, seed: int) -> Any:
    """What the answer makes of data that nobody else has; the peak begins with the answer."""
    data = some_messages(seed)
    tracemalloc.reset_peak()
    return answer(data)


# ── 4: the wrong process


@dataclass(frozen=True)
class MemoryReport:
    """A memory benchmark: the peak that it reports, in MB, and what each process held (MB) and
    had used of the processor so far (seconds) at each moment."""

    reported: float
    resident: dict[str, np.ndarray]
    cpu: dict[str, np.ndarray]


Series = np.ndarray
MOMENTS = 60
TRUE = {
    "works alone": True,
    "one child works, the child's peak": True,
    "four at once, their sum": True,
    "beside a large idle server": True,
    "one child works, the parent's peak": False,
    "four at once, one of them": False,
    "one after the other, the sum of their peaks": False,
    "looked at when all was over": False,
}
WHY = {
    "works alone": "it had no other process, and its peak is what is reported",
    "one child works, the child's peak": "the child did the work, and its peak is reported",
    "four at once, their sum": "the four worked at the same time: their sum is the peak",
    "beside a large idle server": "the server held much and did nothing of this work",
    "one child works, the parent's peak": "the parent only waited; the child did the work",
    "four at once, one of them": "four did the work, and the report knows one",
    "one after the other, the sum of their peaks": "the four were never there together: the peaks "
    "were at different moments",
    "looked at when all was over": "the last look is not the peak: most was freed by then",
}


def _hill(rng: np.random.Generator, height: float, begin: int, end: int) -> Series:
    """Memory that rises while the work goes on, and is mostly given back at its end."""
    series = np.full(MOMENTS, rng.uniform(20, 30))
    series[begin:end] += height * np.linspace(0.2, 1, end - begin)
    return series


def _work(begin: int, end: int) -> Series:
    """Processor time so far: half a second a moment, from begin to end."""
    return np.clip(np.arange(MOMENTS) - begin, 0, end - begin) * 0.5


def _report(case: str, rng: np.random.Generator) -> MemoryReport:
    big, idle = rng.uniform(400, 700), rng.uniform(60, 90)
    waits, works = np.full(MOMENTS, idle), _work(5, 55)
    rests = np.linspace(0, 0.3, MOMENTS)
    if case == "works alone":
        resident, cpu = {"main": _hill(rng, big, 5, 55)}, {"main": works}
        return MemoryReport(float(resident["main"].max()), resident, cpu)
    if case == "beside a large idle server":
        resident = {"main": _hill(rng, big, 5, 55), "server": waits + 2 * big}
        return MemoryReport(
            float(resident["main"].max()), resident, {"main": works, "server": rests}
        )
    if case.startswith("four at once"):
        names = [f"worker {number}" for number in range(1, 5)]
        resident = {name: _hill(rng, big / 2, 5, 55) for name in names}
        total = float(sum(resident.values()).max())  # type: ignore[union-attr]  # four arrays
        told = total if case.endswith("sum") else float(resident[names[0]].max())
        cpu = dict.fromkeys(names, works)
        return MemoryReport(told, {"main": waits, **resident}, {"main": rests, **cpu})
    if case.startswith("one after the other"):
        spans = {f"worker {number + 1}": (3 + 14 * number, 15 + 14 * number) for number in range(4)}
        resident = {name: _hill(rng, big, *span) for name, span in spans.items()}
        cpu = {name: _work(*span) for name, span in spans.items()}
        told = float(sum(one.max() for one in resident.values()))
        return MemoryReport(told, {"main": waits, **resident}, {"main": rests, **cpu})
    child = _hill(rng, big, 5, 55)
    told = float(child[-1])
    if case.endswith("peak"):
        told = float(waits.max() if "parent's" in case else child.max())
    return MemoryReport(told, {"main": waits, "child": child}, {"main": rests, "child": works})


MISLEADING = {name for name, right in TRUE.items() if not right}


def _dealt(seed: int) -> tuple[dict[str, str], dict[str, MemoryReport]]:
    """Which letter stands for which, and the reports by letter."""
    rng = np.random.default_rng(seed)
    names = dict(zip("ABCDEFGH", rng.permutation(sorted(TRUE)).tolist(), strict=True))
    return names, {letter: _report(case, rng) for letter, case in names.items()}


def memory_reports(seed: int) -> dict[str, MemoryReport]:
    """The eight reports under letters that the seed deals out."""
    return _dealt(seed)[1]


def _wrong_reports(answer: Answer) -> Judgement:
    for seed in (71, 72, 73):
        name_of, reports = _dealt(seed)
        wrong = accusation(answer(dict(reports)), name_of, MISLEADING, "report", _why)
        if wrong is not None:
            return wrong
    return Judgement("right", "All four found, and no right one accused.")


def _why(name: str, letter: str) -> str:
    return f"«{name}» {'is right' if TRUE[name] else 'got away'}: {WHY[name]}."


EXERCISES = [
    Exercise("Exercise 1, seventy bytes", _store),
    Exercise("Exercise 2, a parser that lets go", _urgent),
    Exercise("Exercise 3, mend the pool", by_contract(objectpool)),
    Exercise("Exercise 4, the wrong process", _wrong_reports),
]
