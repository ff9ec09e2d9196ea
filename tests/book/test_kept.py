"""A load run beside the last one of its name, sample by sample."""

import dataclasses

import pytest

from perflab.book.kept import against_last
from perflab.measure import ModelServer
from perflab.systems import Closed, LoadResult, Open, run_model


def modelled(service=0.001, workload=None):
    return run_model(ModelServer(service=service), workload or Closed(1, requests=2_000))


@pytest.fixture(autouse=True)
def folder(my):
    return my / "runs"


def test_the_first_run_is_kept_for_the_next(folder):
    """The file holds the run whole."""
    result = modelled()
    assert against_last("8 ten clients", result, 99).endswith("kept for the next one")
    assert LoadResult.load(folder / "8-ten-clients.npz").end.tolist() == result.end.tolist()


def test_the_next_is_compared_and_takes_its_place(folder):
    """Each run is compared with the one before it."""
    against_last("x", modelled(), 99)
    assert "p99 × 2.000" in against_last("x", modelled(0.002), 99)
    assert "p99 × 1.000" in against_last("x", modelled(0.002), 99)


def test_another_load_begins_a_series_of_its_own():
    """Runs that were asked different questions are not compared."""
    against_last("x", modelled(), 99)
    assert "another workload" in against_last("x", modelled(workload=Open(100, 20)), 99)
    assert "beside the last" in against_last("x", modelled(workload=Open(100, 20)), 99)


def test_another_machine_is_not_compared():
    """It says whose run the last one was."""
    elsewhere = modelled()
    machine = dataclasses.replace(elsewhere.machine, cpu="another")
    against_last("x", dataclasses.replace(elsewhere, machine=machine), 99)
    assert "not compared" in against_last("x", modelled(), 99)


def test_a_damaged_file_costs_the_comparison_alone(folder):
    """The new run is kept in its place."""
    folder.mkdir(parents=True)
    (folder / "x.npz").write_bytes(b"nothing")
    assert "cannot be read" in against_last("x", modelled(), 99)
    assert "beside the last" in against_last("x", modelled(), 99)


def test_a_folder_that_cannot_be_written_costs_the_keeping_alone(folder):
    """The reader is told."""
    folder.parent.mkdir()
    folder.write_text("a file in the way")
    assert "could not be kept" in against_last("x", modelled(), 99)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", None, 1, "x" * 99])
def test_a_name_that_is_no_files_name_is_refused(name):
    """Nothing is written outside the folder."""
    with pytest.raises(ValueError, match="name="):
        against_last(name, modelled(), 99)
