"""Does memory grow for good? The slope of its floor tells, not its height.

What a program holds goes up and down: garbage is collected late, caches fill, tables are loaded.
The least that it held in a stretch of time, its floor, is what nobody would give back. A leak
lifts the floor again and again, by about as much each time; nothing else does.

The trend is tested as H. B. Mann, "Nonparametric tests against trend", Econometrica 13 (1945),
tests it, by counting pairs in order; the slope is the median of all pairs' slopes (P. K. Sen,
"Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968).
"""

import itertools
import math
import statistics
from collections import deque
from dataclasses import dataclass

from perflab.errors import is_number, is_whole, require

BLOCKS = 12  # stretches of a window; each has one floor
OUT_OF_ORDER = 6  # pairs of floors, of 66; without a trend so few are a matter of 1 in 45,000
STEADY = 0.6  # share of the whole window's slope that each half of it has at least
IN_A_ROW = 2  # windows, each a block later than the one before, that have to agree


@dataclass(frozen=True, slots=True)
class LeakStats:
    """What a detector knows at one moment."""

    floors: tuple[int, ...]  # bytes, the least held in each whole block, oldest first
    slope: float  # bytes a second by which the floor rises; NaN until the window is full
    leaking: bool  # false until the window is full


class LeakDetector:
    """Told from time to time what a process holds; says whether its floor keeps rising.

    `window` is how far back it looks, in seconds. A leak is told after a window and a block, or a
    little more; a warm-up is told from a leak where its time constant is a sixth of the window or
    less, and garbage where a block sees several collections. Load that rises for a whole window
    lifts the floor like a leak: take one as long as the load's own wave. Rises of less than
    `least` bytes in a window are no leak.

    State: `_floors`, of the last BLOCKS whole blocks, and `_agreed`, how many windows in a row
    have risen; `_block` and `_floor`, number and least size of the block that is under way;
    `_origin` and `_last`, the times of the first and the latest size.
    """

    def __init__(self, window: float = 7200.0, *, least: int = 1 << 20) -> None:
        number = is_number(window) and 0 < window < 1e9
        require(number, "window", window, "seconds > 0, below a billion")
        whole = is_whole(least) and least >= 0
        require(whole, "least", least, "a whole number of bytes, at least 0")
        self._length = window / BLOCKS
        self._least = least
        self._floors: deque[int] = deque(maxlen=BLOCKS)
        self._agreed = 0
        self._block = -2  # so that no block follows it
        self._floor = 0
        self._origin: float | None = None
        self._last = -math.inf

    def add(self, seconds: float, size: int) -> bool:
        """Note that `size` bytes are held at `seconds` of any clock; true while it leaks.

        Where a whole block goes by without a word, all before it is forgotten. ValueError for a
        time before the last one and for what is no size.
        """
        later = is_number(seconds) and self._last <= seconds < math.inf
        require(later, "seconds", seconds, f"a time, and none before {self._last:g}")
        whole = is_whole(size) and size >= 0
        require(whole, "size", size, "a whole number of bytes, at least 0")
        self._origin = seconds if self._origin is None else self._origin
        self._last = seconds
        block = math.floor((seconds - self._origin) / self._length)
        if block == self._block:
            self._floor = min(self._floor, size)
        else:
            self._begin(block, size)
        return self._agreed >= IN_A_ROW

    def _begin(self, block: int, size: int) -> None:
        """The block before is whole now; or it lies further back, and nothing is known between."""
        if block == self._block + 1:
            self._floors.append(self._floor)
        else:
            self._floors.clear()
        self._agreed = self._agreed + 1 if _rises(self._floors, self._least) else 0
        self._block, self._floor = block, size

    def stats(self) -> LeakStats:
        """A snapshot."""
        full = len(self._floors) == BLOCKS
        slope = _slope(list(self._floors)) / self._length if full else math.nan
        return LeakStats(tuple(self._floors), slope, self._agreed >= IN_A_ROW)


def _rises(window: deque[int], least: int) -> bool:
    """Whether these floors rise for good. Of four things that lift a floor only a leak does all:

    1. It rises by `least` at least in a window: the system's own pages do not.
    2. Nearly all floors are in order: chance does not do that.
    3. The older half of the window rises like the whole, and 4. so does the newer half: what is
       loaded once lifts one of them, and a warm-up lifts the older far more than the newer.
    """
    if len(window) < BLOCKS:
        return False
    floors = list(window)
    slope = _slope(floors)
    disorder = sum(later <= earlier for earlier, later in itertools.combinations(floors, 2))
    if slope * (BLOCKS - 1) < max(least, 1) or disorder > OUT_OF_ORDER:
        return False
    halves = floors[: BLOCKS // 2], floors[BLOCKS // 2 :]
    return all(_slope(half) >= STEADY * slope for half in halves)


def _slope(floors: list[int]) -> float:
    """Bytes by which the floor rises from one block to the next: Sen's median of all pairs."""
    pairs = itertools.combinations(enumerate(floors), 2)
    return statistics.median((later - earlier) / (j - i) for (i, earlier), (j, later) in pairs)
