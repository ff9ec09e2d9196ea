"""A record of one's own, and a page that keeps what is shown."""

import pytest

from perflab.book import show, widgets
from perflab.book.records import Record


class Page:
    """Its state: what was displayed, in order; an update replaces what it updates."""

    def __init__(self):
        self.shown = []
        self.metadata = []

    def display(self, thing, raw=False, metadata=None, display_id=None):
        self.shown.append(thing)
        self.metadata.append(metadata)
        return Handle(self, len(self.shown) - 1) if display_id else None

    @property
    def text(self):
        """All plain text on the page."""
        return "\n".join(one["text/plain"] for one in self.shown if isinstance(one, dict))


class Handle:
    def __init__(self, page, place):
        self.page, self.place = page, place

    def update(self, thing, raw=False):
        self.page.shown[self.place] = thing


@pytest.fixture
def page(monkeypatch):
    """A page as in Lab: a shell is there, and displays are kept."""
    page = Page()
    for module in (show, widgets):
        monkeypatch.setattr(module, "display", page.display)
        monkeypatch.setattr(module, "get_ipython", lambda: page)
    return page


@pytest.fixture
def script(monkeypatch):
    """No shell: the same code run as a script."""
    for module in (show, widgets):
        monkeypatch.setattr(module, "get_ipython", lambda: None)


@pytest.fixture
def my(tmp_path, monkeypatch):
    """A folder for the record, and every record in it closed at the end."""
    monkeypatch.setenv("PERFLAB_MY", str(tmp_path / "my"))
    monkeypatch.delenv("PERFLAB_SCALE", raising=False)
    opened, begin = [], Record.__init__

    def remembered(self, *arguments, **more):
        opened.append(self)
        begin(self, *arguments, **more)

    monkeypatch.setattr(Record, "__init__", remembered)
    yield tmp_path / "my"
    for record in opened:
        record.close()
