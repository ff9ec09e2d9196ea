"""`compare` is honest on a machine that is not, and sharp on one that is."""

import gc
import math
import timeit
from collections.abc import Callable

import numpy as np
import pyperf
import pytest
from replay import Replay

from perflab.measure import rounds
from perflab.measure.compare import Effect, compare, effects_of
from perflab.measure.virtual import VirtualClock

ENTRIES = 16_384


def replayed(trace: str, extra: float, seed: int, budget_s: float):
    """One comparison on a recorded machine, each seed from another place of it."""
    machine = Replay(trace, start=seed * 7919 % ENTRIES)
    variants = {"one": machine.variant(), "other": machine.variant(extra)}
    return compare(variants, budget_s, clock=machine, seed=seed).other, machine.now


def working(clock: VirtualClock, cost: Callable[[float], float]) -> Callable[[], float]:
    """A function whose calls cost what `cost` says at that time."""
    return lambda: clock.advance(cost(clock()))


COSTS = {"one": 0.9e-4, "same": 0.9e-4, "half": 0.45e-4, "hundredth": 0.9e-6}


@pytest.mark.parametrize("trace", ["quiet", "busy"])
def test_a_thing_compared_with_itself_differs_at_most_8_times_in_400(trace: str) -> None:
    """Replayed from a recorded machine, idle or beside others, with 400 orders of the turns."""
    verdicts = [replayed(trace, 0.0, seed, 0.25)[0].verdict for seed in range(400)]
    assert sum(verdict in ("faster", "slower") for verdict in verdicts) <= 8


def test_ten_percent_are_found_on_an_idle_machine_within_two_seconds() -> None:
    """Each of 40 comparisons says «slower», contains the truth and ends in time."""
    for seed in range(40):
        other, seconds = replayed("quiet", 0.10, seed, 2.0)
        assert other.verdict == "slower"
        assert 1.08 < other.ratio < 1.12
        assert seconds <= 2.0


def test_ten_percent_are_found_on_a_busy_machine_too() -> None:
    """On a trace that lost half of its time to others, 38 of 40 at least."""
    verdicts = [replayed("busy", 0.10, seed, 2.0)[0].verdict for seed in range(40)]
    assert verdicts.count("slower") >= 38


@pytest.mark.parametrize(
    "mood",
    [
        pytest.param(lambda now: 1 + now, id="ever slower"),
        pytest.param(lambda now: 2.0 if now > 0.31 else 1.0, id="slower from one moment on"),
        pytest.param(lambda now: 1 + (math.sin(now * 40) > 0), id="slow by turns"),
    ],
)
def test_a_drifting_machine_gives_no_difference(mood: Callable[[float], float]) -> None:
    """A machine that gets up to three times slower meanwhile: the ratio is 1, and said so."""
    clock = VirtualClock()
    work = working(clock, lambda now: 1e-4 * mood(now))
    other = compare({"one": work, "other": work}, 1.0, clock=clock, seed=5).other
    assert other.verdict == "same"
    assert other.ratio == pytest.approx(1.0, abs=0.003)


def test_one_long_stall_does_not_move_the_ratio() -> None:
    """A tenth of a second lost in one call of one variant leaves its ratio where it was."""

    def measured(stall: float) -> float:
        clock = VirtualClock()
        calls = iter(range(10**9))
        one = working(clock, lambda _: 1e-4)
        other = working(clock, lambda _: 2e-4 + stall * (next(calls) == 50))
        return compare({"one": one, "other": other}, 1.0, clock=clock, seed=5).other.ratio

    assert measured(0.1) == pytest.approx(measured(0.0), rel=1e-3)
    assert measured(0.0) == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.98, 1.02, "same"),
        (1.01, 1.02, "same"),
        (0.90, 0.99, "faster"),
        (1.01, 1.04, "slower"),
        (0.98, 1.04, "inconclusive"),
        (0.0, math.inf, "inconclusive"),
    ],
)
def test_the_verdict_follows_from_the_interval(low: float, high: float, verdict: str) -> None:
    """Within 3 % of 1 is no difference; one side of 1 is one; all else decides nothing."""
    assert Effect(1.0, low, high).verdict == verdict


