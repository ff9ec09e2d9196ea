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


def test_a_helper_may_have_the_name_of_something_in_the_chapter():
    """What the chapter made under that name before is not taken, nor what it counts by it."""
    cells = [
        "from perflab.patterns import Pipeline as seconds",
        "def seconds(): return Pipeline",
        "verdict({name: count for name, count in found.items()})",
        "from itertools import count\ndef f(): return seconds(), count",
        "def seconds(): return 1\nch.check(1, f)",
    ]
    code = answers.take(cells, 1, "f").code
    place = {}
    exec(code, place)
    assert place["answer_"]()[0] == 1
    assert not any(name in code for name in ("perflab", "Pipeline", "verdict"))


def test_what_was_made_before_a_name_changed_is_taken_as_it_was():
    """A table is made with the function of its time, and changed where the notebook changes it."""
    cells = [
        "def g(): return K\nK = 1\ntable = [g()]",
        "table[0] += 1\nK = 5",
        "def f(): return table[0], K\nch.check(1, f)",
    ]
    place = {}
    exec(answers.take(cells, 1, "f").code, place)
    assert place["answer_"]() == (2, 5)


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
