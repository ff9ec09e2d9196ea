"""The record: what is kept, found again, and what happens where nothing can be kept."""

import contextlib
import multiprocessing
import sqlite3
import sys
import threading
import warnings
from dataclasses import replace

import pytest

from perflab.book.records import TABLES, Record
from perflab.errors import DifferentMachinesError
from perflab.measure.machine import Machine


@pytest.fixture
def path(my):
    return my / "book.db"


def write(path, name, count, start):
    """What another kernel does, once all are there."""
    start.wait()
    record = Record(path)
    for number in range(count):
        record.add("runs", claim="1.1", name=name, summary={"number": number})
    record.close()


def test_what_is_added_is_found_by_the_next_kernel(path):
    """Rows come back oldest first, with time and machine, JSON read again."""
    first = Record(path)
    first.add("verdicts", claim="1.1", word="holds", facts={"a": "1"})
    first.add("verdicts", claim="1.2", word="does not hold", facts={})
    first.close()
    again = Record(path)
    assert [row["claim"] for row in again.rows("verdicts")] == ["1.1", "1.2"]
    row = again.last("verdicts", claim="1.1")
    assert row["facts"] == {"a": "1"}
    assert row["machine"] == again.machine.id
    assert row["at"].endswith("+00:00")
    assert again.last("verdicts", claim="1.3") is None


@pytest.mark.parametrize("reset", ["wrong", "wrong'; drop table runs; --", "[runs]"])
def test_values_are_never_read_as_sql(path, reset):
    """What a reader types is data."""
    record = Record(path)
    record.add("answers", exercise=reset, status="right", hint="")
    assert len(record.rows("answers", exercise=reset)) == 1
    assert record.rows("runs") == []


@pytest.mark.parametrize("table", ["nothing", "sqlite_master"])
def test_an_unknown_table_is_named(path, table):
    """A slip of a chapter is an error, not an unwritable record."""
    record = Record(path)
    for act in (record.add, record.rows, record.last):
        with pytest.raises(ValueError, match=f"table='{table}'"):
            act(table, claim="1.1")


def test_an_unknown_column_is_named(path):
    """Also where it is asked for."""
    record = Record(path)
    for act in (record.add, record.rows):
        with pytest.raises(ValueError, match="columns="):
            act("runs", claim="1.1", colour="red")


@pytest.mark.skipif(sys.platform == "win32", reason="forks the kernels, which is quick")
@pytest.mark.parametrize("attempt", range(3))
def test_kernels_begin_a_record_and_write_at_once(path, attempt):
    """No row is lost and nobody falls back to memory, from the first table on."""
    context, names = multiprocessing.get_context("fork"), ["one", "two", "three"]
    start = context.Barrier(len(names))
    others = [context.Process(target=write, args=(path, name, 10, start)) for name in names]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0, 0]
    record = Record(path)
    for name in names:
        kept = [row["summary"]["number"] for row in record.rows("runs", name=name)]
        assert kept == list(range(10))


def test_another_thread_may_write(path):
    """Lab serves a form's button from another thread than the cells."""
    record = Record(path)
    thread = threading.Thread(target=record.add, args=("outcomes",), kwargs={"claim": "1.1"})
    thread.start()
    thread.join()
    assert len(record.rows("outcomes")) == 1


def test_threads_of_one_kernel_write_at_once(path):
    """One connection, many threads: each row is whole, none is lost."""
    record, start = Record(path), threading.Barrier(4)

    def add(number):
        start.wait()
        for _ in range(10):
            record.add("outcomes", claim=f"1.{number}")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(record.rows("outcomes", claim=f"1.{number}")) for number in range(4)] == [10] * 4


