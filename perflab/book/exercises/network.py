"""Chapter 7: the negotiation mended, at most n at once, the break-even bandwidth, a benchmark on
loopback."""

import asyncio
import heapq
import inspect
from dataclasses import dataclass
from functools import partial

import numpy as np

from perflab.book.exercises.judging import Answer, Exercise, Judgement, Tried, accusation, dealt
from perflab.errors import is_number
from perflab.measure.virtual import run_virtual

# ── 1: mend the negotiation

CASES = (
    ("gzip", True, "The plainest header there is: this client wants gzip."),
    ("gzip, deflate, br", True, "A browser's header: gzip is one of three."),
    ("", False, "Nobody asked for anything: an empty header is a no."),
    ("deflate, br", False, "gzip is not among these."),
    ("gzip;q=0", False, "A weight of 0 means «not acceptable». Read the q."),
    ("br, gzip; q=0.000", False, "0.000 is 0, and a blank may stand before the q."),
    ("gzip;q=0.5", True, "Half a wish is a wish: only a weight of 0 is a no."),
    ("x-nogzip", False, "Compare whole names, not parts of them."),
    ("br,x-gzipped;q=1", False, "Compare whole names, not parts of them."),
    ("GZIP", True, "Names of encodings are compared without case."),
    ("GZip;Q=0", False, "Neither names nor the letter q know small and capital."),
    ("*", True, "An asterisk stands for every encoding that is not named."),
    ("br, *;q=0", False, "The asterisk has a q of its own, and it is 0."),
    ("gzip;q=0, *", False, "What is named is not covered by the asterisk."),
    ("*;q=0, gzip", True, "What is named is not covered by the asterisk."),
)


