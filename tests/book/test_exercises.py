"""Every exercise: the stub is no attempt, the solution is right, wrong answers are told why."""

import ast
import inspect
import sys

import numpy as np
import pytest

from perflab.book.exercises import CHAPTERS, exercise, titles
from perflab.book.exercises.borrowing import copied_from
from perflab.book.exercises.costs import cost_of, models
from perflab.book.grading import answers
from perflab.book.readers import chapters
from perflab.guide.loadtest import LoadTest
from perflab.measure import compare, percentile
from perflab.patterns import ModuloRouter, RingRouter, sharding
from tests.solutions import (
    caching,
    casestudies,
    concurrency,
    database,
    fundamentals,
    loadtesting,
    memory,
    network,
    patterns,
    profiling,
)

ANSWERS = {
    1: fundamentals,
    2: profiling,
    3: database,
    4: caching,
    5: memory,
    6: concurrency,
    7: network,
    8: loadtesting,
    9: patterns,
    10: casestudies,
}
EXERCISES = [(chapter, number) for chapter in CHAPTERS for number in range(1, 5)]
WRONG = [
    (chapter, number, answer, hint)
    for chapter, answers in ANSWERS.items()
    for number, wrong in answers.WRONG.items()
    for answer, hint in wrong.items()
]


def test_each_chapter_has_four_exercises_with_solution_and_two_wrong_answers():
    """No exercise is set without a proof that its judge accepts and rejects."""
    for chapter in CHAPTERS:
        assert len(titles(chapter)) == 4
        assert set(ANSWERS[chapter].SOLUTIONS) == {1, 2, 3, 4}
        assert all(len(ANSWERS[chapter].WRONG[number]) >= 2 for number in (1, 2, 3, 4))


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_each_chapter_of_the_book_asks_for_four_and_its_stubs_are_no_attempts(path):
    """What a hand-out holds can be run as it stands, and is judged as not attempted yet."""
    chapter, code = int(path.stem[:2]), answers.cells(path.read_text("utf-8"))
    asked = answers.asked(code)
    assert sorted(asked) == [1, 2, 3, 4]
    assert len(titles(chapter)) == len(ANSWERS[chapter].SOLUTIONS) == 4
    for number, name in asked.items():
        taken = answers.take(code, number, name)
        assert taken.mark == "", taken
        place = {"__name__": "hand_out"}
        exec(taken.code, place)
        found = exercise(chapter, number).judge(place[answers.ANSWER])
        assert found.status == "not attempted", (number, found)


@pytest.mark.parametrize("name", models())
def test_a_right_answer_is_told_what_it_took_beside_the_model_answer(name):
    """What is stored of the model answer is what the solution takes, here too."""
    chapter, number = map(int, name.split("."))
    found = exercise(chapter, number).judge(ANSWERS[chapter].SOLUTIONS[number])
    cost = cost_of(name, found.status, found.measure)
    assert cost is not None
    assert 0.8 <= cost.ratio <= 1.25  # bytes and steps differ a little between versions
    assert "the model answer's" in str(cost)


def test_what_is_counted_has_a_stored_model_score():
    """Every exercise whose right answer has a measure is in data/costs.csv, and none beside."""
    counted = {
        f"{chapter}.{number}"
        for chapter, number in EXERCISES
        if exercise(chapter, number).judge(ANSWERS[chapter].SOLUTIONS[number]).measure is not None
    }
    assert counted == set(models())


@pytest.mark.parametrize(("chapter", "number"), EXERCISES)
def test_a_solution_is_right(chapter, number):
    """The solution passes all that is tried."""
    also = getattr(ANSWERS[chapter], "ALSO_RIGHT", {}).get(number, [])
    for answer in (ANSWERS[chapter].SOLUTIONS[number], *also):
        found = exercise(chapter, number).judge(answer)
        assert found.status == "right", found
        assert all(passed for _, passed, _ in found.tried)


