"""Three ways to hold some 30 MB, for the tools that say who holds what.

In a module of its own, for memory_profiler's `%mprun` wants its functions in a file.
"""

import sqlite3

import numpy as np
from numpy.typing import NDArray

ROWS = 29_000  # of a thousand letters


def database() -> sqlite3.Connection:
    """In SQLite's own memory."""
    kept = sqlite3.connect(":memory:")
    kept.execute("create table kept (text)")
    kept.executemany("insert into kept values (?)", (("x" * 1_000,) for _ in range(ROWS)))
    return kept


def array() -> NDArray[np.float64]:
    """In one block."""
    return np.ones(3_750_000)


def objects() -> list[str]:
    """In half a million small ones."""
    return [str(number) for number in range(500_000)]


def all_three() -> int:
    rows = database()
    block = array()
    texts = objects()
    return rows.total_changes + len(block) + len(texts)
