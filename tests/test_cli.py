"""python -m perflab: the reader's copies, live runs, the doctor's findings, exit statuses."""

import json
import re
import signal
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import psutil
import pytest
from ipykernel.ipkernel import IPythonKernel
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.contents.manager import ContentsManager
from jupyterlab.labapp import LabApp
from traitlets.config import Config, PyFileConfigLoader

from perflab import __main__ as cli
from perflab import doctor
from perflab.book import readers
from perflab.book.readers import copy_chapters
from perflab.book.running import run_chapters
from perflab.errors import PerflabError
from perflab.systems import programs


def notebook(*sources: str, outputs: bool = True) -> dict:
    """A notebook of one heading and code cells, executed or cleared."""
    text = {"cell_type": "markdown", "id": "head", "metadata": {}, "source": "# A chapter"}
    printed = {"output_type": "stream", "name": "stdout", "text": "spoilt\n"}
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {"tags": ["nbval-check-output"], "execution": {"status": "ok"}},
            "source": source,
            "outputs": [printed] if outputs else [],
            "execution_count": number if outputs else None,
        }
        for number, source in enumerate(sources, start=1)
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"kernelspec": kernel}
    return {"cells": [text, *cells], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def put(path: Path, content: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def code(path: Path) -> list[str]:
    return [c["source"] for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two executed chapters, and my/ beside them."""
    put(tmp_path / "notebooks" / "01-one.ipynb", notebook("1 + 1"))
    put(tmp_path / "notebooks" / "02-two.ipynb", notebook("2 + 2"))
    monkeypatch.setenv("PERFLAB_MY", str(tmp_path / "my"))
    monkeypatch.setattr(readers, "NOTEBOOKS", tmp_path / "notebooks")
    return tmp_path


def outcomes(book: Path, **options) -> list[str]:
    copied = copy_chapters(book / "my", **options)
    return [one.outcome for one in copied]


# ── The reader's copies


def test_a_copy_has_the_text_and_no_output(book: Path):
    """A prediction is not spoilt: outputs, counts and traces of a run are gone, tags stay."""
    assert outcomes(book) == ["new", "new"]
    copied = json.loads((book / "my" / "01-one.ipynb").read_text())
    cell = copied["cells"][1]
    assert cell["outputs"] == []
    assert cell["execution_count"] is None
    assert cell["metadata"] == {"tags": ["nbval-check-output"]}
    assert copied["cells"][0]["source"] == "# A chapter"


def test_a_copy_knows_its_kernel(book: Path):
    """What Lab would note in it is there: closed unedited, it is not asked to be saved."""
    outcomes(book)
    copied = json.loads((book / "my" / "01-one.ipynb").read_text())
    assert copied["metadata"]["language_info"] == IPythonKernel.language_info


def test_copying_again_changes_nothing(book: Path):
    """A second start finds every chapter in place, and no file is written anew."""
    outcomes(book)
    before = (book / "my" / "01-one.ipynb").stat().st_mtime_ns
    assert outcomes(book) == ["same", "same"]
    assert (book / "my" / "01-one.ipynb").stat().st_mtime_ns == before


def test_an_edit_is_never_overwritten(book: Path):
    """Neither starting again nor a newer chapter touches what a reader has written."""
    outcomes(book)
    put(book / "my" / "01-one.ipynb", notebook("my own", outputs=False))
    assert outcomes(book) == ["same", "same"]
    put(book / "notebooks" / "01-one.ipynb", notebook("newer"))
    assert outcomes(book) == ["kept", "same"]
    assert code(book / "my" / "01-one.ipynb") == ["my own"]


def test_an_unedited_copy_follows_its_chapter(book: Path):
    """A newer chapter replaces a copy that nobody touched, and nothing is left over."""
    outcomes(book)
    put(book / "notebooks" / "01-one.ipynb", notebook("newer"))
    assert outcomes(book) == ["refreshed", "same"]
    assert code(book / "my" / "01-one.ipynb") == ["newer"]
    assert len(list((book / "my").glob("01-one*"))) == 1


def test_a_copy_that_was_run_keeps_its_figures_under_another_name(book: Path):
    """A reader's outputs outlive the refresh of a chapter they ran but did not edit."""
    outcomes(book)
    put(book / "my" / "01-one.ipynb", notebook("1 + 1", outputs=True))
    put(book / "notebooks" / "01-one.ipynb", notebook("newer"))
    assert outcomes(book) == ["refreshed", "same"]
    assert code(book / "my" / "01-one.ipynb") == ["newer"]
    assert code(book / "my" / f"01-one.{date.today()}.ipynb") == ["1 + 1"]


def test_fresh_puts_edits_aside_each_time_under_a_new_name(book: Path):
    """--fresh gives the chapter anew; earlier copies stay, whatever their number."""
    outcomes(book)
    for text in ("first", "second"):
        put(book / "my" / "01-one.ipynb", notebook(text, outputs=False))
        assert outcomes(book, fresh=True) == ["refreshed", "same"]
    assert code(book / "my" / "01-one.ipynb") == ["1 + 1"]
    assert code(book / "my" / f"01-one.{date.today()}.ipynb") == ["first"]
    assert code(book / "my" / f"01-one.{date.today()}-2.ipynb") == ["second"]


@pytest.mark.parametrize("memory", ["", "[]", '{"01-one.ipynb": "of something else"}'])
def test_without_its_memory_the_copy_counts_as_edited(book: Path, memory: str):
    """A lost or broken .copied.json costs a refresh, never a reader's work."""
    outcomes(book)
    (book / "my" / readers.MEMORY).write_text(memory)
    put(book / "notebooks" / "01-one.ipynb", notebook("newer"))
    assert outcomes(book) == ["kept", "same"]


@pytest.mark.parametrize("content", ["", "{", "{}", '{"cells": 1}', '"text"'])
def test_a_copy_that_is_no_notebook_any_more_is_kept(book: Path, content: str):
    """Half a file after a crash is still the reader's."""
    outcomes(book)
    (book / "my" / "01-one.ipynb").write_text(content)
    put(book / "notebooks" / "01-one.ipynb", notebook("newer"))
    assert outcomes(book) == ["kept", "same"]
    assert (book / "my" / "01-one.ipynb").read_text() == content


@pytest.mark.parametrize("wanted", [["2"], ["02"], ["02-two"], ["02-two.ipynb"]])
def test_a_chapter_is_asked_for_by_number_or_name(book: Path, wanted: list[str]):
    """Only the chosen chapters go into a hand-out."""
    assert outcomes(book, wanted=wanted) == ["new"]
    assert [path.name for path in (book / "my").glob("*.ipynb")] == ["02-two.ipynb"]


@pytest.mark.parametrize("wanted", ["3", "0", "-1", "two", "../01-one", "1.5", ""])
def test_a_chapter_that_does_not_exist_is_refused_by_name(book: Path, wanted: str):
    """The refusal names the argument and what there is, and nothing is copied."""
    with pytest.raises(ValueError, match=r"chapter=.*one of 1, 2"):
        outcomes(book, wanted=[wanted])
    assert not (book / "my").exists()


def test_a_folder_that_cannot_be_written_is_refused_with_a_remedy(book: Path):
    """A file stands where my/ should be: not even root can write into that."""
    (book / "my").write_text("in the way")
    with pytest.raises(PerflabError, match=r"cannot be written.*PERFLAB_MY"):
        outcomes(book)


def test_outside_its_repository_the_book_says_where_it_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An installation without the notebooks beside it names the remedy."""
    monkeypatch.setattr(readers, "NOTEBOOKS", tmp_path)
    with pytest.raises(PerflabError, match="clone"):
        readers.chapters()


def test_perflab_my_moves_the_readers_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """PERFLAB_MY wins, ~ is the home folder, and empty means the repository's my/."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PERFLAB_MY", "~/elsewhere")
    assert readers.my_folder() == tmp_path.resolve() / "elsewhere"
    monkeypatch.setenv("PERFLAB_MY", "")
    assert readers.my_folder() == readers.ROOT / "my"


def typed(path: Path, word: str) -> dict:
    """The notebook with a word of the reader's own in its first cell of code."""
    content = json.loads(path.read_text())
    cell = next(one for one in content["cells"] if one["cell_type"] == "code")
    return content | {"cells": [one | {"source": word} if one is cell else one
                                for one in content["cells"]]}  # fmt: skip


def test_lab_twice_with_an_update_in_between_loses_nothing(
    book: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Edited, run, untouched, and a page of the reader's own: each as it should be after `lab`,
    and the command that `lab` names takes the newer chapter and keeps the edited one."""
    mine, started = book / "my", []

    def become(program, command, environment):
        started.append(command)
        raise SystemExit(0)  # nothing after it is reached

    def lab() -> None:
        with pytest.raises(SystemExit):
            cli.main(["lab", "--no-browser"])

    monkeypatch.setattr(cli.os, "execve", become)
    monkeypatch.setattr(cli.os, "chdir", lambda folder: None)
    for name in ("00-contents", "03-three", "glossary"):
        put(book / "notebooks" / f"{name}.ipynb", notebook("progress()"))
    lab()
    assert "--LabApp.default_url=/lab/tree/00-contents.ipynb" in started[0]
    put(mine / "01-one.ipynb", typed(mine / "01-one.ipynb", "my own"))
    put(mine / "02-two.ipynb", notebook("2 + 2", outputs=True))
    put(mine / "my-notes.ipynb", notebook("notes"))
    (mine / "book.db").write_bytes(b"")
    before = {path.name: path.read_text() for path in mine.iterdir() if path.is_file()}
    capsys.readouterr()
    for name in ("01-one", "02-two", "03-three"):
        put(book / "notebooks" / f"{name}.ipynb", notebook("newer"))
    lab()
    said = capsys.readouterr().out
    assert (mine / "01-one.ipynb").read_text() == before["01-one.ipynb"]
    assert code(mine / "02-two.ipynb") == code(mine / "03-three.ipynb") == ["newer"]
    assert (mine / f"02-two.{date.today()}.ipynb").read_text() == before["02-two.ipynb"]
    assert (mine / "my-notes.ipynb").read_text() == before["my-notes.ipynb"]
    shown = json.loads((mine / "00-contents.ipynb").read_text())["cells"][1]["outputs"][0]["data"]
    (command,) = set(re.findall("«python .* (copy [^»]*)»", said + shown["text/plain"]))
    assert shown["text/plain"].count("«python") == said.count("«python") == 1
    assert cli.main(command.split()) == 0
    assert code(mine / "01-one.ipynb") == ["newer"]
    assert (mine / f"01-one.{date.today()}.ipynb").read_text() == before["01-one.ipynb"]
    capsys.readouterr()
    lab()
    assert "kept" not in capsys.readouterr().out
    assert len(list(mine.glob("0[123]*.ipynb"))) == 5


def test_links_of_a_hand_out_lead_to_what_is_in_it(book: Path):
    """Two chapters of three: the third is named without a link; it is linked once it is there, and
    what a reader has run in between keeps its outputs."""
    for at, path in enumerate(sorted((book / "notebooks").glob("0*.ipynb"))):
        linked = notebook("1")
        other = ("02-two", "01-one")[at]
        linked["cells"][0]["source"] = f"[the other]({other}.ipynb)\n\n# A chapter"
        put(path, linked)
    copy_chapters(book / "out", ["1"])
    head = json.loads((book / "out" / "01-one.ipynb").read_text())["cells"][0]["source"]
    assert head.startswith("the other\n")
    ran = notebook("1")
    ran["cells"][0]["source"] = head
    put(book / "out" / "01-one.ipynb", ran)
    assert str(copy_chapters(book / "out")[0]) == "01-one: as it was"
    found = json.loads((book / "out" / "01-one.ipynb").read_text())["cells"]
    assert found[0]["source"].startswith("[the other](02-two.ipynb)\n")
    assert found[1]["outputs"] == ran["cells"][1]["outputs"]


# ── Lab


def test_lab_keeps_the_readers_own_jupyter_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """No token, setting or kernel of the reader's own changes this Lab, nor is any changed."""
    monkeypatch.setenv("JUPYTER_TOKEN", "")
    monkeypatch.setenv("JUPYTER_PATH", "/somewhere")
    environment = cli.lab_environment(tmp_path)
    assert "JUPYTER_TOKEN" not in environment
    assert "JUPYTER_PATH" not in environment
    assert environment["JUPYTER_CONFIG_PATH"] == str(readers.ROOT / ".jupyter")
    assert environment["JUPYTER_CONFIG_DIR"].startswith(str(tmp_path))
    assert environment["JUPYTER_DATA_DIR"].startswith(str(tmp_path))


def labs_settings() -> Config:
    folder = readers.ROOT / ".jupyter"
    return PyFileConfigLoader("jupyter_lab_config.py", str(folder)).load_config()


def test_labs_settings_are_understood():
    """Each setting is one that JupyterLab has: a misspelt one would be silently without effect."""
    settings = labs_settings()
    owners = (LabApp, ServerApp, KernelManager, KernelSpecManager, ContentsManager)
    known = {owner.__name__: owner.class_trait_names() for owner in owners}
    for owner, values in settings.items():
        assert set(values) <= set(known[owner])
    assert settings.LabApp.news_url is None
    assert settings.LabApp.check_for_updates_class == "jupyterlab.NeverCheckForUpdate"
    assert settings.LabApp.extension_manager == "readonly"
    assert settings.ServerApp.ip == "127.0.0.1"
    assert "token" not in settings.ServerApp | settings.IdentityProvider


def test_a_saved_form_is_a_line_of_text():
    """Its kernel will be gone; all other outputs are saved as they are."""
    form = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "VBox()"}
    book = notebook("one", "two")
    book["cells"][1]["outputs"].append({"output_type": "display_data", "data": form})
    hook = labs_settings().ContentsManager.pre_save_hook
    hook(model={"type": "notebook", "content": book}, path="01-one.ipynb", contents_manager=None)
    printed, shown = book["cells"][1]["outputs"]
    assert printed["text"] == "spoilt\n"
    assert shown["data"] == {"text/plain": "Run this cell to see its form again."}
    hook(model={"type": "file", "content": "text"}, path="a.txt", contents_manager=None)


@pytest.mark.parametrize("name", ["default_setting_overrides", "page_config"])
def test_labs_json_settings_can_be_read(name: str):
    """A comma too many would silently bring the questions back."""
    assert json.loads((readers.ROOT / ".jupyter" / "labconfig" / f"{name}.json").read_text())


# ── Running chapters


def test_a_failing_chapter_is_told_and_the_next_one_runs(book: Path):
    """Each chapter has a fresh kernel in my/; the report has what passed and what failed."""
    put(book / "notebooks" / "01-one.ipynb", notebook("x = 1", "1 / 0", "never = 1"))
    put(
        book / "notebooks" / "02-two.ipynb",
        notebook("assert 'x' not in dir()\nimport os\nos.getcwd()"),
    )
    runs = run_chapters()
    failed, passed = runs.chapters
    assert not runs.passed
    assert failed.error.startswith("code cell 2 of 3 failed")
    assert failed.error.endswith("ZeroDivisionError: division by zero")
    assert passed.error is None
    executed = json.loads((runs.folder / "02-two.ipynb").read_text())
    assert str(book / "my") in json.dumps(executed["cells"][1]["outputs"])
    assert "spoilt" not in (runs.folder / "01-one.ipynb").read_text()
    index = (runs.folder / "index.html").read_text()
    assert "division by zero" in index
    page = (runs.folder / "02-two.html").read_text()
    for text in (index, page):
        assert 'src="http' not in text


def test_a_chapter_without_its_server_runs_to_its_end(book: Path, monkeypatch):
    """It passes, and says how much of it was not run."""
    monkeypatch.delenv("PERFLAB_COMPLETE", raising=False)
    missing = "raise MissingProgramError('no valkey: install it')"
    put(
        book / "notebooks" / "01-one.ipynb",
        notebook(
            "from perflab.book import Chapter\nfrom perflab.errors import MissingProgramError",
            "ch = Chapter(4)",
            f"store = 1\n{missing}",
            "ch.verdict('4.1', True, {'fact': store})",
            "1 + 1",
        ),
    )
    one = run_chapters(["1"]).chapters[0]
    assert one.error is None
    assert one.not_run == 2
    assert str(one).endswith(", 2 of them not run here")


def test_an_interrupt_leaves_no_kernel_behind(book: Path):
    """Ctrl-C in the middle of a cell: its children's context managers run, the kernel goes."""
    started = book / "started"
    cell = f"""
import os, pathlib, time
try:
    pathlib.Path({str(started)!r}).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)
finally:
    pathlib.Path({str(book / "closed")!r}).write_text("")
"""
    put(book / "notebooks" / "01-one.ipynb", notebook(cell))
    script = (
        "import sys, pathlib\n"
        "from perflab.book import readers, running\n"
        "readers.NOTEBOOKS = pathlib.Path(sys.argv[1])\n"
        "running.run_chapters(['1'])"
    )
    command = [sys.executable, "-c", script, str(book / "notebooks")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while not (started.exists() and started.read_text()):
            assert running.poll() is None, running.stderr.read()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert not psutil.pid_exists(int(started.read_text()))
    assert (book / "closed").exists()


# ── The doctor


def test_the_doctor_gives_a_remedy_for_a_missing_package(monkeypatch: pytest.MonkeyPatch):
    """What is not installed is missing, and the finding says how to get it."""
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    missing = [one for one in doctor.software() if one.state == "missing"]
    assert [one.name for one in missing] == ["no-such-package"]
    assert "make.py" in missing[0].remedy


def test_the_doctor_tells_what_a_missing_server_costs(monkeypatch: pytest.MonkeyPatch):
    """The others work: it is a note, with what to install."""
    found = {one.name: one for one in doctor.servers()}
    assert {one.state for one in found.values()} == {"ok"}
    assert "postgres" in found["PostgreSQL"].found
    monkeypatch.setattr(programs, "_candidates", lambda name: iter(()))
    for one in doctor.servers():
        assert one.state == "note"
        assert re.search("pip install .*; until then its experiments say «not run", one.remedy)


def test_the_doctor_finds_a_folder_that_cannot_be_written(book: Path):
    """The finding for my/ carries the remedy that the other commands give."""
    (book / "my").write_text("in the way")
    found = {one.name: one for one in doctor.places()}
    assert found["your folder"].state == "missing"
    assert "PERFLAB_MY" in found["your folder"].remedy


def test_the_doctor_sees_a_taken_port():
    """A port that something listens on is not free, and is free again afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not doctor.port_is_free(port)
    assert doctor.port_is_free(port)


def test_findings_are_aligned_with_remedies_below():
    """Each remedy stands under what it mends."""
    table = doctor.table(
        [
            doctor.Finding("a", "ok", "fine"),
            doctor.Finding("longer", "missing", "gone", "bring it back"),
        ]
    )
    assert table.splitlines() == ["✓ a       fine", "✗ longer  gone", "          → bring it back"]


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("note", 0), ("missing", 1)])
def test_the_doctors_exit_status_tells_whether_something_is_missing(
    state: str, status: int, monkeypatch: pytest.MonkeyPatch
):
    """A note is no failure; something needed and missing is."""
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("x", state, "found")])
    assert cli.main(["doctor"]) == status


# ── Exit statuses


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["run", "--fresh"],
        ["copy"],
        ["lab", "--port", "0"],
        ["lab", "--port", "x"],
        ["reset"],
    ],
)
def test_wrong_use_exits_with_2(arguments: list[str]):
    """A usage error is 2, so that a script can tell it from a chapter that failed."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2


def test_an_unknown_chapter_exits_with_2(book: Path, capsys: pytest.CaptureFixture[str]):
    """A chapter that is not there is wrong use too, and named."""
    assert cli.main(["copy", str(book / "out"), "--chapters", "1,99"]) == 2
    assert "chapter='99'" in capsys.readouterr().err


def test_without_its_packages_the_command_names_the_remedy(tmp_path: Path):
    """Another Python than the environment's gets a sentence, not a traceback."""
    command = [sys.executable, "-S", "-m", "perflab", "doctor"]  # -S: no packages but its own
    done = subprocess.run(command, capture_output=True, text=True, cwd=readers.ROOT, timeout=60)
    assert done.returncode == 1
    assert "is not installed here; python make.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unwritable_folder_exits_with_1_and_no_traceback(
    book: Path, capsys: pytest.CaptureFixture[str]
):
    """What the reader has to mend is said in a sentence."""
    (book / "file").write_text("")
    assert cli.main(["copy", str(book / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_home_that_is_not_there_exits_with_1_and_no_traceback(
    book: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """PERFLAB_MY names a user whom the system does not know."""
    monkeypatch.setenv("PERFLAB_MY", "~nobody-of-this-name/my")
    assert cli.main(["run", "1"]) == 1
    assert "nobody-of-this-name" in capsys.readouterr().err