@pytest.mark.parametrize(("chapter", "number", "answer", "hint"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(chapter, number, answer, hint):
    """A plausible wrong answer is refused, and the hint names its mistake."""
    found = exercise(chapter, number).judge(answer)
    assert found.status == "wrong", found
    assert hint in found.hint


@pytest.mark.parametrize(("chapter", "number"), EXERCISES)
def test_a_stub_is_not_attempted(chapter, number):
    """A stub, and one that was only emptied, count as no attempt rather than as wrong."""

    def stub(*arguments):
        raise NotImplementedError("your turn")

    assert exercise(chapter, number).judge(stub).status == "not attempted"


@pytest.mark.parametrize(("chapter", "number"), EXERCISES)
def test_an_answer_that_breaks_is_wrong_and_says_how(chapter, number):
    """What an answer raises becomes its hint; the judge itself never raises."""

    def broken(*arguments):
        raise ZeroDivisionError("by nought")

    found = exercise(chapter, number).judge(broken)
    assert found.status == "wrong"
    assert "ZeroDivisionError" in str(found)
    assert exercise(chapter, number).judge("not a function").status == "wrong"


def test_an_answer_that_borrows_ours_is_refused():
    """Calling the package's own comparison is no answer to an exercise that asks for one."""

    def borrowed(a, b, clock):
        return compare({"a": a, "b": b}, clock=clock).other.ratio

    found = exercise(1, 1).judge(borrowed)
    assert found.status == "refused"
    assert "compare" in found.hint


def test_a_class_made_from_the_guides_is_refused():
    """An answer that inherits from a class of the package is not the reader's own."""

    class Inherits(LoadTest):
        pass

    assert exercise(8, 1).judge(Inherits).status == "refused"


def test_a_class_whose_methods_borrow_ours_is_refused():
    """A class is what its methods are."""

    class Borrows:
        def __init__(self, get, concurrency, duration, rate):
            self.test = LoadTest(get, concurrency, duration, rate)

    assert exercise(8, 1).judge(Borrows).status == "refused"


def test_borrowing_by_an_import_of_its_own_is_refused():
    """An import within the function is found as well as one above it."""

    def imports(a, b, clock):
        from perflab.measure import compare as ours

        return ours({"a": a, "b": b}, clock=clock).other.ratio

    assert exercise(1, 1).judge(imports).status == "refused"


def test_numpys_function_of_the_same_name_is_not_ours():
    """A notebook has perflab's percentile at hand; np.percentile in an answer is another one."""

    def numpys(gaps, service, target):
        return 1 / np.percentile(service, 95)

    assert numpys.__globals__["percentile"] is percentile
    assert exercise(1, 3).judge(numpys).status == "wrong"


def test_borrowing_by_a_helper_is_refused():
    """A helper beside the answer, and what it calls, belong to the answer."""
    place = {"compare": compare, "__name__": "notebook"}
    exec("def helper(a, b, c): return compare({'a': a, 'b': b}, clock=c).other.ratio", place)
    exec("def ratio(a, b, clock): return helper(a, b, clock)", place)
    found = exercise(1, 1).judge(place["ratio"])
    assert found.status == "refused"
    assert "compare" in found.hint


def test_a_copied_pattern_is_refused_under_other_names():
    """Renamed, without its types and comments, it is still the book's own."""
    source = inspect.getsource(ModuloRouter) + inspect.getsource(RingRouter)
    module = ast.parse("from __future__ import annotations\n" + source)
    renamed = ast.unparse(module).replace("self", "me").replace("_nodes", "_shards")
    place = {**vars(sharding), "__name__": "notebook"}
    exec(renamed, place)
    for name in ("require", "PerflabError"):
        place.pop(name, None)
    assert "patterns/" in borrowed_by_copy(place["RingRouter"])


def borrowed_by_copy(thing):
    """Where the longest of a class's methods was copied from."""
    methods = [one.__code__ for one in vars(thing).values() if inspect.isfunction(one)]
    return "".join(map(copied_from, methods))


def test_an_answer_that_exits_is_wrong():
    """sys.exit() in an answer ends neither the judge nor the kernel."""

    def leaves(*arguments):
        sys.exit("enough")

    assert "SystemExit" in exercise(1, 2).judge(leaves).hint


def test_an_unknown_exercise_is_named():
    """A number that is not there gets an error that says which are."""
    with pytest.raises(ValueError, match="exercise=9: must be from 1 to 4"):
        exercise(1, 9)
