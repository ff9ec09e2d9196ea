"""The first case study's experiments: sixteen ways by turns, what a page weighs, the game."""

import numpy as np
import pytest

from perflab.book.codelines import TRIPLES, beside
from perflab.experiments import budgetgame
from perflab.experiments.shopfixes import (
    SUBSETS,
    VISITED,
    blocks,
    by_turns,
    hit_ratio,
    popularity,
    visits,
)
from perflab.experiments.shopload import before_and_after
from perflab.experiments.shoppages import case_study, prepare
from perflab.systems import postgres, valkey


@pytest.fixture(scope="module")
def servers(small_shop):
    """The database, the cache and the shop's server."""
    with postgres() as database, valkey() as cache:
        small_shop.copy_to(database)
        prepare(database)
        with case_study(database, cache) as app:
            yield database, cache, app


def test_sixteen_ways_cost_what_each_is_there_to_save(servers):
    """Queries hang on indexes and cache alone, connections on pool and cache, bytes on Z."""
    database, cache, app = servers
    pages = list(dict.fromkeys(visits(database, 30)))[:4]
    turns = by_turns(app, app, cache, pages)
    assert turns.bodies == 1
    assert list(turns.known) == [True, False, True, False]
    missed, hit = (
        {what: turns.mean(what, ratio) for what in ("queries", "connects", "sent")}
        for ratio in (0, 1)
    )
    for use in SUBSETS:
        cached, same = "C" in use, "I" if "I" in use else ""
        assert missed["queries"][use] == missed["queries"][same]
        assert hit["queries"][use] == (0 if cached else hit["queries"][same])
        assert missed["connects"][use] == ("P" not in use)
        assert hit["connects"][use] == (not cached and "P" not in use)
        assert (missed["sent"][use] < missed["sent"][""] / 2) == ("Z" in use)
        assert (turns.kept[use] > 0) == cached
    assert missed["queries"]["I"] == 3 < missed["queries"][""]
    assert np.isfinite(turns.seconds).all()


def test_some_ways_alone_can_be_tried(servers):
    """The knob asks for six; the others are left out."""
    database, cache, app = servers
    turns = by_turns(app, app, cache, visits(database, 2, skew=0.0), uses=("", "C"))
    tried = np.isfinite(turns.seconds).all(axis=0)
    assert [use for use, one in zip(SUBSETS, tried, strict=True) if one] == ["", "C"]


def test_indexes_save_blocks(servers):
    """A page by indexes looks at a fraction of what the scans read."""
    database, _, _ = servers
    (product,) = visits(database, 1)
    assert blocks(database, product, "I") < blocks(database, product) / 3


def test_before_and_after_take_turns(servers):
    """Each subset as often as there are rounds, with all pages answered and memory looked at."""
    database, _, app = servers
    seen = before_and_after(
        app, {"web": app, "database": database}, visits(database, 8), {"": 4, "ICPZ": 8}, rounds=2
    )
    assert {use: [one.run.end.size for one in runs] for use, runs in seen.items()} == {
        "": [4, 4],
        "ICPZ": [8, 8],
    }
    for runs in seen.values():
        assert all(one.run.ok.all() for one in runs)
        assert all(one.taken.memory["web"].min() > 0 for one in runs)


def test_the_game_ranks_by_what_is_counted(servers):
    """A cache that was filled beforehand asks nothing; the card says whether the line is met."""
    database, cache, app = servers
    seen = visits(database, 220)
    played = budgetgame.play("ZWC", app, database, cache, seen, seconds=1.0)
    assert (played.choice, played.days, played.queries) == ("CZW", 6, 0)
    assert "below" in played.against(1e3)
    assert "ABOVE" in played.against(0.0)
    without = budgetgame.play("IPR", app, database, cache, seen, seconds=1.0)
    assert without.queries == 3
    assert without.sent > played.sent


@pytest.mark.parametrize("choice", ["", "IC", "IICP", "IIC", "IXC", "ICPZ"])
def test_the_game_takes_three_different_changes(choice):
    """Anything else is refused before a server is asked."""
    with pytest.raises(ValueError, match="3 different letters"):
        budgetgame.play(choice, None, None, None, [])


def test_the_hit_ratio_is_what_a_long_trace_shows():
    """The sum over products, against a cache that is played."""
    rng, share = np.random.default_rng(1), popularity(VISITED, 1.0)
    hits = [
        len({product} & set(rng.choice(VISITED, 200, p=share)))
        for product in rng.choice(VISITED, 2_000, p=share)
    ]
    assert hit_ratio(200) == pytest.approx(np.mean(hits), abs=0.03)
    assert hit_ratio(0) == 0
    assert hit_ratio(100_000, 0.0) == pytest.approx(1)


def test_lines_of_code_leave_out_what_is_none():
    """Each of the guide's patterns stands beside ours, which takes more."""
    table = beside()
    assert list(table["claim"]) == list(TRIPLES)
    assert (table["ours"] > table["the guide's, ported"]).all()