def test_several_variants_share_the_error() -> None:
    """The same column beside two others gets a wider interval than alone."""
    seconds = np.exp(np.random.default_rng(1).normal(0, 0.1, (40, 4)))
    alone, shared = effects_of(seconds[:, :2])[0], effects_of(seconds)[0]
    assert shared.low < alone.low
    assert alone.high < shared.high
    assert alone.ratio == shared.ratio


def test_a_budget_for_too_few_rounds_is_kept_and_decides_nothing() -> None:
    """Functions of a second with two seconds' budget: no interval, however clear the medians."""
    clock = VirtualClock()
    one, other = working(clock, lambda _: 1.0), working(clock, lambda _: 3.0)
    found = compare({"one": one, "other": other}, 2.0, clock=clock)
    assert found.other.verdict == "inconclusive"
    assert (found.other.low, found.other.high) == (0.0, math.inf)
    assert found.other.ratio == pytest.approx(3.0)
    assert (found.rounds, clock()) == (
        1,
        5 * 4.0,
    )  # three calls each to calibrate, one round, memory


def test_ten_rounds_are_enough_for_a_clear_case() -> None:
    """Ten rounds won by the same variant happen by chance once in 512 comparisons."""
    row = np.array([[1.0, 2.0]])
    assert effects_of(row.repeat(10, axis=0))[0].verdict == "slower"
    assert effects_of(row.repeat(9, axis=0))[0].verdict == "inconclusive"


def test_equal_variants_get_equal_calls_and_a_very_fast_one_more() -> None:
    """A sample holds as many calls as the slowest needs, unless that is too short for the clock."""
    clock = VirtualClock()
    variants = {name: working(clock, lambda _, c=cost: c) for name, cost in COSTS.items()}
    found = compare(variants, 1.0, clock=clock, seed=1)
    assert [variant.calls for variant in found.variants] == [3, 3, 3, 223]
    assert found["hundredth"].ratio == pytest.approx(0.01)


def test_an_interruption_of_the_calibration_leaves_the_calls_equal() -> None:
    """A second lost in one of a variant's first samples does not give the other more calls."""
    clock = VirtualClock()
    calls = iter(range(10**9))
    one = working(clock, lambda _: 0.9e-6)
    other = working(clock, lambda _: 0.9e-6 + (next(calls) == 4200))  # in its first trial
    found = compare({"one": one, "other": other}, 10.0, clock=clock, seed=1)
    assert found["one"].calls == found["other"].calls


def test_the_order_of_turns_is_drawn_for_each_round() -> None:
    """Either variant opens about half of the rounds; a seed repeats the order."""

    def order(seed: int) -> list[str]:
        clock, turns = VirtualClock(), []

        def variant(name: str) -> Callable[[], None]:
            return lambda: (turns.append(name), clock.advance(0.01))

        compare({"a": variant("a"), "b": variant("b")}, 20.0, clock=clock, seed=seed)
        return turns

    turns = order(1)
    first = turns[6:-2:2]  # after the calibration, before the memory's calls
    assert 0.35 < first.count("a") / len(first) < 0.65
    assert turns == order(1) != order(2)


def test_the_collector_is_as_it_was_whatever_happens() -> None:
    """On or off before, ended well or by an error that comes through."""

    def broken() -> None:
        gc.disable()
        raise OSError("broken variant")

    for before in (True, False):
        (gc.enable if before else gc.disable)()
        try:
            with pytest.raises(OSError, match="broken variant"):
                compare({"a": list, "b": broken}, 0.01)
            assert (gc.isenabled(), gc.get_freeze_count()) == (before, 0)
            compare({"a": list, "b": gc.disable}, 0.01)
            assert (gc.isenabled(), gc.get_freeze_count()) == (before, 0)
        finally:
            gc.enable()


def test_collections_are_charged_to_the_variant_that_causes_them() -> None:
    """One makes thousands of cycles a call, the other nothing."""

    def cycles() -> None:
        for _ in range(5000):
            knot: list[object] = []
            knot.append(knot)

    found = compare({"nothing": lambda: None, "cycles": cycles}, 0.2)
    assert found["nothing"].collections == 0
    assert found["cycles"].collections >= found.rounds


