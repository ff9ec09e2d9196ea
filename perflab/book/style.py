"""The book's one visual language: sizes, colours, and what they stand for."""

from collections.abc import Sequence
from typing import Any

GUIDE, OURS, THEORY = "#c1440e", "#1f6f8b", "#8a8a8a"
OTHERS = ("#6a4c93", "#3a7d44", "#b8860b", "#8c2f5a")
QUIET = "color:var(--jp-ui-font-color2,#666)"  # of words that stand back, in any theme
PREDICTION, EVENT = "#dbe7ea", "#faeccb"
COLOURS = {
    "guide's": GUIDE,
    "blocked": GUIDE,
    "ours": OURS,
    "interleaved": OURS,
    "measured": OURS,
    "first": OURS,
    "second": GUIDE,
    "found by its key": OURS,
    "has to count": GUIDE,
    "p50": OURS,
    "p90": OTHERS[0],
    "long simulation": OTHERS[0],
    "server": OURS,
    "users": OURS,
    "scan": GUIDE,
    "search": OURS,
    "by index": OURS,
    "plain index": GUIDE,
    "mended index": OURS,
    "N+1": GUIDE,
    "join": OTHERS[0],
    "batches": OURS,
    "with the wait": OURS,
    "statement alone": GUIDE,
    "OFFSET": GUIDE,
    "key": OURS,
    "middleware": GUIDE,
    "by time": OURS,
    "by looks": GUIDE,
    "fills a cache": OURS,
    "leaks": GUIDE,
    "this process": OURS,
    "one client": GUIDE,
    "right limit": OURS,
    "two writes, kept": GUIDE,
    "one write, kept": OURS,
    "plain": THEORY,
    "own memory": OURS,
    "8 × own memory": THEORY,
    "SQLite": OTHERS[0],
    "Valkey": OTHERS[2],
    "PostgreSQL": OTHERS[1],
    "PostgreSQL, a report": OTHERS[3],
    "PostgreSQL, new connection": THEORY,
    "LRU": OURS,
    "optimal": THEORY,
    "clear()": OTHERS[0],
    "interned": OURS,
    "collector on": OURS,
    "a large collection": GUIDE,
    "collector off": THEORY,
    "as they come": THEORY,
    "a new one": THEORY,
    "three in each tier": GUIDE,
    "budget of 10 %": OURS,
    "nothing": GUIDE,
    "bounded queue": OURS,
    "one worker": GUIDE,
    "receipts later": OURS,
    "guide's cache": GUIDE,
    "key at the gateway": OURS,
    "no key": THEORY,
    "no retry": THEORY,
    "retry, no key": GUIDE,
    "retry and key": OURS,
    "fixed window": GUIDE,
    "sliding log": OURS,
    "any length": GUIDE,
    "ten places": OURS,
    "asked for after 5 ms": GUIDE,
    "asked for after 0.5 ms": OURS,
    "law fitted to 1–8": GUIDE,
    "bound": THEORY,
    "before": GUIDE,
    "after": OURS,
    "indexes first": OURS,
    "compression first": GUIDE,
    "indexes": OURS,
    "compression": GUIDE,
    "round robin": GUIDE,
    "least connections": OURS,
    "theory": THEORY,
    "unwatched": THEORY,
    "load generator": THEORY,
}
STATES = {"closed": "#cfe5d6", "open": "#e9b9a8", "half-open": "#f3dc9b"}  # of a breaker
STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "text.parse_math": False,  # a $ is a dollar
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titlepad": 8,
    "lines.linewidth": 1.6,
    "figure.dpi": 100,
}
WIDTH, HEIGHT = 7.6, 1.75  # inches: of the figure, and of a panel of height 1
DASHED = (0, (4, 3))
WORDS = "#555555"


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name: the book's own where it has one, then the others in turn."""
    spare = iter(OTHERS * (1 + len(names) // len(OTHERS)))
    return {name: COLOURS[name] if name in COLOURS else next(spare) for name in names}
