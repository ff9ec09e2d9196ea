"""A result in a file: arrays and one JSON text in a .npz, which `numpy.load` opens as well.

Nothing is ever unpickled. A file may come from anyone: sizes and types are checked against the
archive's own figures before memory is taken for them, and values before a result is made of them.
"""

import json
import os
import secrets
import zipfile
import zlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from perflab.errors import require
from perflab.measure.machine import Machine
from perflab.systems.loadgen.progress import READING_TYPE, SAMPLE_TYPE
from perflab.systems.loadgen.result import LoadResult
from perflab.systems.loadgen.wire import ERRORS
from perflab.systems.loadgen.workload import MOST_REQUESTS, Closed, Open, Workload

FORMAT, VERSION = "perflab load result", 1
FACTS, SAMPLES, READINGS, ARRIVALS = "facts", "samples", "readings", "arrivals"
TYPES = {
    FACTS: (np.dtype(np.uint8), 64 << 20),  # JSON as UTF-8; 50,000 routes have room in it
    SAMPLES: (SAMPLE_TYPE, MOST_REQUESTS),
    READINGS: (READING_TYPE, MOST_REQUESTS),
    ARRIVALS: (np.dtype("<f8"), MOST_REQUESTS),  # only where the workload is a schedule
}
LATEST = 1e6  # seconds; no run lasts so long, and a table by the second stays small
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ArithmeticError, RuntimeError,
          LookupError, TypeError, ValueError, MemoryError)  # fmt: skip


class _NotOursError(ValueError):
    """What is wrong with the file, in words that its reader is to see as they are."""


