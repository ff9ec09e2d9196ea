"""Nearest rank in whole numbers, honest about few samples, with an interval that covers."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perflab.errors import TooFewSamplesError
from perflab.measure import percentile, percentile_interval, percentiles
from perflab.measure.percentiles import _interval_ranks

latencies = st.lists(st.floats(0, 1e4), min_size=1, max_size=200)


@given(latencies, st.integers(0, 64))
def test_a_percentile_is_numpys_inverted_cdf(samples: list[float], sixty_fourths: int) -> None:
    """Where p/100 is exact as a float too, so that numpy makes no rounding error, both agree."""
    p = sixty_fourths * 100 / 64
    expected = np.percentile(samples, p, method="inverted_cdf")
    assert percentile(samples, p, estimate=True) == expected


@given(latencies, st.decimals(0, 100, places=3))
def test_a_percentile_is_the_smallest_sample_that_enough_do_not_exceed(
    samples: list[float], p: Decimal
) -> None:
    """The definition itself, counted in fractions."""
    found = percentile(samples, float(p), estimate=True)
    n, enough = len(samples), Fraction(p) / 100
    assert found in samples
    assert Fraction(sum(x <= found for x in samples), n) >= enough
    smaller = [x for x in samples if x < found]
    assert not smaller or Fraction(len(smaller), n) < enough


@pytest.mark.parametrize(
    ("p", "n", "rank"),
    [(99.9, 1_000, 999), (99.9, 10_000, 9_990), (99.99, 100_000, 99_990), (55.1, 1_000, 551)],
)
def test_a_rank_that_floats_round_up_is_the_right_one(p: float, n: int, rank: int) -> None:
    """p·n/100 is whole here; as floats it comes out a little above, one rank too high."""
    assert percentile(np.arange(1, n + 1), p, estimate=True) == rank


def test_floats_do_get_such_a_rank_wrong() -> None:
    """The trap is real: without it the test above would prove nothing."""
    assert math.ceil(99.9 / 100 * 1_000) == 1_000


@pytest.mark.parametrize("p", [np.float64(99.9), np.float32(99.9), 99.9])
def test_p_is_the_number_that_was_written_whatever_its_type(p: float) -> None:
    """A float32 of 99.9 is 99.90000153 to a float, and 99.9 to its reader."""
    assert percentile(np.arange(1, 10_001), p) == 9_990
    assert percentile(np.arange(1, 10_000_001), float(np.float32(99.9))) == 9_990_001


@given(latencies, st.lists(st.integers(0, 100), max_size=5))
def test_several_percentiles_are_the_single_ones(samples: list[float], ps: list[int]) -> None:
    """In the order asked for, and asking leaves the samples as they were."""
    array = np.array(samples)
    expected = tuple(percentile(array, p, estimate=True) for p in ps)
    assert percentiles(array, ps, estimate=True) == expected
    assert array.tolist() == samples


@pytest.mark.parametrize(("p", "needed"), [(50, 20), (99, 1_000), (99.9, 10_000), (99.99, 100_000)])
def test_a_tail_needs_ten_samples_beyond_it(p: float, needed: int) -> None:
    """One sample fewer is refused; that many are enough."""
    samples = np.arange(needed)
    percentile(samples, p)
    with pytest.raises(TooFewSamplesError):
        percentile(samples[1:], p)
    assert percentile(samples[1:], p, estimate=True) >= 1


def test_too_few_samples_are_refused_with_a_remedy() -> None:
    """The message says how many there are, how many it takes, and what else can be done."""
    with pytest.raises(TooFewSamplesError, match=r"p99 of 500 .* 1,000 .*p98 at most.*estimate"):
        percentile(np.ones(500), 99)
    with pytest.raises(TooFewSamplesError, match="ask for the maximum"):
        percentile(np.ones(500), 100)


def test_no_samples_have_no_percentile() -> None:
    """Not even an estimate."""
    with pytest.raises(TooFewSamplesError, match="no samples"):
        percentile([], 50, estimate=True)


@pytest.mark.parametrize(
    "samples",
    [[1, math.nan], [1, -1e-9], [1, math.inf], [True], ["1"], [[1.0]], [1, [2]], 1.0, [None], [1j]],
    ids=str,
)
def test_what_cannot_be_a_latency_is_refused_by_name(samples: object) -> None:
    """NaN most of all: it would sort to the end and become the p99."""
    with pytest.raises(ValueError, match="samples"):
        percentile(samples, 50, estimate=True)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ValueError, match="samples"):
        percentile_interval(samples, 50)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("p", [-1, 100.1, math.nan, math.inf, True, "99", None, [99]], ids=str)
def test_a_percentile_outside_0_to_100_is_refused_by_name(p: object) -> None:
    """Also what is not a number at all."""
    with pytest.raises(ValueError, match=r"^p="):
        percentile([1.0] * 30, p)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ValueError, match=r"^p="):
        percentile_interval([1.0] * 30, p)  # type: ignore[arg-type]  # that is the test


def test_one_percentile_where_several_are_wanted_is_refused_by_name() -> None:
    """percentiles(samples, 99) is a slip of the pen."""
    with pytest.raises(ValueError, match=r"^ps=99"):
        percentiles([1.0], 99)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("n", [10, 37, 100, 400])
@pytest.mark.parametrize("p", [10, 50, 90])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_an_intervals_ranks_are_the_closest_that_err_rarely_enough(
    n: int, p: int, confidence: float
) -> None:
    """Each end errs with at most half the allowed chance; one rank further in would err more."""

    def chance(ks: range) -> float:  # that k of n samples lie below the percentile
        q = Fraction(p, 100)
        return float(sum(math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in ks))

    low, high = _interval_ranks(n, p / 100, 1 - confidence)
    half = (1 - confidence) / 2
    assert chance(range(low)) <= half < chance(range(low + 1))
    assert chance(range(high, n + 1)) <= half < chance(range(high - 1, n + 1))


@pytest.mark.parametrize(("n", "p"), [(30, 50), (150, 90), (800, 99)])
def test_an_interval_covers_the_true_percentile_as_often_as_promised(n: int, p: int) -> None:
    """Of 1,000 seeded samples each; within four standard errors of the promise."""
    rng = np.random.default_rng(20)
    truth = -math.log(1 - p / 100)  # of the exponential distribution
    intervals = [percentile_interval(rng.exponential(size=n), p) for _ in range(1_000)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert covered >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / 1_000)
    assert np.mean([low > truth for low, _ in intervals]) > 0  # and not by being endless
    assert np.mean([high < truth for _, high in intervals]) > 0


def test_an_interval_that_the_sample_cannot_give_is_refused() -> None:
    """For p99 at 95 % it takes 368 samples: 0.99^367 is just above 2.5 %."""
    samples = np.arange(368)
    assert percentile_interval(samples, 99)[1] == 367
    with pytest.raises(TooFewSamplesError, match="367 samples: at least 368"):
        percentile_interval(samples[:-1], 99)
    with pytest.raises(TooFewSamplesError, match="0 samples"):
        percentile_interval([], 50)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan, True, "0.95"], ids=str)
def test_a_confidence_outside_0_to_1_is_refused_by_name(confidence: object) -> None:
    """95 is what people write who mean 0.95."""
    with pytest.raises(ValueError, match=r"^confidence="):
        percentile_interval([1.0] * 30, 50, confidence)  # type: ignore[arg-type]  # that is the test


def test_the_ends_of_the_scale_have_no_interval() -> None:
    """Nothing that was measured bounds what could still come."""
    for p in (0, 100):
        with pytest.raises(ValueError, match=r"^p="):
            percentile_interval(np.arange(1_000), p)
