"""Effects of a full factorial: known ones are found again, on a model whose times are known."""

import numpy as np
import pytest

from perflab.experiments.factorial import Factorial

SUBSETS = ("", "A", "B", "AB")
HALF = np.arange(40) % 2 == 0


def modelled(times, noise=0.0, seed=1):
    """Forty visits with these times by subset, each visit slower or faster as a whole."""
    rng = np.random.default_rng(seed)
    return np.array(times) * np.exp(noise * rng.normal(size=(40, 1)))


def test_independent_fixes_multiply_and_their_shortfall_is_one():
    """2× and 3× give 6×: neither takes anything from the other."""
    found = Factorial(modelled([6.0, 3.0, 2.0, 1.0]), SUBSETS, HALF, 0.5)
    assert found.main("A").gain == pytest.approx(2)
    assert found.main("B").gain == pytest.approx(3)
    assert found.gain("B", "A").gain == pytest.approx(3)
    assert found.shortfall("A", "B").gain == pytest.approx(1)


def test_fixes_that_save_the_same_work_fall_short():
    """Each alone makes it twice as fast, both together no faster than one."""
    found = Factorial(modelled([2.0, 1.0, 1.0, 1.0]), SUBSETS, HALF, 0.5)
    assert found.shortfall("A", "B").gain == pytest.approx(2)
    assert found.main("A", 1).gain == pytest.approx(1)
    assert found.main("A", 0).gain == pytest.approx(2)


def test_what_moves_a_whole_visit_moves_no_gain():
    """The interval of a gain is of no width when all ways of a visit drift together."""
    found = Factorial(modelled([4.0, 2.0, 2.0, 1.0]), SUBSETS, HALF, 0.5).gain("A")
    assert found.low == pytest.approx(found.high)


def test_the_hit_ratio_weighs_the_visits_that_the_cache_knows():
    """A fix that makes hits free gains 1 ÷ (1 − hit ratio), whatever share was measured."""
    times = modelled([1.0, 1.0, 1.0, 1.0])
    times[HALF, 1] = 1e-9
    for ratio in (0.25, 0.75):
        gain = Factorial(times, SUBSETS, HALF, ratio).gain("A").gain
        assert gain == pytest.approx(1 / (1 - ratio), rel=1e-6)


def test_the_interval_holds_the_truth_where_visits_are_noisy():
    """Independent noise in each way: the true gain of 2 lies inside."""
    noise = np.exp(0.2 * np.random.default_rng(5).normal(size=(40, 4)))
    found = Factorial(np.array([2.0, 1.0, 2.0, 1.0]) * noise, SUBSETS, HALF, 0.5).main("A")
    assert found.low < 2 < found.high


@pytest.mark.parametrize(
    ("seconds", "subsets", "ratio"),
    [
        (np.ones((40, 3)), ("", "A", "B"), 0.5),
        (np.ones((39, 4)), SUBSETS, 0.5),
        (np.zeros((40, 4)), SUBSETS, 0.5),
        (np.ones((40, 4)), SUBSETS, 1.5),
    ],
)
def test_what_is_no_full_factorial_is_refused(seconds, subsets, ratio):
    """A subset or a visit is missing, a time is 0, a share above 1."""
    with pytest.raises(ValueError, match="must be"):
        Factorial(seconds, subsets, HALF, ratio)
