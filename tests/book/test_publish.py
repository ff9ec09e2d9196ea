"""From text to notebook: two builds differ in live numbers only; a failing one writes nothing."""

import csv
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from perflab.book import publish
from perflab.book.records import Record
from perflab.book.widgets import Live

TEXT = """# ---
# jupyter:
#   kernelspec: {name: other, display_name: Other}
# ---

# %% [markdown]
# # 7 A chapter

# %% tags=["nbval-check-output"] other="dropped"
print("always the same")

# %%
import time
print("live:", time.perf_counter_ns())

# %%
object()
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of one text, and its own table of the reference machine."""
    (tmp_path / "text").mkdir()
    monkeypatch.setattr(publish, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(publish, "TEXT", tmp_path / "text")
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "REFERENCE", tmp_path / "reference.csv")
    path = tmp_path / "text" / "07-small.py"
    path.write_text(TEXT, "utf-8")
    return path


def shown(data, **more):
    return new_output("display_data", data=data, **more)


def tidied(*outputs):
    cell = new_code_cell("x", outputs=list(outputs), execution_count=9)
    cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00Z"}
    notebook = new_notebook(cells=[new_markdown_cell("a"), cell], metadata={"widgets": {"a": 1}})
    publish.tidy(notebook)
    nbformat.validate(notebook)
    assert notebook.metadata == publish.METADATA
    assert cell.execution_count == 1
    assert cell.metadata == {}
    return cell.outputs


def test_two_builds_differ_in_the_live_number_only(book):
    """Built twice in two kernels: the same file but for what was measured."""
    first = publish.publish(book).read_text("utf-8")
    second = publish.publish(book).read_text("utf-8")
    assert first != second
    same = [re.sub(r"live: \d+", "live: …", build) for build in (first, second)]
    assert same[0] == same[1]
    assert "always the same" in first
    assert "0x…" in first


def test_a_new_chapter_comes_into_its_neighbour_and_the_contents(book, capsys):
    """Without executing the neighbour; one whose text says something else by now is left alone."""
    (book.parent / "00-contents.py").write_text("# %% [markdown]\n# # Book\n", "utf-8")
    assert publish.main(["7"]) == 0
    before = nbformat.read(book.parents[1] / "07-small.ipynb", 4)
    assert "→" not in before.cells[0].source
    after = book.parent / "08-next.py"
    after.write_text("# %% [markdown]\n# # 8 The next\n", "utf-8")
    assert publish.main(["8"]) == 0
    assert "07-small.ipynb: links and contents renewed" in capsys.readouterr().out
    found = nbformat.read(book.parents[1] / "07-small.ipynb", 4)
    assert found.cells[0].source.splitlines()[0].endswith("· [8 The next →](08-next.ipynb)")
    assert [cell.get("outputs") for cell in found.cells] == [
        cell.get("outputs") for cell in before.cells
    ]
    assert publish.renew() == []
    book.write_text(TEXT.replace("always", "never"), "utf-8")
    after.write_text("# %% [markdown]\n# # 8 Renamed\n", "utf-8")
    publish.renew()
    assert "Renamed" not in (book.parents[1] / "07-small.ipynb").read_text("utf-8")


def test_a_failing_cell_writes_nothing(book, capsys):
    """The notebook and the reference stay as they were; the error names the chapter."""
    book.write_text("# %%\n1 / 0\n", "utf-8")
    (book.parents[1] / "07-small.ipynb").write_text("as it was")
    publish.REFERENCE.write_text("claim,word,effect,machine\n7.1,holds,as it was,M\n")
    assert publish.main(["7"]) == 1
    said = capsys.readouterr().err
    assert "07-small.py" in said
    assert "ZeroDivisionError" in said
    assert (book.parents[1] / "07-small.ipynb").read_text() == "as it was"
    assert "as it was" in publish.REFERENCE.read_text()


def test_a_text_makes_cells_with_steady_ids_and_tags_only(book):
    """Other metadata, of the notebook or of a cell, is left out."""
    made = publish.notebook_of(book)
    assert [cell.id for cell in made.cells] == ["c000", "c001", "c002", "c003"]
    assert [cell.metadata for cell in made.cells] == [{}, {"tags": ["nbval-check-output"]}, {}, {}]
    assert made.metadata == publish.METADATA


def test_a_chapter_without_a_text_is_named(book):
    """With those that have one."""
    assert publish.texts() == publish.texts([7]) == [book]
    with pytest.raises(ValueError, match="chapter=8: must be one of 7"):
        publish.texts([8])


def test_forms_leave_the_notebook_and_their_words_stay():
    """A form without its kernel is dead; the stream around it becomes one output."""
    outputs = tidied(
        new_output("stream", name="stdout", text="asked\n"),
        shown({publish.WIDGET: {"model_id": "1"}, "text/plain": "VBox()"}),
        new_output("stream", name="stdout", text="answered\n"),
    )
    assert [output.text for output in outputs] == ["asked\nanswered\n"]


def test_streams_of_two_kinds_stay_apart():
    """What was printed and what was warned of are two outputs."""
    outputs = tidied(
        *(
            new_output("stream", name=name, text=text)
            for name, text in (("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d"))
        )
    )
    assert [(output.name, output.text) for output in outputs] == [
        ("stdout", "ab"),
        ("stderr", "c"),
        ("stdout", "d"),
    ]


def test_addresses_are_left_out_wherever_they_stand():
    """An object's place in memory tells nobody anything; other numbers stay."""
    where = "<object at 0x7F3aBc001230> 0x1F"
    outputs = tidied(
        new_output("stream", name="stdout", text=where),
        shown({"text/plain": where, "text/html": where}),
        new_output("execute_result", data={"text/plain": where}, execution_count=9),
    )
    texts = [outputs[0].text, *outputs[1].data.values(), outputs[2].data["text/plain"]]
    assert texts == ["<object at 0x…> 0x1F"] * 4
    assert outputs[2].execution_count == 1


def test_a_live_figure_leaves_one_line(page):
    """What Live shows last has nothing to tidy."""
    from tests.book.test_widgets import OVER

    Live("payments")(OVER)
    (output,) = tidied(shown(page.shown[0]))
    assert output.data == page.shown[0]


def test_the_reference_of_one_chapter_is_replaced(book, my):
    """Others stay; of a claim measured twice the last effect counts; claims in the book's order."""
    record = Record()
    for claim, effect in (("7.10", "b"), ("7.2", "old"), ("7.2", "a")):
        record.add("effects", claim=claim, word="holds", effect=effect)
    publish.REFERENCE.write_text("claim,word,effect,machine\n7.1,,gone,M\n10.1,,kept,M\n")
    publish.keep_reference(record, 7)
    with open(publish.REFERENCE, newline="", encoding="utf-8") as file:
        rows = [(row["claim"], row["effect"], row["machine"]) for row in csv.DictReader(file)]
    here = record.machine.label
    assert rows == [("7.2", "a", here), ("7.10", "b", here), ("10.1", "kept", "M")]
