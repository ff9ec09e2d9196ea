"""One reader for all the tests of this folder, in order; skipped where nobody can browse."""

import os
import shutil
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
QUIET = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # whoever asks gets no answer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shots", type=Path, help="a folder for a picture of each step")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = _lacking()
    for item in items:
        if reason and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason))


def _lacking() -> str:
    """What keeps these tests from running. Where a browser is named, nothing may."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return "one session, and alone: make browser"
    if os.environ.get("PERFLAB_BROWSER"):
        return ""
    if find_spec("playwright") is None:
        return "no playwright: make browser installs it"
    return "" if _found() else "no Chromium or Chrome on PATH, and PERFLAB_BROWSER names none"


def _found() -> str | None:
    named = os.environ.get("PERFLAB_BROWSER")
    return next(filter(None, map(shutil.which, [named] if named else BROWSERS)), named)


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium, without a window, cut off from the network."""
    from playwright.sync_api import sync_playwright  # not at the top: it may be missing

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=_found(), args=[*QUIET, NOWHERE])


@pytest.fixture(scope="module")
def reader(browser, request, tmp_path_factory):
    """A reader with a folder of their own, who has not opened anything yet."""
    from tests.browser.page import Reader

    shots = request.config.getoption("--shots", default=None)
    if shots is not None:
        shots.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": 1200, "height": 1400})
    return Reader(context, tmp_path_factory.mktemp("my"), shots)


@pytest.fixture(scope="module")
def lab(reader):
    """Call it to start JupyterLab, in place of one that runs already; it returns the address."""
    from tests.browser.page import lab

    with ExitStack() as running:

        def start():
            running.close()
            return running.enter_context(lab(reader.mine))

        yield start


@pytest.fixture(scope="module")
def expect(browser):
    """Playwright's assertions, which wait until something holds."""
    from playwright.sync_api import expect

    return expect


@pytest.fixture(autouse=True)
def _in_order(request):
    """Each test goes on where the one before it ended, so after a failure none can."""
    before = request.session.stash.setdefault(FAILED, [])
    if before:
        pytest.skip(f"{before[0]} failed before")


FAILED = pytest.StashKey[list[str]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.failed:
        item.session.stash.setdefault(FAILED, []).append(item.name)
    return report
