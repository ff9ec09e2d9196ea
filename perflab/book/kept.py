"""Load runs that the reader keeps: one file for each name in my/runs, the last run of that name."""

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np

from perflab.book.readers import my_folder
from perflab.errors import DifferentMachinesError, TooFewSamplesError, require
from perflab.systems import LoadResult

NAME = re.compile(r"\w[\w .-]{0,79}")


def against_last(name: str, result: LoadResult, p: float) -> str:
    """Compare a run with the last one of this name, keep it in its place, and say what was seen.

    Runs of another machine or another workload are not compared: a new series begins, and says so.
    ValueError for a name that is no file's name, and for what is no result.
    """
    named = isinstance(name, str) and NAME.fullmatch(name) is not None
    require(named, "name", name, "a short name: letters, digits, spaces, dots, hyphens")
    require(isinstance(result, LoadResult), "result", result, "a LoadResult")
    path = my_folder() / "runs" / f"{name.replace(' ', '-')}.npz"
    said = _compared(path, result, p) if path.exists() else "the first run, kept for the next one"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        result.save(path)
    except OSError as error:
        said += f" (this run could not be kept: {error})"
    return f"{name}: {said}"


def _compared(path: Path, result: LoadResult, p: float) -> str:
    try:
        last = LoadResult.load(path)
        if not _same_load(last, result):
            return "the last run had another workload, so a new series begins"
        return f"this run beside the last, {last.compare(result, p)}"
    except DifferentMachinesError as refused:
        return f"{refused} A new series begins"
    except TooFewSamplesError as refused:
        return str(refused)
    except (ValueError, OSError) as error:
        return f"the last run cannot be read, so a new series begins ({error})"


def _same_load(one: LoadResult, other: LoadResult) -> bool:
    """Whether both were asked the same: a schedule of arrivals may be an array."""
    asked = [(type(run.workload).__name__, run.paths) for run in (one, other)]
    settings = [asdict(run.workload).values() for run in (one, other)]
    return asked[0] == asked[1] and all(map(np.array_equal, *settings))