def _negotiated(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for header, wanted, hint in CASES:
        said = answer(header)
        if said is None:
            return Judgement("not attempted", "Return True or False.")
        right = isinstance(said, bool) and said == wanted
        tried.append((f"Accept-Encoding: {header or '(empty)'}", right, f"{said!r}"))
        if not isinstance(said, bool):
            return Judgement("wrong", f"Return True or False, not {said!r}.", tuple(tried))
        if not right:
            return Judgement("wrong", f"«{header}»: {hint}", tuple(tried))
    for header in (";;;", ",", "gzip;q=much", "q=1", "gzip;level=9"):
        answer(header)  # may be judged either way, and must not raise
    return Judgement("right", f"All {len(CASES)} headers are read as they should be.", tuple(tried))


# ── 2: at most n at once


class _Server:
    """Answers after a time that depends on the path, and counts.

    State: requests under way and the most of them at once; how often each path was asked for."""

    def __init__(self, seed: int, count: int) -> None:
        times = np.random.default_rng(seed).choice([0.01, 0.02, 0.2], count, p=[0.5, 0.4, 0.1])
        self.seconds = {f"/{number}": float(one) for number, one in enumerate(times)}
        self.here = self.most = 0
        self.asked = dict.fromkeys(self.seconds, 0)

    async def get(self, path: str) -> str:
        self.asked[path] += 1
        self.here += 1
        self.most = max(self.most, self.here)
        try:
            await asyncio.sleep(self.seconds[path])
        finally:
            self.here -= 1
        return f"body of {path}"

    def least(self, n: int) -> float:
        """Seconds that n connections take, each of which asks for the next path when free."""
        free = [0.0] * n
        for one in self.seconds.values():
            heapq.heapreplace(free, free[0] + one)
        return max(free)


def _at_most(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    for seed, count, n in ((71, 60, 6), (72, 40, 3), (73, 10, 1), (74, 4, 8)):
        server = _Server(seed, count)
        paths = list(server.seconds)

        async def timed(server: _Server = server, paths: list[str] = paths, n: int = n) -> tuple:  # type: ignore[type-arg]  # the answer's own type is anything
            got = await answer(server.get, paths, n)
            return got, asyncio.get_running_loop().time()

        if not inspect.iscoroutinefunction(answer):
            said = answer(server.get, paths, n)
            if inspect.iscoroutine(said):
                said.close()
            hint = "Leave it a coroutine: async def fetch_all(get, paths, n)."
            return Judgement("not attempted" if said is None else "wrong", hint)
        got, took = run_virtual(timed())
        if got is None:
            return Judgement("not attempted", "Return the list of bodies.")
        wanted = [f"body of {path}" for path in paths]
        least = server.least(n)
        once = all(times == 1 for times in server.asked.values())
        tried += [
            (f"{count} files, {n} at once: order", list(got) == wanted, "bodies as asked"),
            ("each asked for once", once, f"{sum(server.asked.values())} requests"),
            ("never more at once", server.most <= n, f"{server.most} of {n}"),
            ("no connection idle", took <= 1.001 * least, f"{took:.2f} s, possible {least:.2f}"),
        ]
        hint = _at_most_hint(tried[-4:], server.most, n)
        if hint:
            return Judgement("wrong", hint, tuple(tried))
    return Judgement("right", "In order, n at once, and none of the n ever idle.", tuple(tried))


def _at_most_hint(tried: list[Tried], most: int, n: int) -> str:
    order, once, limit, busy = (passed for _, passed, _ in tried)
    if not limit:
        return f"{most} requests were under way at once, {n} are allowed. What holds the others?"
    if not once:
        return "Ask for each path exactly once."
    if not order:
        return "The bodies have to come in the order of the paths, whichever was answered first."
    if not busy and most < n:
        return f"Never more than {most} at once, where {n} were allowed: the others stood idle."
    if not busy:
        return "A connection that is free takes the next path at once: it waits for no other."
    return ""


# ── 3: the break-even bandwidth


def _break_even(answer: Answer) -> Judgement:
    tried: list[Tried] = []
    rng = np.random.default_rng(75)
    for _ in range(4):
        plain = int(rng.integers(20_000, 500_000))
        packed, seconds = int(plain * rng.uniform(0.1, 0.8)), float(rng.uniform(0.0005, 0.05))
        said = answer(plain, packed, seconds)
        if said is None:
            return Judgement("not attempted", "Return bits a second.")
        true = 8 * (plain - packed) / seconds
        right = is_number(said) and abs(float(said) / true - 1) < 0.01
        name = f"{plain:,} → {packed:,} bytes in {1e3 * seconds:.1f} ms"
        shown = f"{said:,.0f}" if is_number(said) else repr(said)
        tried.append((name, right, f"{shown}, true {true:,.0f} bit/s"))
        if not right:
            hint = _break_even_hint(said, plain, packed, seconds)
            return Judgement("wrong", hint, tuple(tried))
    for plain, packed in ((11, 31), (80_000, 80_000)):
        said = answer(plain, packed, 0.001)
        never = is_number(said) and said == 0
        tried.append((f"{plain:,} → {packed:,} bytes", never, f"{said!r}"))
        if not never:
            hint = "What did not get smaller pays at no bandwidth: return 0."
            return Judgement("wrong", hint, tuple(tried))
    return Judgement("right", "Below that it pays, above it costs.", tuple(tried))


def _break_even_hint(said: object, plain: int, packed: int, seconds: float) -> str:
    if not is_number(said):
        return f"Return a number of bits a second, not {said!r}."
    ratio = float(said) * seconds / 8
    near = {
        "Bits, not bytes: a byte has eight of them.": (plain - packed) / 8,
        "The saved bytes count: the compressed ones have to be sent all the same.": plain,
        "That is the speed at which the compressed answer is sent. Which bytes are saved?": packed,
    }
    for hint, bytes_ in near.items():
        if abs(ratio / bytes_ - 1) < 0.01:
            return hint
    return "At break-even, the time to send the saved bytes equals the time to compress."


# ── 4: a benchmark on loopback


@dataclass(frozen=True)
class Bench:
    """A benchmark on loopback of an answer of `plain_bytes`, which gzip makes `gzip_bytes`: the
    median latency of either in ms there, and the bandwidth in Mbit/s that its users have."""

    plain_bytes: int
    gzip_bytes: int
    plain_ms: float
    gzip_ms: float
    users_mbit: float


# plain bytes, what gzip leaves of them, ms that gzip takes, the users' Mbit/s
BENCHES = {
    "a list on a phone": (100_000, 0.19, 2.5, 10),
    "a list in the data centre": (100_000, 0.19, 2.5, 10_000),
    "a picture on a phone": (80_000, 1.002, 2.0, 10),
    "eleven bytes on a phone": (11, 2.9, 0.05, 10),
    "level 9 on a phone": (100_000, 0.18, 20.0, 10),
    "level 9 in the office": (100_000, 0.18, 20.0, 100),
    "the slowest level on a phone": (100_000, 0.16, 280.0, 10),
    "half the size, in the office": (60_000, 0.5, 1.0, 100),
}
LYING = {"a list on a phone", "level 9 on a phone", "half the size, in the office"}


def _bench(case: str, rng: np.random.Generator) -> Bench:
    plain, share, ms, users = BENCHES[case]
    size = int(plain * rng.uniform(1.0, 1.1))
    wire = size / 1e6  # ms: loopback carries a gigabyte a second
    return Bench(
        plain_bytes=size,
        gzip_bytes=int(size * share),
        plain_ms=round(0.15 + wire, 3),
        gzip_ms=round(0.15 + wire * share + ms * rng.uniform(0.95, 1.05), 3),
        users_mbit=users,
    )


def loopback_reports(seed: int = 1) -> dict[str, Bench]:
    """Eight benchmarks under letters that the seed deals out. Each says: compression never pays."""
    rng = np.random.default_rng(seed + 1_000)
    return {letter: _bench(case, rng) for letter, case in dealt(BENCHES, seed).items()}


def _misled(answer: Answer) -> Judgement:
    for seed in (76, 77, 78):
        reports = loopback_reports(seed)
        said = answer(dict(reports))
        hint = partial(_misled_hint, reports)
        wrong = accusation(said, dealt(BENCHES, seed), LYING, "report", hint)
        if wrong is not None:
            return wrong
    return Judgement("right", "All found, and no report accused that was right.")


def _misled_hint(reports: dict[str, Bench], case: str, letter: str) -> str:
    one = reports[letter]
    saved = 8 * (one.plain_bytes - one.gzip_bytes) / one.users_mbit / 1e3
    shown = f"gzip costs {one.gzip_ms - one.plain_ms:.1f} ms and saves {saved:.1f} ms on the wire"
    if case in LYING:
        return f"«{case}» got away: for its users {shown}."
    return f"«{case}» is right: for its users {shown}."


EXERCISES = [
    Exercise("Exercise 1, mend the negotiation", _negotiated),
    Exercise("Exercise 2, at most n at once", _at_most),
    Exercise("Exercise 3, the break-even bandwidth", _break_even),
    Exercise("Exercise 4, the benchmark on loopback", _misled),
]