def save(result: LoadResult, path: str | Path) -> Path:
    """Write `result` to `path` and return that; an older file stays whole until this one is.

    OSError where it cannot be written, TypeError for settings that JSON does not know.
    """
    path = Path(path)
    text = json.dumps(_facts_of(result), ensure_ascii=False).encode("utf-8", "surrogatepass")
    arrays = {FACTS: np.frombuffer(text, np.uint8), SAMPLES: result.samples,
              READINGS: result.readings}  # fmt: skip
    if isinstance(result.workload, Open) and not isinstance(result.workload.arrivals, str):
        arrays[ARRIVALS] = np.asarray(result.workload.arrivals, "<f8")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(beside, "xb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return path


def load(path: str | Path) -> LoadResult:
    """The result that `save` wrote.

    ValueError, which says why, for a file that is none, was written by another version, is
    damaged or holds what no run can have brought; OSError where it cannot be read.
    """
    named = isinstance(path, str | Path)
    require(named, "path", path, "a file's path")
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _result(_arrays(archive))
        except _NotOursError as wrong:
            raise ValueError(f"{path}: {wrong}") from None
        except zipfile.BadZipFile as error:
            reason = f"no load result, or one cut short: {error}"
            raise ValueError(f"{path}: {reason}") from error
        except DAMAGE as error:
            reason = f"a damaged load result: {type(error).__name__}: {error}"
            raise ValueError(f"{path}: {reason}") from error


def _facts_of(result: LoadResult) -> dict[str, Any]:
    workload = asdict(result.workload)
    if isinstance(result.workload, Open) and not isinstance(result.workload.arrivals, str):
        workload["arrivals"] = None
    return {"format": FORMAT, "version": VERSION, "target": result.target,
            "paths": result.paths, "kind": type(result.workload).__name__, "workload": workload,
            "settings": result.settings, "not_sent": result.not_sent, "t0": result.t0,
            "machine": asdict(result.machine)}  # fmt: skip


def _arrays(archive: zipfile.ZipFile) -> dict[str, NDArray[Any]]:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    _expect(FACTS in members, "no load result")
    facts = _array(archive, members[FACTS], FACTS)
    _check_version(facts)  # first: another version may have other arrays
    ours = {SAMPLES, READINGS} <= members.keys() <= TYPES.keys()
    _expect(ours, f"holds {', '.join(sorted(members))[:200]}")
    return {name: _array(archive, info, name) for name, info in members.items()}


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> NDArray[Any]:
    """One array of the very type and of the length that the archive says."""
    expected, most = TYPES[name]
    usual = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    _expect(usual, f"{name} are packed in an unknown way")
    with archive.open(info) as member:
        _expect(np.lib.format.read_magic(member) == (1, 0), f"{name} in an unknown format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
        size = info.file_size - member.tell()
        _expect(dtype == expected and dtype.fields == expected.fields, f"{name} of another type")
        _expect(len(shape) == 1 and not fortran and 0 <= shape[0] <= most, f"{name} of {shape}")
        _expect(shape[0] * dtype.itemsize == size, f"{name} of another length than they say")
        array = np.empty(shape, dtype)
        _fill(array.view(np.uint8), member)
    array.flags.writeable = False
    return array


def _fill(room: NDArray[np.uint8], member: IO[bytes]) -> None:
    """Read the rest of a member; with its last piece the archive compares the checksum."""
    at = 0
    while at < room.size:
        data = member.read(min(room.size - at, 1 << 20))  # in pieces: no second copy of it all
        _expect(bool(data), "cut short")
        room[at : at + len(data)] = np.frombuffer(data, np.uint8)
        at += len(data)


def _facts(array: NDArray[Any]) -> dict[str, Any]:
    facts = json.loads(array.tobytes().decode("utf-8", "surrogatepass"))
    _expect(isinstance(facts, dict) and facts.get("format") == FORMAT, "no load result")
    return dict(facts)


def _check_version(array: NDArray[Any]) -> None:
    version = _facts(array).get("version")
    _expect(version == VERSION and type(version) is int,
            f"written in format {str(version)[:20]}; this perflab reads {VERSION}")  # fmt: skip


def _result(arrays: dict[str, NDArray[Any]]) -> LoadResult:
    facts = _facts(arrays[FACTS])
    samples, paths, not_sent = arrays[SAMPLES], facts["paths"], facts["not_sent"]
    _expect(isinstance(facts["target"], str) and isinstance(facts["settings"], dict),
            "target or settings of another kind")  # fmt: skip
    _expect(isinstance(paths, list) and all(isinstance(path, str) for path in paths), "bad paths")
    _expect(type(not_sent) is int and 0 <= not_sent <= MOST_REQUESTS, "not_sent is no count")
    _expect(type(facts["t0"]) is float, "t0 is no time")
    _check_samples(samples, len(paths))
    return LoadResult(
        target=facts["target"],
        paths=tuple(paths),
        workload=_workload(facts, arrays.get(ARRIVALS)),
        settings=facts["settings"],
        samples=samples,
        readings=arrays[READINGS],
        not_sent=not_sent,
        t0=facts["t0"],
        machine=_machine(facts["machine"]),
    )


def _check_samples(samples: NDArray[np.void], routes: int) -> None:
    """Nothing that a method of the result would fail on, or take memory without bound for."""
    for name in ("intended_start", "start", "end"):
        times = samples[name]
        _expect(bool(((times >= 0) & (times <= LATEST)).all()), f"{name} outside of any run")
    _expect(bool((np.diff(samples["intended_start"]) >= 0).all()), "requests out of order")
    _expect(bool((samples["end"] >= samples["intended_start"]).all()), "ends before its start")
    _expect(int(samples["error"].max(initial=0)) < len(ERRORS), "an unknown kind of error")
    _expect(samples.size == 0 or int(samples["route"].max()) < routes, "a route without a name")


def _workload(facts: dict[str, Any], arrivals: NDArray[np.float64] | None) -> Workload:
    given = dict(facts["workload"])
    _expect(facts["kind"] in ("Open", "Closed"), "an unknown kind of workload")
    if facts["kind"] == "Closed":
        return Closed(**given)
    scheduled = given["arrivals"] is None
    _expect(scheduled == (arrivals is not None), "a schedule too many or too few")
    return Open(**given | {"arrivals": arrivals}) if scheduled else Open(**given)


def _machine(given: dict[str, Any]) -> Machine:
    machine = Machine(**given)
    for field in fields(Machine):
        kind = type(getattr(machine, field.name))
        _expect(kind is field.type or kind.__name__ == field.type, f"machine.{field.name}")
    return machine


def _expect(condition: bool, wrong: str) -> None:
    if not condition:
        raise _NotOursError(wrong)
