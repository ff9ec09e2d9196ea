"""The process that judges answers: what it allows a judge, and what becomes of an orphan."""

import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import psutil
import pytest

from perflab.book.grading import answers
from perflab.book.grading.limits import Limits
from perflab.book.grading.pool import Nursery
from perflab.contracts.threads import eventually
from tests.book.test_exercises import ANSWERS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="grading forks, and says so")

RIGHT = "def break_even(a, b, s): return max(0, 8 * (a - b) / s)\n"


def test_an_answer_ends_with_the_nursery_that_it_killed():
    """A killed nursery costs one mark; the next answer is judged, and no process stays behind."""
    sleeps = "import time\ndef f(a, b, c): time.sleep(1e6)\nanswer_ = f"
    task = {"what": "judge", "chapter": 7, "number": 3, "limits": asdict(Limits(2, 60))}
    nursery = Nursery(0)
    try:
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(nursery.ask, {**task, "code": sleeps})
            first = psutil.Process(nursery._process.pid)
            assert eventually(first.children, 30)
            answering = first.children()
            first.kill()
            assert asked.result() == {"ended": "killed"}
        assert psutil.wait_procs(answering, 30)[1] == []
        assert nursery.ask({**task, "code": f"{RIGHT}answer_ = break_even"})["status"] == "right"
    finally:
        nursery.close()


@pytest.mark.parametrize(("chapter", "number"), [(6, 3), (9, 3), (10, 1)])
def test_a_right_answer_whose_judge_needs_much_is_right(chapter, number):
    """Judges that fork, trace, wait in threads and write files may do so beside the guard."""
    solution = ANSWERS[chapter].SOLUTIONS[number]
    source = inspect.getsource(inspect.getmodule(solution)).partition("SOLUTIONS =")[0]
    task = {"what": "judge", "chapter": chapter, "number": number, "limits": asdict(Limits())}
    code = answers.take([source], number, solution.__name__).code
    nursery = Nursery(0)
    try:
        found = nursery.ask({**task, "code": code})
    finally:
        nursery.close()
    assert found["status"] == "right", found
