"""The universal scalability law: a known one is found again; and the arithmetic of users."""

import numpy as np
import pytest

from perflab.experiments.scaling import Law, fitted

CLIENTS = (1, 2, 3, 4, 6, 8)


def test_a_law_without_noise_is_found_again():
    """Fitted to what it says itself, and so right at 32 as well."""
    true = Law(300.0, 0.1, 0.002)
    found = fitted(CLIENTS, true(CLIENTS))
    assert (found.rate, found.contention, found.coherence) == pytest.approx((300, 0.1, 0.002))
    assert found(32) == pytest.approx(true(32))


def test_perfect_scaling_has_neither_contention_nor_coherence():
    """And more than perfect is held to be perfect: a parameter below 0 means nothing."""
    for power in (1.0, 1.1):
        found = fitted(CLIENTS, 100 * np.array(CLIENTS, float) ** power)
        assert found.contention >= 0
        assert found.coherence >= 0
        assert found(64) / found(32) == pytest.approx(2, rel=0.01)


def test_noise_at_the_start_is_large_at_the_end():
    """Why a fitted curve is no forecast: one per cent of noise up to 4, and 32 is far off."""
    true, few = Law(300.0, 0.3, 0.001), (1, 2, 3, 4)
    said = [
        float(fitted(few, true(few) * (1 + 0.01 * np.random.default_rng(seed).normal(size=4)))(32))
        for seed in range(20)
    ]
    assert max(said) / min(said) > 1.5


@pytest.mark.parametrize(
    ("clients", "throughput"), [((1, 2), (1, 2)), ((1, 2, 3), (1, 0, 2)), ((1, 2, 3), (1, 2))]
)
def test_too_few_points_and_points_that_are_none_are_refused(clients, throughput):
    """Three parameters take three points, each above 0."""
    with pytest.raises(ValueError, match="must be"):
        fitted(clients, throughput)
