"""Chapter 7: an answer to each exercise, and wrong ones with what their hint must name."""

import asyncio

# ── 1: mend the negotiation


def wants_gzip(accept_encoding):
    """RFC 9110, 12.5.3."""
    said = {}
    for one in accept_encoding.lower().split(","):
        name, _, weight = one.partition(";")
        try:
            said[name.strip()] = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
    return said.get("gzip", said.get("*", 0)) > 0


def as_printed(accept_encoding):
    return "gzip" in accept_encoding


def whole_names(accept_encoding):
    return "gzip" in [one.split(";")[0].strip() for one in accept_encoding.split(",")]


def no_asterisk(accept_encoding):
    return wants_gzip(accept_encoding.replace("*", "x"))


def with_case(accept_encoding):
    return wants_gzip(accept_encoding.replace("GZIP", "x"))


def asterisk_wins(accept_encoding):
    return wants_gzip(accept_encoding) or wants_gzip(accept_encoding.replace("*", "gzip"))


# ── 2: at most n at once


async def fetch_all(get, paths, n):
    places = asyncio.Semaphore(n)

    async def fetch(path):
        async with places:
            return await get(path)

    return await asyncio.gather(*map(fetch, paths))


async def everything_at_once(get, paths, n):
    return await asyncio.gather(*map(get, paths))


async def one_after_the_other(get, paths, n):
    return [await get(path) for path in paths]


async def in_batches(get, paths, n):
    bodies = []
    for at in range(0, len(paths), n):
        bodies += await asyncio.gather(*map(get, paths[at : at + n]))
    return bodies


async def as_they_come(get, paths, n):
    places = asyncio.Semaphore(n)
    bodies = []

    async def fetch(path):
        async with places:
            bodies.append(await get(path))

    await asyncio.gather(*map(fetch, paths))
    return bodies


async def twice(get, paths, n):
    await fetch_all(get, paths, n)
    return await fetch_all(get, paths, n)


# ── 3: the break-even bandwidth


def break_even(plain, compressed, seconds):
    return max(0.0, 8 * (plain - compressed) / seconds)


def in_bytes(plain, compressed, seconds):
    return max(0.0, (plain - compressed) / seconds)


def of_all_bytes(plain, compressed, seconds):
    return 8 * plain / seconds


def of_what_is_sent(plain, compressed, seconds):
    return 8 * compressed / seconds


def below_nothing(plain, compressed, seconds):
    return 8 * (plain - compressed) / seconds


def upside_down(plain, compressed, seconds):
    return seconds / (8 * (plain - compressed))


# ── 4: a benchmark on loopback


def misled(reports):
    return {
        name
        for name, one in reports.items()
        if 8 * (one.plain_bytes - one.gzip_bytes) / (one.users_mbit * 1e6)
        > (one.gzip_ms - one.plain_ms) / 1e3
    }


def slow_links(reports):
    return {name for name, one in reports.items() if one.users_mbit <= 100}


def what_shrinks(reports):
    return {name for name, one in reports.items() if one.gzip_bytes < one.plain_bytes}


def slow_links_and_what_shrinks(reports):
    return slow_links(reports) & what_shrinks(reports)


def bytes_for_bits(reports):
    return {
        name
        for name, one in reports.items()
        if (one.plain_bytes - one.gzip_bytes) / (one.users_mbit * 1e6)
        > (one.gzip_ms - one.plain_ms) / 1e3
    }


def faster_on_loopback(reports):
    return {name for name, one in reports.items() if one.gzip_ms < one.plain_ms}


SOLUTIONS = {1: wants_gzip, 2: fetch_all, 3: break_even, 4: misled}
WRONG = {
    1: {
        as_printed: "Read the q",
        whole_names: "Read the q",
        no_asterisk: "An asterisk",
        with_case: "without case",
        asterisk_wins: "not covered",
    },
    2: {
        everything_at_once: "are allowed",
        one_after_the_other: "stood idle",
        in_batches: "waits for no other",
        as_they_come: "in the order",
        twice: "exactly once",
    },
    3: {
        in_bytes: "Bits, not bytes",
        of_all_bytes: "saved bytes",
        of_what_is_sent: "Which bytes",
        below_nothing: "return 0",
        upside_down: "At break-even",
    },
    4: {
        slow_links: "is right",
        what_shrinks: "is right",
        slow_links_and_what_shrinks: "is right",
        bytes_for_bits: "got away",
        faster_on_loopback: "got away",
    },
}
