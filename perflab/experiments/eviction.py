"""Which requests a full cache answers: traces of keys, and policies that decide what goes.

A policy is a function of (trace, size): it plays a trace of key numbers through a cache of `size`
entries and says of each request whether it was a hit. Policies: Mattson, Gecsei, Slutz and
Traiger, «Evaluation techniques for storage hierarchies», 1970; `optimal` is Belady's, 1966.
"""

import random
from collections import Counter, OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require

Keys = NDArray[np.int64]
Hits = NDArray[np.bool_]
Policy = Callable[[Keys, int], Hits]
NEVER = 2**62  # the place in the trace where a key comes that does not come again


def zipf(keys: int, requests: int, skew: float = 1.0, seed: int = 1) -> Keys:
    """Requests for keys 0, 1, …, the most popular first: the k-th in proportion to 1/k^skew."""
    _whole(keys=keys, requests=requests)
    odds = 1.0 / np.arange(1, keys + 1) ** skew
    drawn = np.random.default_rng(seed).random(requests)
    return np.searchsorted(np.cumsum(odds) / odds.sum(), drawn).astype(np.int64)


def with_scans(trace: Keys, every: int, length: int) -> Keys:
    """The trace, in which after each `every` requests a job asks for `length` keys that nobody
    else asks for, one after the other."""
    _whole(every=every, length=length)
    parts = [trace[at : at + every] for at in range(0, len(trace), every)]
    first = int(trace.max()) + 1
    scans = [first + length * number + np.arange(length) for number in range(len(parts))]
    both = [part for pair in zip(parts, scans, strict=True) for part in pair]
    return np.concatenate(both)


def drifting(trace: Keys, every: int, by: int) -> Keys:
    """The trace, in which after each `every` requests other keys are the popular ones: every
    rank moves on by `by` keys."""
    _whole(every=every, by=by)
    keys = int(trace.max()) + 1
    moved: Keys = (trace + by * (np.arange(len(trace)) // every)) % keys
    return moved


def lru(trace: Keys, size: int) -> Hits:
    """What was used least recently goes."""
    kept: OrderedDict[int, None] = OrderedDict()

    def hit(key: int) -> bool:
        if key in kept:
            kept.move_to_end(key)
            return True
        if len(kept) == size:
            kept.popitem(last=False)
        kept[key] = None
        return False

    return _play(hit, trace, size)


def lfu(trace: Keys, size: int, forget: int = 0) -> Hits:
    """What was asked for least often goes, of equals the oldest; counts are kept for ever. With
    `forget` all counts are halved after so many requests."""
    seen: Counter[int] = Counter()
    kept: dict[int, None] = {}
    played = 0

    def hit(key: int) -> bool:
        nonlocal played
        played += 1
        seen[key] += 1
        if forget and played % forget == 0:
            for one in seen:
                seen[one] //= 2
        if key in kept:
            return True
        if len(kept) == size:
            del kept[min(kept, key=seen.__getitem__)]
        kept[key] = None
        return False

    return _play(hit, trace, size)


def aged_lfu(trace: Keys, size: int) -> Hits:
    """LFU that halves its counts after ten times as many requests as there are entries."""
    return lfu(trace, size, forget=10 * size)


def at_random(trace: Keys, size: int, seed: int = 1) -> Hits:
    """Whichever is drawn goes."""
    places: list[int] = []
    kept: set[int] = set()
    rng = random.Random(seed)

    def hit(key: int) -> bool:
        if key in kept:
            return True
        kept.add(key)
        if len(places) < size:
            places.append(key)
            return False
        place = rng.randrange(size)
        kept.remove(places[place])
        places[place] = key
        return False

    return _play(hit, trace, size)


def optimal(trace: Keys, size: int) -> Hits:
    """What will not be asked for until last goes: no policy that cannot see ahead does better."""
    next_use, coming = [NEVER] * len(trace), dict[int, int]()
    for at in range(len(trace) - 1, -1, -1):
        next_use[at] = coming.get(int(trace[at]), NEVER)
        coming[int(trace[at])] = at
    kept: dict[int, int] = {}
    moment = iter(next_use)

    def hit(key: int) -> bool:
        known = key in kept
        if not known and len(kept) == size:
            del kept[max(kept, key=kept.__getitem__)]
        kept[key] = next(moment)
        return known

    return _play(hit, trace, size)


def _play(hit: Callable[[int], bool], trace: Keys, size: int) -> Hits:
    _whole(size=size)
    require(np.ndim(trace) == 1 and len(trace) > 0, "trace", trace, "a flat array of key numbers")
    return np.fromiter((hit(int(key)) for key in trace), bool, len(trace))


def _whole(**values: int) -> None:
    for name, value in values.items():
        fits = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1
        require(fits, name, value, "a whole number ≥ 1")
