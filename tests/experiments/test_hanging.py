"""Services beside a dependency that hangs, and replicas that freeze."""

import json

import pytest

from perflab.experiments.guardedpages import GUARDS, guarded
from perflab.experiments.hanging import through_a_hang
from perflab.experiments.replicas import hedged_run
from perflab.systems import Closed, run_load, webapp


@pytest.fixture(scope="module")
def ordeal():
    return through_a_hang(hang=1.2, after=0.5, rate=40.0)


def test_every_guard_sees_the_same_load_and_reports_what_it_did(ordeal):
    """Each service has its run, its calls and its threads; only the breakers have states."""
    found, (begin, end) = ordeal
    assert set(found) == set(GUARDS)
    assert 0 < begin < end
    assert len({len(one.run.start) for one in found.values()}) == 1
    assert [guard for guard, one in found.items() if one.states] == ["guide's", "breaker"]


def test_a_bulkhead_never_lets_more_than_its_slots_to_the_dependency(ordeal):
    """Two of eight, however long it hangs; without a guard more are held."""
    found, hung = ordeal
    assert found["bulkhead"].most == 2
    assert found["bulkhead"].thread_seconds(*hung) < found["none"].thread_seconds(*hung)


def test_guards_call_a_hanging_dependency_less_often(ordeal):
    """That is what gives it a rest."""
    found, hung = ordeal
    called = {guard: one.called(*hung) for guard, one in found.items()}
    assert max(called[guard] for guard in GUARDS[1:]) < called["none"]


def test_a_page_that_needs_no_dependency_is_served_without_one():
    """/own answers, /remote says that the dependency does not."""
    with guarded() as service:
        assert service.get("/own")[0] == 200
        assert service.get("/remote")[0] == 504
        assert json.loads(service.get("/report")[1])["most"] == 1


def test_an_unknown_guard_is_refused():
    """The error says which there are."""
    with pytest.raises(ValueError, match="guard='prayer'"):
        guarded(guard="prayer")


def test_a_dependency_that_answers_is_called_for_every_request():
    """With nothing wrong no guard is in the way."""
    with webapp() as dependency, guarded(dependency, "breaker") as service:
        run = run_load(service, Closed(users=2, requests=40), route="/remote")
        assert run.ok.all()
        assert len(json.loads(service.get("/report")[1])["calls"]) == 40


def test_hedged_and_plain_requests_are_sent_by_turns():
    """As many of the one as of the other, and at least one call for each."""
    run = hedged_run(seconds=0.5, rate=40.0)
    assert len(run.plain) == len(run.hedged) == 10
    assert 1 <= run.calls <= 2
