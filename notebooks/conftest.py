"""How pytest runs the notebooks: with a record of their own, time enough on a busy machine, and
no server missing."""

import os
import sys
import tempfile

CELL_TIMEOUT = 300  # seconds; the slowest cell takes some ten on a quiet machine


def pytest_configure(config):
    """Keep the reader's own record out of it."""
    config.perflab_folder = tempfile.TemporaryDirectory(prefix="perflab-")
    os.environ["PERFLAB_MY"] = config.perflab_folder.name
    os.environ["PERFLAB_SCALE"] = "quick"
    os.environ["PERFLAB_COMPLETE"] = "1"  # where a server's program is missing, the run fails
    config.option.nbval_cell_timeout = CELL_TIMEOUT


def pytest_unconfigure(config):
    config.perflab_folder.cleanup()


def pytest_itemcollected(item):
    """nbval waits 5 s for a cell's next output; a load test may be silent for longer. And what only
    Linux does is compared on Linux: elsewhere its cell says «not run here»."""
    if hasattr(item, "output_timeout"):
        item.output_timeout = CELL_TIMEOUT
        if sys.platform != "linux" and "tcp.on_linux(" in item.cell.source:
            item.options["check"] = False
