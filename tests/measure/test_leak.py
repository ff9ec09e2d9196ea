"""The leak detector looks at the floor of what is held, and at nothing else."""

import math
import random

import pytest

from perflab.measure import LeakDetector
from perflab.measure.leak import BLOCKS

BLOCK = 10.0  # seconds, of the detectors below
MB = 1_000_000


def detector(**options):
    return LeakDetector(BLOCK * BLOCKS, **options)


def feed(watching, floors, start=0):
    """Four looks a block, the third of them at its floor; what each block's first look was told."""
    told = []
    for block, floor in enumerate(floors, start):
        sizes = (floor + 5 * MB, floor + 9 * MB, floor, floor + 2 * MB)
        said = [watching.add(block * BLOCK + 2 * n, size) for n, size in enumerate(sizes)]
        told += said[:1]
    return told


def rising(blocks, step=MB):
    return [50 * MB + step * n for n in range(blocks)]


def test_a_floor_that_rises_steadily_is_a_leak_once_two_windows_agree():
    """The first window is whole when the block after it begins; the second a block later."""
    told = feed(detector(), rising(20))
    assert told == [False] * (BLOCKS + 1) + [True] * (19 - BLOCKS)


def test_the_slope_is_in_bytes_a_second():
    """One MB a block of ten seconds is 100 kB a second."""
    watching = detector()
    feed(watching, rising(20))
    stats = watching.stats()
    assert stats.slope == pytest.approx(MB / BLOCK)
    assert stats.floors == tuple(rising(19)[-BLOCKS:])
    assert stats.leaking


def test_before_its_window_is_full_it_says_nothing():
    """No slope and no leak, however steep the beginning."""
    watching = detector()
    assert not any(feed(watching, rising(BLOCKS, 100 * MB)))
    assert math.isnan(watching.stats().slope)
    assert len(watching.stats().floors) == BLOCKS - 1


def test_one_floor_out_of_line_hides_no_leak_for_good():
    """A block without a collection has a high floor; when it is out of the window all is told."""
    floors = rising(24)
    floors[9] += 30 * MB
    assert feed(detector(), floors)[-1]


def test_growth_below_the_least_is_none():
    """The same steps are a leak for a detector that is asked for less."""
    steps = rising(20, 10_000)
    assert not any(feed(detector(), steps))
    assert any(feed(detector(least=50_000), steps))


def test_a_gap_makes_it_forget():
    """Nothing is known of the blocks without a look, so none before counts."""
    watching = detector()
    feed(watching, rising(BLOCKS))
    assert not any(feed(watching, rising(BLOCKS), start=BLOCKS + 1))
    assert len(watching.stats().floors) == BLOCKS - 1


def test_the_clock_may_begin_anywhere():
    """Blocks are counted from the first look, so that the first of them is whole as well."""
    watching = detector()
    for n in range(2 * BLOCKS + 1):
        watching.add(1e6 + 7 + n * BLOCK / 2, MB)
    assert len(watching.stats().floors) == BLOCKS


def test_two_looks_at_one_moment_are_fine_and_none_lies_before_another():
    """A refused look changes nothing, and the next is taken."""
    watching = detector()
    watching.add(5.0, 3)
    with pytest.raises(ValueError, match="seconds="):
        watching.add(4.0, 1)
    with pytest.raises(ValueError, match="size="):
        watching.add(6.0, -1)
    watching.add(5.0, 2)
    watching.add(BLOCK + 5.0, 9)
    assert watching.stats().floors == (2,)


def test_a_snapshot_does_not_change():
    """What comes after it is in the next one."""
    watching = detector()
    feed(watching, rising(4))
    before = watching.stats()
    feed(watching, rising(4), start=4)
    assert len(before.floors) == 3
    assert len(watching.stats().floors) == 7


def test_noise_of_any_size_is_hardly_ever_called_a_leak():
    """Five hundred windows of pure noise after each other: the trend's test is that sharp."""
    rng = random.Random(4)
    watching = detector()
    told = feed(watching, [50 * MB + round(rng.expovariate(1) * 20 * MB) for _ in range(6_000)])
    assert sum(told) <= 1


def test_a_leak_of_one_standard_deviation_a_block_is_found():
    """In each of twenty series, within two windows."""
    for seed in range(20):
        rng = random.Random(seed)
        floors = [50 * MB + n * 2 * MB + round(rng.gauss(0, 2 * MB)) for n in range(3 * BLOCKS)]
        assert any(feed(detector(), floors))


def test_it_keeps_one_window_however_long_it_looks():
    """Floors of one window, and nothing of the looks."""
    watching = detector()
    for n in range(10_000):
        watching.add(n * BLOCK, n % 7)
    assert len(watching.stats().floors) == BLOCKS
