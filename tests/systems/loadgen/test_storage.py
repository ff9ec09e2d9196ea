"""A result in a file: the same when it comes back, and nothing but a result comes back."""

import dataclasses
import io
import json
import math
import pickle
import random
import zipfile

import numpy as np
import pytest

from perflab.measure.machine import Machine
from perflab.systems import Closed, LoadResult, Open
from perflab.systems.loadgen.progress import READING_TYPE, SAMPLE_TYPE
from perflab.systems.loadgen.wire import ERRORS


def run(workload=None, n=200):
    """A result with something else in each field of each record."""
    rng = np.random.default_rng(4)
    samples = np.zeros(n, SAMPLE_TYPE)
    for name in SAMPLE_TYPE.names:
        samples[name] = rng.integers(len(ERRORS), size=n) + 1 / 3 * (name == "lateness")
    samples["intended_start"] = samples["start"] = np.sort(rng.random(n))
    samples["end"] = samples["start"] + rng.random(n)
    samples["error"] //= 2
    samples["route"] %= 2
    readings = np.full(3, np.nan, READING_TYPE)
    readings["time"] = (0, 0.1, 1 / 3)
    settings = {"warm_up": 0.1, "timeout": 10.0, "connections": 64, "seed": 1}
    return LoadResult(
        "http://127.0.0.1:1", ("/", "POST /pay"), workload or Open(200, 1.0), settings, samples,
        readings, 17, 1234.000_000_1, Machine.here(),
    )  # fmt: skip


def same(one, other):
    for field in dataclasses.fields(LoadResult):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype
            assert ours.tobytes() == theirs.tobytes()  # nan and all
        elif field.name != "workload":
            assert ours == theirs
    assert type(one.workload) is type(other.workload)
    for field in dataclasses.fields(one.workload):
        ours, theirs = (getattr(each.workload, field.name) for each in (one, other))
        assert np.array_equal(ours, theirs)
        assert type(ours) is type(theirs)


@pytest.mark.parametrize(
    "workload",
    [
        Open(200, 1.0),
        Open(200.5, 1.5, arrivals="poisson"),
        Open(arrivals=[0, 0.1, 0.1, 1 / 3], duration=2),
        Closed(8, duration=1.5, requests=100, think_time=0.001),
        Closed(8, requests=100),
    ],
    ids=str,
)
def test_a_result_comes_back_as_it_was(tmp_path, workload):
    """Every array to the last bit, every workload with its schedule."""
    result = run(workload)
    assert result.save(tmp_path / "run.npz") == tmp_path / "run.npz"
    again = LoadResult.load(tmp_path / "run.npz")
    same(result, again)
    with pytest.raises(ValueError, match="read-only"):
        again.start[0] = 5
    assert repr(again) == repr(result)


def test_a_run_without_a_request_comes_back_too(tmp_path):
    """Nothing measured is a result as well."""
    result = run(n=0)
    result = dataclasses.replace(result, readings=result.readings[:0])
    same(result, LoadResult.load(str(result.save(str(tmp_path / "run.npz")))))


def test_numpy_opens_the_file_without_unpickling(tmp_path):
    """Whoever does not have this package reads the arrays all the same."""
    result = run()
    with np.load(result.save(tmp_path / "run.npz"), allow_pickle=False) as arrays:
        assert np.array_equal(arrays["samples"], result.samples)
        assert json.loads(arrays["facts"].tobytes())["paths"] == ["/", "POST /pay"]


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    """A disk that fills up half-way leaves the older result, and no litter beside it."""
    path = run(n=5).save(tmp_path / "run.npz")
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        run(n=6).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_may_be_read_by_whom_any_new_file_may(tmp_path):
    """A saved result is like any other file, and no temporary one that is its owner's alone."""
    (tmp_path / "plain").touch()
    saved = run(n=1).save(tmp_path / "run.npz")
    assert saved.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path):
    """That is no fault of a file's contents; nor is a folder that is missing."""
    with pytest.raises(FileNotFoundError):
        LoadResult.load(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError):
        run(n=1).save(tmp_path / "none" / "run.npz")