def test_a_folder_that_is_a_file_costs_the_memory_only(tmp_path, my):
    """It says so once, and everything works in memory."""
    (tmp_path / "file").write_text("not a folder")
    with pytest.warns(UserWarning, match="nothing is remembered"):
        record = Record(tmp_path / "file" / "book.db")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record.add("outcomes", claim="1.1")
        assert len(record.rows("outcomes")) == 1
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.parametrize("content", [b"no database, but a file of more than a page " * 100])
def test_a_file_that_is_no_database_is_left_alone(path, content):
    """It is not overwritten: it may be somebody's."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="nothing is remembered"):
        record = Record(path)
    record.add("outcomes", claim="1.1")
    assert len(record.rows("outcomes")) == 1
    assert path.read_bytes() == content


def test_a_database_locked_for_long_costs_the_memory_only(path):
    """Somebody holds the file: after its patience the record goes on in memory."""
    Record(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin exclusive")
    with pytest.warns(UserWarning, match="locked"):
        record = Record(path, patience=0)
    record.add("outcomes", claim="1.1")
    assert len(record.rows("outcomes")) == 1
    holder.execute("rollback")
    holder.close()


@pytest.mark.parametrize("lock", ["immediate", "exclusive"])
def test_a_record_that_is_locked_later_goes_on_in_memory(path, lock):
    """What could still be read is not forgotten; the new row is there in any case."""
    record = Record(path, patience=0)
    record.add("outcomes", claim="1.1")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute(f"begin {lock}")
    with pytest.warns(UserWarning, match="nothing is remembered"):
        record.add("outcomes", claim="1.2")
    claims = [row["claim"] for row in record.rows("outcomes")]
    assert claims == (["1.1", "1.2"] if lock == "immediate" else ["1.2"])
    holder.execute("rollback")
    holder.close()


def test_a_result_seen_before_the_prediction_makes_it_hindsight(path):
    """The order of the two decides, and only for the same claim and kind of question."""
    record = Record(path)
    record.add("predictions", claim="1.1", kind="Place", answer=1.0)
    assert not record.knew("1.1", "Place")
    record.add("outcomes", claim="1.1")
    assert not record.knew("1.1", "Place")
    record.add("predictions", claim="1.1", kind="Place", answer=2.0)
    assert record.knew("1.1", "Place")
    record.add("predictions", claim="1.2", kind="Place", answer=2.0)
    assert not record.knew("1.2", "Place")
    assert not record.knew("1.1", "Interval")


def test_runs_of_two_machines_are_not_compared(path):
    """The error names both; a run of this machine's own is compared again."""
    elsewhere = Record(path)
    elsewhere.machine = replace(Machine.here(), cpu="Another CPU")
    elsewhere.add("machines", id=elsewhere.machine.id, label=elsewhere.machine.label)
    elsewhere.add("runs", claim="1.9", name="pay", summary={"rate": 1.0})
    record = Record(path)
    with pytest.raises(DifferentMachinesError, match="Another CPU"):
        record.baseline("1.9", "pay")
    record.add("runs", claim="1.9", name="pay", summary={"rate": 2.0})
    elsewhere.add("runs", claim="1.9", name="pay", summary={"rate": 3.0})
    assert record.baseline("1.9", "pay")["summary"] == {"rate": 2.0}
    assert record.baseline("1.9", "browse") is None


def test_every_table_can_be_written(path):
    """Each takes a row with all of its columns."""
    record = Record(path)
    for table, columns in TABLES.items():
        record.add(table, **{name: kind(1) for name, kind in columns.items() if name != "at"})
        assert record.last(table) is not None


def test_a_file_with_other_columns_is_left_as_it_is(tmp_path):
    """Somebody else's book.db: one warning, the record is kept in memory, the file untouched."""
    path = tmp_path / "book.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("create table verdicts (mine)")
    before = path.read_bytes()
    with pytest.warns(UserWarning, match=r"cannot be written .*verdicts lack .*claim"):
        record = Record(path)
    record.add("verdicts", claim="1.1", word="holds", facts={})
    assert record.last("verdicts")["word"] == "holds"
    record.close()
    assert path.read_bytes() == before
