"""Predictions: what is no answer is named, and it pays to say what one believes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perflab.book.predictions import Choice, Interval, Place, Ranking, YesNo

MS = Interval("How long?", "ms", (0.5, 500))
SHARE = Place("How much?", "%", (0, 100))
WHO = Choice("Who?", ("one", "two", "three"))
ORDER = Ranking("In which order?", ("one", "two", "three", "four"))
on_axis = st.floats(0.5, 500)
confidence = st.floats(34, 100)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


@given(st.integers(2, 6), st.floats(0, 1), st.floats(0, 1))
def test_an_honest_confidence_scores_best_on_average(options, belief, other):
    """Brier's rule is proper: no other confidence has more points to expect."""
    kind = Choice("Which?", tuple(f"option {number}" for number in range(options)))
    least = 1 / options
    belief, other = (least + share * (1 - least) for share in (belief, other))

    def expected(said):
        right = kind.score(("option 0", 100 * said), "option 0").points
        wrong = kind.score(("option 0", 100 * said), "option 1").points
        return belief * right + (1 - belief) * wrong

    assert expected(belief) >= expected(other) - 1e-9


@given(st.lists(on_axis, min_size=5, max_size=60), st.tuples(on_axis, on_axis))
def test_the_true_quantiles_have_the_least_penalty(beliefs, other):
    """The interval score is proper: who believes in these values should name their 10 and 90 %."""
    honest = tuple(np.percentile(beliefs, (10, 90), method="inverted_cdf"))
    low, high = min(other), max(other)
    of_honest = mean(MS.penalty(honest, value) for value in beliefs)
    assert of_honest <= mean(MS.penalty((low, high), value) for value in beliefs) + 1e-9


@pytest.mark.parametrize("width", [0.02, 0.05, 0.1, 0.2])
def test_the_floor_does_not_reward_overconfidence(width):
    """With the floor at 0 points too, a narrower interval than one's belief has less to expect."""
    middle, scale = math.log(15), width * math.log(1000)
    beliefs = [math.exp(middle + scale * z) for z in np.random.default_rng(1).normal(size=4000)]

    def expected(z):
        answer = (math.exp(middle - z * scale), math.exp(middle + z * scale))
        return mean(MS.score(answer, value).points for value in beliefs)

    assert expected(1.28) > expected(0.8) > expected(0.1)
    assert expected(1.28) > expected(2)


@given(st.lists(st.floats(30, 70), min_size=1, max_size=40), st.floats(30, 70))
def test_a_place_should_be_the_median_of_what_one_believes(beliefs, other):
    """Absolute error is least, on average, at the median."""
    median = float(np.median(beliefs))
    of_median = mean(SHARE.score(median, value).points for value in beliefs)
    assert of_median >= mean(SHARE.score(other, value).points for value in beliefs) - 1e-9


@given(on_axis, on_axis, st.floats(-1e9, 1e9))
def test_points_are_between_0_and_100(one, other, result):
    """Whatever was said and whatever came, also off the axis."""
    low, high = sorted((one, other))
    assert 0 <= MS.score((low, high), result).points <= 100
    assert 0 <= SHARE.score(min(low, 100), result).points <= 100


@given(st.sampled_from(WHO.options), confidence, st.sampled_from(WHO.options))
def test_points_of_a_choice_are_between_0_and_100(option, sure, result):
    """Sure and right is 100, sure and wrong is 0, all else lies between."""
    found = WHO.score((option, sure), result)
    assert -1e-9 <= found.points <= 100
    assert found.caught == (option == result)
    assert WHO.score((option, 100), option).points == 100


@given(st.permutations(ORDER.options), st.permutations(ORDER.options))
def test_a_ranking_earns_the_pairs_that_it_has_right(answer, result):
    """As Kendall's tau counts them; the right order alone is caught, its reverse earns nothing."""
    place = {option: at for at, option in enumerate(result)}
    pairs = [(a, b) for at, a in enumerate(answer) for b in answer[at + 1 :]]
    found = ORDER.score(ORDER.read(answer), result)
    assert found.points == pytest.approx(100 * mean(place[a] < place[b] for a, b in pairs))
    assert found.caught == (answer == result)
    assert ORDER.score(tuple(result), result[::-1]).points == 0
    assert ORDER.read(json.loads(json.dumps(ORDER.read(answer)))) == tuple(answer)