class Trap:
    """Something that would be known if it were unpickled."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


def parts_of(result, tmp_path):
    with np.load(result.save(tmp_path / "whole.npz")) as arrays:
        return {name: arrays[name] for name in arrays.files}


def written(parts, tmp_path):
    path = tmp_path / "run.npz"
    with open(path, "wb") as file:
        np.savez(file, **parts)
    return path


def changed(parts, **facts):
    told = json.loads(parts["facts"].tobytes()) | facts
    return parts | {"facts": np.frombuffer(json.dumps(told).encode(), np.uint8)}


def with_samples(parts, name, index, value):
    samples = parts["samples"].copy()
    samples[name][index] = value
    return parts | {"samples": samples}


def test_another_version_is_named(tmp_path):
    """Before anything else is looked at, since the rest may look otherwise then."""
    parts = changed(parts_of(run(), tmp_path), version=2) | {"more": np.zeros(1)}
    with pytest.raises(ValueError, match=r"format 2.*reads 1"):
        LoadResult.load(written(parts, tmp_path))


@pytest.mark.parametrize(
    "content", [b"", b"hello", pickle.dumps(Trap()), b"PK\x03\x04", b"PK\x05\x06" + bytes(18)]
)
def test_a_file_of_another_kind_is_none_of_ours(tmp_path, content):
    """Empty, text, a pickle, half an archive, an empty archive."""
    path = tmp_path / "run.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no load result"):
        LoadResult.load(path)
    assert not Trap.sprung


def test_an_archive_of_other_arrays_is_none_of_ours(tmp_path):
    """Any .npz, and JSON of something else."""
    with pytest.raises(ValueError, match="no load result"):
        LoadResult.load(written({"x": np.zeros(3)}, tmp_path))
    other = {"facts": np.frombuffer(b"[1]", np.uint8)}
    with pytest.raises(ValueError, match="no load result"):
        LoadResult.load(written(other, tmp_path))


@pytest.mark.parametrize("name", ["facts", "samples", "readings"])
def test_objects_are_not_unpickled(tmp_path, name):
    """An array of objects is refused for its type, before its contents are looked at."""
    parts = parts_of(run(), tmp_path) | {name: np.array([Trap()], dtype=object)}
    with pytest.raises(ValueError, match=f"{name} of another type"):
        LoadResult.load(written(parts, tmp_path))
    assert not Trap.sprung


HOSTILE = {
    "samples of floats": lambda p: p | {"samples": np.zeros(9)},
    "samples in rows": lambda p: p | {"samples": p["samples"].reshape(2, -1)},
    "other byte order": lambda p: p | {"samples": p["samples"].astype(
        SAMPLE_TYPE.newbyteorder(">"))},
    "a time of nan": lambda p: with_samples(p, "end", 3, math.nan),
    "a time without end": lambda p: with_samples(p, "end", 3, 1e18),
    "a time before the run": lambda p: with_samples(p, "start", 3, -1),
    "out of order": lambda p: with_samples(p, "intended_start", 0, 1.0),
    "an end before its start": lambda p: with_samples(p, "end", 3, 0),
    "a kind of error unknown": lambda p: with_samples(p, "error", 3, len(ERRORS)),
    "a route unknown": lambda p: with_samples(p, "route", 3, 2),
    "no readings": lambda p: {n: a for n, a in p.items() if n != "readings"},
    "one array more": lambda p: p | {"more": np.zeros(1)},
    "a schedule too many": lambda p: p | {"arrivals": np.zeros(1)},
    "a schedule too few": lambda p: changed(p, workload={"rate": None, "duration": 1,
                                                         "arrivals": None}),
    "users of nan": lambda p: changed(p, kind="Closed", workload={"users": math.nan}),
    "a workload of os.system": lambda p: changed(p, kind="system", workload={}),
    "a workload in words": lambda p: changed(p, workload="Open"),
    "fields of another kind": lambda p: changed(p, workload={"speed": 1}),
    "no machine": lambda p: changed(p, machine=None),
    "a machine of no cores": lambda p: changed(p, machine=json.loads(
        p["facts"].tobytes())["machine"] | {"cores": "2"}),
    "not sent: many": lambda p: changed(p, not_sent=-1),
    "not sent: true": lambda p: changed(p, not_sent=True),
    "a name that is no text": lambda p: changed(p, paths=["/", 1]),
    "t0 in words": lambda p: changed(p, t0="now"),
    "settings in words": lambda p: changed(p, settings="none"),
    "facts cut short": lambda p: p | {"facts": p["facts"][:-1]},
    "facts too deep": lambda p: p | {"facts": np.frombuffer(b"[" * 200_000, np.uint8)},
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_no_run_can_have_brought_is_refused(tmp_path, case):
    """With ValueError and the file's name, whatever it is."""
    path = written(HOSTILE[case](parts_of(run(), tmp_path)), tmp_path)
    with pytest.raises(ValueError, match=r"run\.npz: "):
        LoadResult.load(path)


def test_the_parts_that_the_hostile_files_are_made_of_are_good(tmp_path):
    """Put together unchanged they are a result: the refusals above are not of the joints."""
    result = run()
    same(result, LoadResult.load(written(parts_of(result, tmp_path), tmp_path)))


def test_a_length_that_is_not_there_takes_no_memory(tmp_path):
    """A header that promises a terabyte, or a million samples, over an empty body."""
    parts = parts_of(run(), tmp_path)
    for length in (1_000_000, 20_000_000_000):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": SAMPLE_TYPE.descr, "fortran_order": False, "shape": (length,)}
        )
        path = written({n: a for n, a in parts.items() if n != "samples"}, tmp_path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("samples.npy", header.getvalue())
        with pytest.raises(ValueError, match="samples of"):
            LoadResult.load(path)


def test_a_damaged_file_is_refused_or_harmless(tmp_path):
    """Cut anywhere it is refused; with any byte changed it is refused, or the very same still
    (some bytes of an archive, its dates for one, say nothing)."""
    result, rng = run(n=20), random.Random(6)
    whole = result.save(tmp_path / "run.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    for cut in range(0, len(whole), 37):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"damaged\.npz: "):
            LoadResult.load(path)
    refused = 0
    for at in rng.sample(range(len(whole)), 600):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ rng.randrange(1, 256)]) + whole[at + 1 :])
        try:
            again = LoadResult.load(path)
        except ValueError:
            refused += 1
        else:
            same(result, again)
    assert refused > 300
