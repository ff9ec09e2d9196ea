"""The link's own error, as chapter 7 shows it."""

from perflab.experiments.linkerror import link_error


def test_a_link_gives_no_more_than_it_is_asked():
    """Half of the answers come at the bandwidth or below; no round trip is shorter than asked."""
    found = link_error((20, 50), (4,), seconds=0.02, times=5)
    assert list(found.index.get_level_values("asked")) == [20, 50, 4]
    bandwidths = found.loc["bandwidth (Mbit/s)"]
    assert (bandwidths["median"] <= bandwidths.index).all()
    assert (bandwidths["off by (%)"] <= 0).all()
    round_trips = found.loc["round trip (ms)"]
    assert (round_trips["lowest"] >= round_trips.index).all()
    assert (round_trips["off by (%)"] >= 0).all()
