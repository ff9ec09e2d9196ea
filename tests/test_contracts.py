"""Contracts: every check on every implementation; ours pass all, others fail just the listed.

A pattern's implementations stand in `tests/cases/<pattern>.py`: ours, the guide's, wrong ones.
"""

import functools
import random
import statistics

import pytest

from perflab.contracts import checks_of, judge, loadtest, timing
from perflab.guide.loadtest import LoadTest
from perflab.measure import compare
from perflab.systems import model_tester
from tests import cases
from tests.solutions import fundamentals as answers
from tests.solutions import loadtesting as testers


def by_turns(a, b, clock):
    return compare({"a": a, "b": b}, budget_s=2000, clock=clock, seed=1).other.ratio


def by_drawn_turns(a, b, clock):
    """Random order, and the median of the pairs: often a little off, but not always one way."""
    a(), b()
    rng, ratios = random.Random(), []
    for _ in range(100):
        taken = {}
        for work in rng.sample((a, b), 2):
            began = clock()
            work()
            taken[work] = clock() - began
        ratios.append(taken[b] / taken[a])
    return statistics.median(ratios)


STEADY = {"equal work on a steady machine is 1.00×", "half as fast is 2.00×, not 0.50×"}
ALL = {one.statement for one in checks_of(timing)}
OF_A_TESTER = {one.statement for one in checks_of(loadtest)}  # the guide's fails every one
FAILS = [
    (timing, by_turns, set()),
    (timing, answers.turns, set()),
    (timing, by_drawn_turns, set()),
    (timing, answers.one_after_the_other, ALL - STEADY),
    (timing, answers.same_order_always, {"who goes first does not decide"}),
    (
        timing,
        answers.mean_of_turns,
        {"one stall in the middle does not decide"},
    ),
    (
        timing,
        answers.upside_down,
        {
            "half as fast is 2.00×, not 0.50×",
            "a true 1.50× stays 1.50× while the machine slows down",
        },
    ),
    (loadtest, model_tester, set()),
    (loadtest, loadtest.on_virtual_time(testers.Mended), set()),
    (loadtest, loadtest.on_virtual_time(LoadTest), OF_A_TESTER),
    (
        loadtest,
        loadtest.on_virtual_time(testers.FromTheSend),
        {"frozen for a second: p99 is what arithmetic demands"},
    ),
    (
        loadtest,
        loadtest.on_virtual_time(testers.EveryAnswerASuccess),
        {
            "neither a 500 nor a broken connection is a success",
            "a server that fails fast does not look fast",
        },
    ),
    (
        loadtest,
        loadtest.on_virtual_time(testers.ByTheAskedDuration),
        {"rps is what was answered, by the time that it took"},
    ),
    (
        loadtest,
        loadtest.on_virtual_time(testers.NextRank),
        {"p95 and p99 are at the nearest rank, also where n·p is whole"},
    ),
    (
        loadtest,
        loadtest.on_virtual_time(testers.Unread),
        {"latency includes the body", "connections are used again"},
    ),
    *((case.CONTRACT, thing, fails) for case in cases.ALL for thing, fails in case.FAILS),
]


@pytest.mark.parametrize(("contract", "implementation", "fails"), FAILS)
def test_an_implementation_fails_exactly_what_is_listed(contract, implementation, fails):
    """No check is passed by accident, and none fails that should hold."""
    found = judge(contract, implementation)
    assert {name for name, evidence in found.items() if not evidence.holds} == fails


@pytest.mark.parametrize("seed", range(5))
def test_our_comparison_passes_whatever_order_is_drawn(seed):
    """The contract holds for the random order of any seed, not for a lucky one."""

    def seeded(a, b, clock):
        return compare({"a": a, "b": b}, budget_s=2000, clock=clock, seed=seed).other.ratio

    assert all(evidence.holds for evidence in judge(timing, seeded).values())


@pytest.mark.parametrize("seed", range(2, 7))
def test_the_guides_tester_fails_whatever_go_would_choose(seed):
    """What Go's select leaves to chance decides no check."""
    tester = loadtest.on_virtual_time(functools.partial(LoadTest, seed=seed))
    assert not any(evidence.holds for evidence in judge(loadtest, tester).values())


@pytest.mark.parametrize("contract", [timing, loadtest, *(case.CONTRACT for case in cases.ALL)])
def test_every_check_has_a_hint_and_a_statement_of_its_own(contract):
    """A reader who fails a check learns what to look at."""
    found = checks_of(contract)
    assert len({one.statement for one in found}) == len(found)
    assert all(one.hint for one in found)


def test_what_an_implementation_raises_is_a_failed_check():
    """A broken implementation gets a table full of ✗, never a traceback."""

    def broken(a, b, clock):
        raise OSError("no")

    found = judge(timing, broken)
    assert not any(evidence.holds for evidence in found.values())
    assert all("OSError" in evidence.found for evidence in found.values())


def test_what_is_no_contract_is_named():
    """A module without checks, or no module at all, is refused."""
    for nonsense in (pytest, 3, None):
        with pytest.raises(ValueError, match="contract="):
            checks_of(nonsense)
