"""A machine without a server: its cells say «not run here», the others run, and CI fails."""

import os

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient
from traitlets.config import Config

from perflab.book import absent
from perflab.book.absent import says_so
from perflab.book.publish import notebook_of, texts

BEGIN = """
from perflab.book import Chapter
from perflab.errors import MissingProgramError, OtherSystemError

def valkey():
    raise MissingProgramError("no Valkey here: install it")

ch = Chapter(4)
"""
HIDE = "from perflab.systems import programs\nprograms._candidates = lambda name: iter(())"


class Kernel:
    """A kernel of one's own: `run` a cell, and get whether it passed and what stands under it."""

    def __init__(self, capsys):
        self._capsys = capsys
        self.shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
        self.run(BEGIN)

    def run(self, cell):
        passed = self.shell.run_cell(cell).success
        return passed, self._capsys.readouterr().out

    def value(self, name):
        return self.shell.user_ns[name]


@pytest.fixture
def kernel(my, capsys, monkeypatch):
    monkeypatch.setattr(absent, "_absences", None)
    monkeypatch.delenv(absent.COMPLETE, raising=False)
    yield Kernel(capsys)
    InteractiveShell.clear_instance()


def test_a_cell_without_its_server_says_so_and_is_no_error(kernel):
    """One line with the remedy, and no traceback."""
    assert kernel.run("store = valkey()") == (True, "not run here: no Valkey here: install it\n")


def test_a_cell_that_needs_what_was_not_made_is_not_run_either_and_another_is(kernel):
    """Also through a function, and through what such a cell would have made itself."""
    kernel.run("store = valkey()")
    kernel.run("def ask(): return store.get('a')")
    for cell in ("store.get('a')", "x, (y, *z) = ask()", "print(z)", "for n in [y]: pass", "n"):
        passed, said = kernel.run(cell)
        assert passed
        assert says_so(said), cell
    assert kernel.run("print(1 + 1)") == (True, "2\n")


def test_a_cell_that_was_not_run_leaves_nothing_to_judge_by(kernel):
    """Neither an earlier section's value nor half of its own; functions, imports and ch stay."""
    kernel.run("plans = 'of the section before'")
    kernel.run("import math\ndef double(n): return 2 * n\nfound = {}\nplans = valkey()\nch = ch")
    for name in ("plans", "found"):
        assert says_so(kernel.run(f"print({name})")[1])
    assert kernel.run("print(double(math.floor(1.5)), ch.number)") == (True, "2 4\n")
    kernel.run("plans = 'made after all'")
    assert kernel.run("print(plans)") == (True, "made after all\n")


def test_a_claim_of_such_a_cell_is_not_run_here_and_the_others_are_judged(kernel):
    """Under the cell, in the record and on the scoreboard."""
    kernel.run("store = valkey()")
    said = kernel.run('ch.verdict("4.1", store.fast, {"fact": 1})')[1]
    assert said.startswith("4.1  not run here: Each tier of a cache is slower")
    assert "no Valkey here: install it" in said
    kernel.run('ch.measured("4.1", f"{store.seconds} s")')
    kernel.run('ch.verdict("4.4", False, {"best": "LFU"})')
    rows = {line.split()[0]: line for line in kernel.run("ch.scoreboard()")[1].splitlines()[1:]}
    assert rows["4.1"].count("not run here") == 2
    assert "does not hold" in rows["4.4"]


def test_what_is_another_systems_is_not_run_here_even_where_all_must_run(kernel, monkeypatch):
    """No installation would help."""
    monkeypatch.setenv(absent.COMPLETE, "1")
    passed, said = kernel.run("raise OtherSystemError('only Linux does this')")
    assert passed
    assert said == "not run here: only Linux does this\n"


def test_where_all_must_run_a_missing_server_is_an_error(kernel, monkeypatch):
    """So are the cells that need it: CI sees each of them fail."""
    monkeypatch.setenv(absent.COMPLETE, "1")
    passed, said = kernel.run("store = valkey()")
    assert not passed
    assert "Traceback" in said
    assert not kernel.run("store.get('a')")[0]


def test_a_slip_of_the_pen_is_still_an_error(kernel):
    """A name that no cell would have made has its traceback, before and after."""
    for cell in ("stroe.get('a')", "store = valkey()", "stroe.get('a')"):
        passed, said = kernel.run(cell)
        assert passed == ("valkey" in cell)
        assert ("NameError" in said) == ("stroe" in cell)


def test_a_second_run_all_says_it_once(kernel):
    """The same kernel, a new chapter: one line a cell as before."""
    kernel.run("ch = Chapter(4)")
    assert kernel.run("store = valkey()")[1].count("not run here") == 1


@pytest.mark.slow
@pytest.mark.parametrize("chapter", [3, 4])
def test_a_chapter_without_any_server_runs_to_its_end(chapter, my):
    """Every cell passes, and each claim is judged or said not to have been run."""
    notebook = notebook_of(texts([chapter])[0])
    notebook.cells.insert(0, nbformat.v4.new_code_cell(HIDE))
    env = {**os.environ, "PERFLAB_MY": str(my), absent.COMPLETE: "0"}
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(env=env)
    board = notebook.cells[-2].outputs[0]["data"]["text/plain"]
    assert "not run here" in board
    assert "not judged yet" not in board
