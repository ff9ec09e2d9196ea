"""What profilers found, as tables without the paths of this machine."""

import cProfile
import linecache
import tracemalloc
from typing import Any

import pandas as pd

MIB = 1 << 20  # memory_profiler's unit


def time_by_function(profile: cProfile.Profile) -> pd.DataFrame:
    """A row for each Python function that cProfile saw, the longest first: how often it was called,
    its own time, and its time with all that it called, as a share of the longest."""
    entries = [entry for entry in profile.getstats() if not isinstance(entry.code, str)]
    longest = max((entry.totaltime for entry in entries), default=0) or 1.0
    rows = [
        {
            "function": entry.code.co_name,  # type: ignore[union-attr]  # no text, see above
            "calls": entry.callcount,
            "own ms": round(1e3 * entry.inlinetime, 1),
            "with callees (ms)": round(1e3 * entry.totaltime, 1),
            "%": round(100 * entry.totaltime / longest),
        }
        for entry in entries
    ]
    table = pd.DataFrame(rows).set_index("function")
    return table.sort_values("with callees (ms)", ascending=False)


def time_by_line(found: Any) -> pd.DataFrame:
    """A row for each line of each function that line_profiler watched (`%lprun -r`)."""
    stats = found.get_stats()
    rows = []
    for (file, _, function), lines in sorted(stats.timings.items()):
        total = sum(ticks for _, _, ticks in lines) or 1
        rows += [
            {
                "function": function.rpartition(".")[2],
                "line": linecache.getline(file, number).strip(),
                "hits": hits,
                "ms": round(1e3 * ticks * stats.unit, 1),
                "% of function": round(100 * ticks / total),
            }
            for number, hits, ticks in lines
        ]
    return pd.DataFrame(rows).set_index("function")


def memory_by_line(found: Any) -> pd.DataFrame:
    """A row for each line that memory_profiler watched (`%mprun -r`): resident memory after it and
    what it added, in MB; a line that frees what came before takes away."""
    rows = [
        {
            "line": linecache.getline(file, number).strip(),
            "resident (MB)": round(seen[1] * MIB / 1e6, 1),
            "added (MB)": round(seen[0] * MIB / 1e6, 1),
        }
        for file, lines in found.code_map.items()
        for number, seen in lines
        if seen
    ]
    return pd.DataFrame(rows).set_index("line")


def source_line(found: tracemalloc.Statistic | tracemalloc.StatisticDiff) -> str:
    """The line of source that allocated."""
    frame = found.traceback[0]
    return linecache.getline(frame.filename, frame.lineno).strip()
