"""How pytest runs the notebooks: a record of their own, and time enough on a busy machine."""

import os
import tempfile

CELL_TIMEOUT = 300  # seconds; the slowest cell takes some ten on a quiet machine


def pytest_configure(config):
    """Keep the reader's own record out of it."""
    config.perflab_folder = tempfile.TemporaryDirectory(prefix="perflab-")
    os.environ["PERFLAB_MY"] = config.perflab_folder.name
    os.environ["PERFLAB_SCALE"] = "quick"
    config.option.nbval_cell_timeout = CELL_TIMEOUT


def pytest_unconfigure(config):
    config.perflab_folder.cleanup()


def pytest_itemcollected(item):
    """nbval waits 5 s for a cell's next output; a load test may be silent for longer."""
    if hasattr(item, "output_timeout"):
        item.output_timeout = CELL_TIMEOUT