@given(on_axis, on_axis.filter(lambda value: value > 1), st.sampled_from(WHO.options), confidence)
def test_an_answer_survives_the_record(low, high, option, sure):
    """What is kept as JSON reads as the same answer."""
    if low >= high:
        low, high = high / 2, high
    for kind, answer in ((MS, (low, high)), (SHARE, min(high, 100.0)), (WHO, (option, sure))):
        read = kind.read(answer)
        assert kind.read(json.loads(json.dumps(read))) == read


def test_numpys_numbers_are_numbers():
    """Results come from arrays, and a reader may take an answer from one."""
    assert MS.read((np.float32(1), np.int64(2))) == (1.0, 2.0)
    assert SHARE.score(SHARE.read(np.int32(50)), np.float64(50)).points == 100


def test_an_interval_that_says_nothing_is_worth_half():
    """The whole axis always holds the result."""
    assert MS.score((0.5, 500), 7).points == pytest.approx(50)


def test_a_narrow_interval_that_holds_the_result_beats_a_wide_one():
    """And missing by as much costs ten times as much as width."""
    assert MS.score((10, 20), 15).points > MS.score((5, 40), 15).points
    assert MS.score((5, 40), 15).points > MS.score((20, 30), 15).points
    assert MS.score((10, 20), 15).caught
    assert not MS.score((10, 20), 20.1).caught


@pytest.mark.parametrize(
    ("kind", "answer", "named"),
    [
        (MS, 5, "answer=5"),
        (MS, (1, 2, 3), "answer="),
        (MS, "12", "answer='12'"),
        (MS, ("1", 2), "low='1'"),
        (MS, (1, True), "high=True"),
        (MS, (1, math.nan), "high=nan"),
        (MS, (1, 10**400), "high="),
        (MS, (2, 1), "low < high"),
        (MS, (2, 2), "low < high"),
        (MS, (0.1, 2), "within 0.5 and 500 ms"),
        (SHARE, None, "answer=None"),
        (SHARE, 101, "between 0 and 100 %"),
        (SHARE, math.inf, "finite"),
        (WHO, "one", "a pair"),
        (WHO, ("four", 60), "option='four'"),
        (WHO, (["one"], 60), "option="),
        (WHO, ("one", 20), "a pure guess"),
        (WHO, ("one", 101), "confidence=101"),
        (ORDER, ("one", "two", "three"), "each once"),
        (ORDER, ("one", "two", "three", "three"), "each once"),
        (ORDER, ("one", "two", "three", 4), "each once"),
        (ORDER, "one", "each once"),
        (YesNo("Is it?"), ("maybe", 60), "one of yes, no"),
        (YesNo("Is it?"), ("yes", 49), "between 50"),
    ],
)
def test_what_is_no_answer_is_named(kind, answer, named):
    """The error says which part of the answer, and what is allowed."""
    with pytest.raises(ValueError, match="must be") as error:
        kind.read(answer)
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("kind", "answer", "result"),
    [(MS, (1, 2), math.nan), (MS, (1, 2), "2"), (SHARE, 5.0, None), (WHO, ("one", 60), "four")],
)
def test_what_is_no_result_is_named(kind, answer, result):
    """A chapter that scores against nonsense is told at once."""
    with pytest.raises(ValueError, match="result="):
        kind.score(answer, result)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Interval("", "ms", (1, 2)), "question=''"),
        (lambda: Interval("How?", "ms", (0, 2)), "above 0"),
        (lambda: Interval("How?", "ms", (2, 1)), "lowest < highest"),
        (lambda: Interval("How?", "ms", 5), "between=5"),
        (lambda: Place("How?", "%", (1, math.inf)), "between=inf"),
        (lambda: Place(3, "%", (1, 2)), "question=3"),
        (lambda: Ranking("Who?", ("one",)), "options="),
        (lambda: Choice("Who?", ("one",)), "options="),
        (lambda: Choice("Who?", ("one", "one")), "options="),
        (lambda: Choice("Who?", "two"), "options='two'"),
        (lambda: Choice("Who?", (1, 2)), "options="),
    ],
)
def test_what_is_no_question_is_named(make, named):
    """A question that could never be answered is refused when it is written."""
    with pytest.raises(ValueError, match="must be") as error:
        make()
    assert named in str(error.value)


@settings(max_examples=20)
@given(on_axis.filter(lambda value: value < 250))
def test_a_prediction_is_said_with_its_unit(low):
    """A reader sees again what was predicted."""
    assert MS.say((low, 2 * low)).endswith(" ms")
    assert SHARE.say(12.5) == "12.5 %"
    assert WHO.say(("one", 60.0)) == "«one», 60 % sure"
