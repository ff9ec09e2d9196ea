"""Races against peers: who runs, what is reached, what is kept and shown; no time is judged."""

import importlib.util
import threading
from pathlib import Path

import pytest

from tests.benchmarks import racing, standings
from tests.benchmarks.racing import Race, Result, compete

ROOT = Path(__file__).parents[1]
FOUND = Result(
    "pool", "object pool", 1, "queue", "", 50.0, 400.0, 8.0, 7.5, 8.5, 4.0, 96, 40, "a machine"
)


def found(**changes):
    return Result(**{**{name: getattr(FOUND, name) for name in standings.COLUMNS}, **changes})


def counting(seen):
    """A contestant that notes which threads ran it, and whether it was closed."""

    def make():
        def run(n):
            seen.add(threading.current_thread())
            for _ in range(n):
                pass

        run.close = lambda: seen.add("closed")
        return run

    return make


def missing():
    raise ImportError("no such peer")


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(racing, "ALONE", 0.001)
    monkeypatch.setattr(racing, "CROWD", 0.001)


def test_each_peer_has_a_result_for_each_number_of_threads():
    """Several threads run the same thing at once, and each contestant is closed at the end."""
    ours, theirs = set(), set()
    race = Race("a race", {"ours": counting(ours), "peer": counting(theirs)}, {"peer": (2, 3)})
    results = list(compete("part", race, 0.01))
    assert [(one.threads, one.peer, one.goal) for one in results] == [
        (1, "peer", 2),
        (4, "peer", 3),
    ]
    for seen in (ours, theirs):
        assert threading.main_thread() in seen
        assert len(seen) == 1 + 4 + len({"closed"})
    assert all(one.rounds >= racing.FEWEST and one.low > 0 for one in results)


def test_a_peer_that_is_not_installed_is_skipped_with_a_word():
    """The others race on."""
    said = []
    work = {"ours": counting(set()), "absent": missing, "peer": counting(set())}
    results = list(compete("part", Race("a race", work, {}, (1,)), 0.01, said.append))
    assert [one.peer for one in results] == ["peer"]
    assert said == ["a race: absent is skipped, not installed here (no such peer)"]


def test_an_error_in_a_thread_ends_the_race():
    """It is not timed as if it were work."""

    def broken():
        def run(n):
            raise ZeroDivisionError

        return run

    race = Race("a race", {"ours": broken, "peer": counting(set())}, {}, (4,))
    with pytest.raises(ZeroDivisionError):
        list(compete("part", race, 0.01))


def test_an_idle_object_of_ours_is_weighed():
    """What its first call alone allocates is not counted."""
    work = {"ours": counting(set()), "peer": counting(set())}
    race = Race("a race", work, {}, (1,), idle_bytes=lambda: bytearray(10_000))
    (result,) = compete("part", race, 0.01)
    assert 10_000 <= result.idle_bytes < 11_000


@pytest.mark.parametrize(
    "options",
    [
        {"work": {"peer": missing}, "goals": {}},
        {"work": {"ours": missing}, "goals": {"peer": 2}},
        {"work": {"ours": missing, "peer": missing}, "goals": {"peer": (1, 2, 3)}},
    ],
)
def test_a_race_that_makes_no_sense_is_refused(options):
    """Without ours, with a goal for nobody, with goals that fit no number of threads."""
    with pytest.raises(ValueError, match="must be"):
        Race("a race", **options)


@pytest.mark.parametrize(
    ("goal", "verdict"), [(7.5, "met"), (8.0, "unclear"), (8.6, "MISSED"), (None, "")]
)
def test_a_goal_is_met_where_the_whole_interval_reaches_it(goal, verdict):
    """And missed where none of it does."""
    assert found(goal=goal).verdict == verdict


def test_what_is_written_is_read_again(tmp_path):
    """Without goals and weights as well."""
    both = [FOUND, found(threads=4, goal=None, idle_bytes=None)]
    standings.write(both, tmp_path / "found.csv")
    assert standings.read(tmp_path / "found.csv") == both


def test_a_part_that_runs_again_takes_its_own_place_alone(tmp_path):
    """Other parts' results stay, unless another machine has found them."""
    path = tmp_path / "found.csv"
    standings.write([found(part="breaker"), FOUND], path)
    standings.write([found(ratio=9.0)], path)
    assert [(one.part, one.ratio) for one in standings.read(path)] == [("breaker", 8), ("pool", 9)]
    standings.write([found(machine="another")], path)
    assert [one.machine for one in standings.read(path)] == ["another"]


def test_the_readme_shows_the_table_between_its_marks():
    """A row for each peer, a column for each number of threads; missed goals stand out."""
    both = [FOUND, found(threads=4, goal=9.0)]
    text = standings.put_into("before <!-- benchmarks -->old<!-- /benchmarks --> after", both)
    assert text.startswith("before <!-- benchmarks -->")
    assert text.endswith("<!-- /benchmarks --> after")
    assert "old" not in text
    row = "| object pool | 50 | queue | 8.0× (7.5–8.5), goal 4 ✓ | 8.0× (7.5–8.5), goal 9 **MISSED** | 96 |"  # noqa: E501  # a row of the table
    assert row in text
    assert standings.put_into(text, both) == text


def test_a_readme_without_marks_is_told():
    """Nothing is guessed about where the table belongs."""
    with pytest.raises(SystemExit, match="benchmarks"):
        standings.put_into("no marks", [FOUND])


def test_the_figure_is_a_picture():
    """Drawn from whatever there is, one result or many."""
    many = [found(race=f"race {n}", peer=peer) for n in range(5) for peer in ("one", "two")]
    for results in ([FOUND], many):
        assert standings.figure(results).startswith(b"\x89PNG")


def test_a_peer_that_cannot_be_installed_does_not_keep_the_others_away(monkeypatch, capsys):
    """All at once; where that fails one after the other, and who fails is named."""
    spec = importlib.util.spec_from_file_location("make_for_bench", ROOT / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    tried = []

    def succeeds(command):
        tried.append([word for word in command if ">=" in word])
        return len(tried[-1]) == 1 and "aiocache" not in tried[-1][0]

    monkeypatch.setattr(make, "succeeds", succeeds)
    make.install_extra("bench", "its races are skipped")
    assert len(tried[1]) > 20
    assert tried[2:] == [[peer] for peer in tried[1]]
    assert capsys.readouterr().out.count("cannot be installed") == 1
