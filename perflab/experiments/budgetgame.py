"""The budget game: three of eight priced changes, tried live.

Whoever plays is ranked by price, then by queries and bytes a page: those are the same on every
machine. Seconds only decide whether a choice counts at all.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd

from perflab.errors import require
from perflab.experiments.shopfixes import Pages, fill, hit_ratio, path_of
from perflab.experiments.shopload import GZIP, USERS
from perflab.experiments.shoppages import FIXES, RELATED, case_study
from perflab.measure.percentiles import percentile
from perflab.systems import Closed, Route, balancer, link, run_load

CHANGES = {  # letter: what, days of work
    "I": ("indexes and rewritten queries", 3),
    "C": ("a cache", 3),
    "P": ("a connection pool", 1),
    "Z": ("compression", 1),
    "R": ("30 related products instead of 90", 1),
    "W": ("the cache filled before the doors open", 2),
    "L": ("a link of twice the bandwidth", 4),
    "S": ("a second web server behind a balancer", 4),
}
PICKS = 3
SHORT = 30
BANDWIDTH, DELAY = 20e6, 0.005
SEEN = 200  # visits that the cache has seen where it was not filled on purpose


def prices() -> pd.DataFrame:
    """What can be had, and for how many days of work."""
    return pd.DataFrame(
        {letter: {"change": what, "days": days} for letter, (what, days) in CHANGES.items()}
    ).T


@dataclass(frozen=True)
class Played:
    """One choice, tried: days, p95 in seconds, and queries and bytes a page."""

    choice: str
    days: int
    p95: float
    queries: float
    sent: float

    def against(self, line: float) -> str:
        """The card to show: whether it counts, and what it is ranked by."""
        word = "below the line" if self.p95 < line else "ABOVE the line"
        return (
            f"{self.choice}: {self.days} days · p95 {1e3 * self.p95:.0f} ms, {word} of "
            f"{1e3 * line:.0f} · {self.queries:.1f} queries and {self.sent:,.0f} bytes a page"
        )


def play(
    choice: str, app: Any, database: Any, cache: Any, visited: Sequence[int], seconds: float = 4.0
) -> Played:
    """Try three changes with four users for so many seconds, or until 200 pages are there.

    ValueError for what is no choice of three different changes.
    """
    letters = sorted(set(choice), key=list(CHANGES).index) if set(choice) <= set(CHANGES) else []
    allowed = f"{PICKS} different letters of {''.join(CHANGES)}"
    require(len(letters) == len(choice) == PICKS, "choice", choice, allowed)
    use = "".join(letter for letter in letters if letter in FIXES)
    related = SHORT if "R" in letters else RELATED
    fill(app, cache, visited if "W" in letters else visited[:SEEN], related)
    paths = [path_of(product, use, related) for product in visited[SEEN:]]
    with _shop(letters, app, database, cache) as line:
        run = run_load(
            line, Closed(USERS, seconds, requests=200), timeout=60.0,
            route=[Route(path, headers=GZIP) for path in paths],
        )  # fmt: skip
    page = Pages(app)
    _, costs, _, _ = page.get(path_of(visited[0], use.replace("C", ""), related))
    _, _, sent, _ = page.get(path_of(visited[0], use, related))
    page.close()
    missed = 1.0 if "C" not in letters else 0.0 if "W" in letters else 1 - hit_ratio(SEEN)
    times = run.response_time[run.ok]
    days = sum(CHANGES[letter][1] for letter in letters)
    p95 = percentile(times, 95, estimate=True)
    return Played("".join(letters), days, p95, missed * costs["queries"], sent)


@contextmanager
def _shop(letters: Sequence[str], app: Any, database: Any, cache: Any) -> Iterator[Any]:
    """The way to the shop, with the changes that are made outside of the page."""
    with ExitStack() as stack:
        front = app
        if "S" in letters:
            second = stack.enter_context(case_study(database, cache))
            front = stack.enter_context(balancer([app, second]))
        bandwidth = BANDWIDTH * (2 if "L" in letters else 1)
        yield stack.enter_context(link(front, bandwidth=bandwidth, delay=DELAY))
