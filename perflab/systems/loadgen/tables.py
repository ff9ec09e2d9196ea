"""A result as tables: a row for each request, a row for each second."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from perflab.systems.loadgen.result import LoadResult


def requests(result: "LoadResult") -> pd.DataFrame:
    """What `LoadResult.to_frame` returns."""
    frame = pd.DataFrame(result.samples).drop(columns=["route", "error"])
    frame.insert(0, "path", np.array(result.paths)[result.route])
    for name in ("service_time", "wait_time", "response_time", "error"):
        frame[name] = getattr(result, name)
    return frame


def seconds(result: "LoadResult") -> pd.DataFrame:
    """What `LoadResult.per_second` returns."""
    rows = int(max(result.window, result.end.max(initial=0.0)) - 1e-9) + 1
    ended, ok, took = result.end.astype(int), result.ok, result.response_time
    frame = pd.DataFrame(
        {
            "intended": np.bincount(result.intended_start.astype(int), minlength=rows),
            "sent": np.bincount(result.start.astype(int), minlength=rows),
            "ok": np.bincount(ended[ok], minlength=rows),
            "errors": np.bincount(ended[~ok], minlength=rows),
        }
    )
    times = pd.Series(took[ok]).groupby(ended[ok])
    for p in (50, 99):
        frame[f"p{p}"] = times.agg(np.percentile, q=p, method="inverted_cdf")
    frame.index.name = "second"
    return frame
