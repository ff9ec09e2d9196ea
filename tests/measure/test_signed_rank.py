"""The interval of the paired differences is the one that the books give."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perflab.measure.signed_rank import EXACT_UP_TO, hodges_lehmann, interval_rank

small = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40)


@pytest.mark.parametrize(("n", "critical"), [(6, 0), (10, 8), (15, 25), (20, 52), (25, 89)])
def test_ranks_agree_with_the_printed_table(n: int, critical: int) -> None:
    """The table of the signed-rank test for two sides and 5 % says the same."""
    assert interval_rank(n, 0.05) == critical + 1


def test_five_differences_allow_no_interval_at_five_percent() -> None:
    """All five of one sign happen by chance in 2 of 32 cases: the interval is infinite."""
    shift = hodges_lehmann(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 0.05)
    assert (shift.estimate, shift.low, shift.high) == (3.0, -math.inf, math.inf)


def test_the_normal_law_takes_over_on_the_safe_side() -> None:
    """Where the exact ranks end the next ones are smaller, so that the interval is wider."""
    for level in (0.05, 0.01 / 3, 0.01 / 9):
        step = interval_rank(EXACT_UP_TO, level) - interval_rank(EXACT_UP_TO - 1, level)
        taken_over = interval_rank(EXACT_UP_TO + 1, level) - interval_rank(EXACT_UP_TO, level)
        assert 0 < taken_over <= step + 1


@given(small)
def test_estimate_and_ends_are_walsh_averages(differences: list[float]) -> None:
    """Halving the range finds what sorting all the averages of two finds."""
    values = np.array(differences)
    first, second = np.triu_indices(len(values))
    walsh = np.sort((values[first] + values[second]) / 2)
    shift = hodges_lehmann(values, 0.05)
    assert shift.estimate == pytest.approx(float(np.median(walsh)), rel=1e-9, abs=1e-9)
    rank = interval_rank(len(values), 0.05)
    if rank:
        assert shift.low == pytest.approx(walsh[rank - 1], rel=1e-9, abs=1e-9)
        assert shift.high == pytest.approx(walsh[-rank], rel=1e-9, abs=1e-9)


def test_the_interval_misses_the_truth_no_more_often_than_it_says() -> None:
    """Of 4,000 seeded samples from a law with heavy tails 5 % may miss; 4 deviations more fail."""
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(4000):
        shift = hodges_lehmann(rng.standard_t(1.5, 20) + 7, 0.05)
        missed += not shift.low <= 7 <= shift.high
    assert 100 < missed < 4000 * 0.05 + 4 * math.sqrt(4000 * 0.05 * 0.95)


def test_nonsense_is_refused() -> None:
    """No differences, or a level outside 0 … 1."""
    with pytest.raises(ValueError, match="differences"):
        hodges_lehmann(np.array([]), 0.05)
    for level in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="level"):
            hodges_lehmann(np.ones(3), level)