def test_garbage_is_not_collected_at_the_next_ones_cost() -> None:
    """One leaves too little to wake the collector, the other makes too little; neither pays."""
    enough = gc.get_threshold()[0]

    def leaving() -> None:
        for _ in range(enough * 7 // 10):
            knot: list[object] = []
            knot.append(knot)

    def passing() -> None:
        _ = [[] for _ in range(enough * 6 // 10)]

    found = compare({"leaving": leaving, "passing": passing}, 0.1)
    assert found["passing"].collections == 0


def test_memory_of_each_variant_stands_beside_its_time() -> None:
    """A list of a thousand objects holds its blocks; a megabyte used and dropped is only a peak."""
    found = compare(
        {"list": lambda: [object() for _ in range(1000)], "peak": lambda: len(bytearray(1 << 20))},
        0.05,
    )
    assert 1000 <= found["list"].held_blocks <= 1010
    assert found["peak"].peak_bytes >= 1 << 20
    assert found["peak"].held_blocks <= 1


def test_times_agree_with_pyperf_on_the_same_samples() -> None:
    """Its median of our samples is our seconds per call."""
    numbers = range(1000)
    found = compare({"sum": lambda: sum(numbers), "list": lambda: list(numbers)}, 0.1)
    for variant, column in zip(found.variants, found.seconds.T, strict=True):
        run = pyperf.Run(column.tolist(), metadata={"name": variant.name}, collect_metadata=False)
        assert pyperf.Benchmark([run]).median() == variant.seconds


def test_times_agree_with_timeit() -> None:
    """The best sample of either differs by less than a factor of two, busy machine or not."""
    numbers = range(3000)
    found = compare({"a": lambda: sum(numbers), "b": lambda: sum(numbers)}, 0.4)
    best = min(timeit.repeat(lambda: sum(numbers), number=5, repeat=400)) / 5
    assert best / 2 < found.seconds.min() < best * 2


def test_the_result_reads_well() -> None:
    """A line a variant with its verdict, the machine in the last; the same as a table."""
    clock = VirtualClock()
    one, other = working(clock, lambda _: 1e-4), working(clock, lambda _: 2e-4)
    found = compare({"guide": one, "ours": other}, 1.0, clock=clock)
    guide, ours, last = str(found).splitlines()
    assert "guide" in guide
    assert "baseline" in guide
    assert "2.000 (2.000–2.000)" in ours
    assert "slower" in ours
    assert last == f"{found.rounds} rounds, 1 look, {found.machine.label}"
    assert found.to_frame().loc["ours", "verdict"] == "slower"
    assert found.names == ("guide", "ours")
    assert found.seconds.shape == (found.rounds, 2)


def test_a_name_that_is_not_there_is_named() -> None:
    """Indexing by a wrong name says which there are; `.other` needs exactly two variants."""
    found = compare({"a": list, "b": list, "c": list}, 0.01)
    with pytest.raises(KeyError, match="a, b, c"):
        found["d"]
    with pytest.raises(ValueError, match="names"):
        found.other  # noqa: B018  # reading it is the point


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([],), "variants"),
        (({},), "variants"),
        (({"a": list},), "variants"),
        (({"a": list, "b": 3},), "variants"),
        (({"a": list, 2: list},), "variants"),
        (({"a": list, "b": list}, 0), "budget_s"),
        (({"a": list, "b": list}, math.nan), "budget_s"),
        (({"a": list, "b": list}, math.inf), "budget_s"),
        (({"a": list, "b": list}, True), "budget_s"),
        (({"a": list, "b": list}, "2"), "budget_s"),
    ],
)
def test_nonsense_is_refused_by_name(arguments: tuple, named: str) -> None:
    """ValueError says which argument it was."""
    with pytest.raises(ValueError, match=named):
        compare(*arguments)


@pytest.mark.parametrize(("name", "value"), [("clock", 3), ("seed", 1.5), ("seed", True)])
def test_nonsense_by_keyword_is_refused(name: str, value: object) -> None:
    """A clock that cannot be called; a seed that is no whole number."""
    with pytest.raises(ValueError, match=name):
        compare({"a": list, "b": list}, 0.01, **{name: value})


def test_a_clock_that_stands_still_is_refused() -> None:
    """It would never fill a sample."""
    with pytest.raises(ValueError, match="clock"):
        compare({"a": list, "b": list}, 0.01, clock=lambda: 1.0)


def test_objects_frozen_by_the_caller_stay_frozen() -> None:
    """They could not be told from ours afterwards, so nothing is frozen then."""
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with rounds.collector_set_aside():
            pass
        assert gc.get_freeze_count() == frozen > 0
    finally:
        gc.unfreeze()
