"""Both transports of the load generator, for tests of what either has to do."""

import pytest

from perflab.systems.loadgen.scenario import Scenario


@pytest.fixture(params=["sockets", "libcurl"])
def transport(request, monkeypatch):
    """The transport that every load of this test goes through."""
    settings = Scenario.settings
    monkeypatch.setattr(
        Scenario, "settings", lambda self, base: settings(self, base) | {"transport": request.param}
    )
    return request.param
