"""What is graded: who handed in which notebook, and the code of an answer in it."""

import pytest

from perflab.book.grading import answers
from perflab.book.grading.submissions import hand_ins
from perflab.errors import PerflabError


def test_the_answer_is_what_the_check_is_given(tmp_path):
    """Another name, an expression, or the last of several definitions up to the check."""
    cells = ["def mine(a): return 1", "ch.check(3, mine)", "def mine(a): return 2"]
    code = answers.take(cells, 3, "break_even").code
    assert "return 1" in code
    assert "return 2" not in code
    assert "answer_ = mine" in code


def test_only_what_the_answer_needs_is_taken():
    """The chapter's own cells are not run: they would start servers."""
    cells = ["import os, math\nrun_load(1)", "K = math.pi", "def f(): return K", "ch.check(1, f)"]
    code = answers.take(cells, 1, "f").code
    assert code.splitlines()[:2] == ["import math", "K = math.pi"]
    assert "run_load" not in code


def test_students_are_called_by_folder_or_by_file(tmp_path):
    """A folder for each, nested or not; or a file with the chapter's name and the student's."""
    for name in ("a/07-network.ipynb", "group/b/x.ipynb", "07-network_c.ipynb", "d.ipynb",
                 ".ipynb_checkpoints/07-network.ipynb", "__MACOSX/y.ipynb"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}", "utf-8")
    found = hand_ins(tmp_path, ["07-network"])
    assert [one.student for one in found] == ["a", "c", "d", "group/b"]


def test_an_empty_folder_is_named(tmp_path):
    """Nothing to grade is an error that says so."""
    with pytest.raises(PerflabError, match="holds no notebook"):
        hand_ins(tmp_path, [])
