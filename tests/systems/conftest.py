"""What the tests of the systems share."""

import pytest

from perflab.systems import shop


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory):
    """A shop of 5,000 order items."""
    return shop(5_000, folder=tmp_path_factory.mktemp("shop"))
