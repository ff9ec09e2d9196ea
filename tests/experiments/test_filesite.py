"""Small files over TLS: in turn, over several connections, and side by side over one."""

import pytest

from perflab.experiments.filesite import fetch, filesite
from perflab.systems import link


@pytest.fixture(scope="module")
def site():
    with filesite(12, size=500) as running:
        yield running


@pytest.mark.parametrize(
    ("how", "connections"), [({}, 1), ({"connections": 3}, 3), ({"http2": True}, 1)]
)
def test_files_come_over_as_many_connections_as_asked(site, how, connections):
    """The link counts them, whatever the client says."""
    with link(site, delay=0.005) as way:
        got = fetch(way, site.paths, site.authority, **how)
        assert way.counts().connections == got.connections == connections
    assert list(got.done) == sorted(got.done)
    assert len(got.done) == 12


def test_one_connection_in_turn_needs_a_round_trip_a_file_and_http2_does_not(site):
    """Side by side means fewer changes of direction, not more connections."""
    with link(site, delay=0.005) as way:
        fetch(way, site.paths, site.authority)
        in_turn = way.counts().turns
        way.forget()
        fetch(way, site.paths, site.authority, http2=True)
        assert way.counts().turns < in_turn / 2
    assert in_turn >= 2 * 12 - 1


def test_a_file_that_is_not_there_is_an_error(site):
    """Nothing is counted as received that did not come."""
    with pytest.raises(OSError, match="did not come"):
        fetch(site, ["/nothing"], site.authority)


@pytest.mark.parametrize("bad", [{"files": 0}, {"files": 1000}, {"files": True}, {"size": 0}])
def test_a_bad_argument_is_named(bad):
    """Nothing starts for nonsense."""
    with pytest.raises(ValueError, match=next(iter(bad))):
        filesite(**bad)
