"""A reader at the screen: JupyterLab as `make lab` starts it, and one chapter open in a tab.

Everything is done as a reader does it, by mouse and keyboard, and nothing waits for time to pass:
each step waits for what it should bring about.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.scripts import FAINT, FRAMES, STILL

PATIENCE_MS = 90_000  # what a step may take on a busy machine
CHAPTER_MS = 900_000  # what a whole chapter may take there
TAB = "#jp-main-dock-panel .lm-TabBar-tab"
HERE = re.compile(r"(https?|wss?)://127\.0\.0\.1[:/]|(data|blob|about):")

expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def lab(mine: Path) -> Iterator[str]:
    """JupyterLab as `make lab` starts it, on this folder; gives the address that it prints."""
    command = [sys.executable, "-m", "perflab", "lab", "--no-browser"]
    environment = {**os.environ, "PERFLAB_MY": str(mine)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said: list[str] = []
    try:
        yield _address(process, said)
    finally:
        process.terminate()
        process.wait(60)
    assert not [line for line in said if "timeout" in line or "Traceback" in line], "".join(said)


def _address(process: "subprocess.Popen[str]", said: list[str]) -> str:
    """Read until the address comes; a thread reads on, or a full pipe would stop the server."""
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        found = re.search(r"http://127\.0\.0\.1:\d+/\S+", line)
        if found:
            threading.Thread(target=said.extend, args=(process.stdout,), daemon=True).start()
            return found[0]
    raise AssertionError("make lab gave no address:\n" + "".join(said))


class Reader:
    """One reader of one chapter.

    Their state: the browser tab that is open, where the cells of the chapter stand, and what has
    happened on the way: requests that left this machine, connections lost, complaints.
    """

    def __init__(self, context: BrowserContext, mine: Path, shots: Path | None) -> None:
        self.mine = mine
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        self._context, self._shots, self._taken = context, shots, 0
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(FRAMES)
        context.on("request", lambda request: self._asked(request.url))
        self.page: Page

    def _asked(self, url: str) -> None:
        if not HERE.match(url):
            self.elsewhere.append(url)

    def _complained(self, kind: str, text: str) -> None:
        if kind == "error" or "Connection lost" in text:
            self.complaints.append(text)

    # ── the tab

    def open(self, address: str) -> None:
        """Go to an address in a new tab, and wait until Lab stands there."""
        self.page = page = self._context.new_page()
        page.on("console", lambda said: self._complained(said.type, said.text))
        page.on("pageerror", lambda error: self._complained("error", str(error)))
        page.on("websocket", lambda socket: self._asked(socket.url))
        page.goto(address)
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)

    def leave(self) -> None:
        """Save the notebook in front and close the tab."""
        self.page.keyboard.press("Control+s")
        dirty = self.page.locator(f"{TAB}.jp-mod-dirty")
        expect(dirty).to_have_count(0)
        self.page.close()

    def arrive(self, name: str) -> None:
        """Wait until this notebook is in front, whole and with a kernel; know its cells."""
        notebook = json.loads((self.mine / name).read_text("utf-8"))
        self._sources = ["".join(cell["source"]) for cell in notebook["cells"]]
        title = self.page.locator(f"{TAB}.lm-mod-current")
        expect(title).to_contain_text(name)
        self.book = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        expect(self.book.locator(".jp-Cell")).to_have_count(len(self._sources))
        self.settled()

    def back(self, name: str) -> None:
        """Close the notebook in front, and go to the tab of this one."""
        self.page.locator(f"{TAB}.lm-mod-current .lm-TabBar-tabCloseIcon").click()
        self.page.locator(TAB, has_text=name).click()
        self.arrive(name)

    def settled(self) -> None:
        """Wait until the kernel has nothing to do."""
        idle = self.book.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
        expect(idle).to_have_count(1, timeout=CHAPTER_MS)

    def menu(self, *names: str) -> None:
        """Choose from the menus, as «Run», «Run All Cells»."""
        self.page.get_by_role("menuitem", name=names[0], exact=True).click()
        for name in names[1:]:
            self.page.locator(".lm-Menu").get_by_text(name, exact=True).click()

    # ── cells

    def cell(self, text: str) -> Locator:
        """The one cell whose source, as the chapter was opened, has this text in it."""
        (at,) = [number for number, source in enumerate(self._sources) if text in source]
        return self.book.locator(f'.jp-Cell[data-windowed-list-index="{at}"]')

    def output(self, text: str) -> Locator:
        return self.cell(text).locator(".jp-Cell-outputArea")

    def start(self, text: str) -> None:
        """Run the cell by Shift+Enter; it has begun, or is over, when its number has changed."""
        prompt = self.cell(text).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        prompt.click()
        self.page.keyboard.press("Shift+Enter")
        expect(prompt).not_to_have_text(before)

    def run(self, text: str) -> Locator:
        """Run the cell, wait for its end, and give its output."""
        self.start(text)
        expect(self.cell(text).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))
        self.settled()
        return self.output(text)

    def write(self, text: str, source: str) -> None:
        """Replace what stands in the cell."""
        self.cell(text).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)

    def frames(self, name: str) -> list[float]:
        """How far the bar of this live figure had come, in each of its frames so far."""
        found: list[float] = self.page.evaluate("name => window.liveFrames[name] ?? []", name)
        return found

    # ── what there is to see

    def theme(self, name: str) -> None:
        """Change to the theme of this name and wait until the page wears it."""
        self.menu("Settings", "Theme", f"JupyterLab {name}")
        light = str(name == "Light").lower()
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-light", light)
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)

    def faint(self, least: float) -> list[str]:
        """What the outputs say with a contrast below this."""
        found: list[str] = self.page.evaluate(FAINT, least)
        return found

    def shot(self, name: str, text: str | None = None) -> None:
        """Keep a picture of the page, or of one cell, where pictures are wanted."""
        if self._shots is None:
            return
        self._taken += 1
        path = self._shots / f"{self._taken:02}-{name}.png"
        if text is None:
            self.page.screenshot(path=path)
        else:
            self.cell(text).evaluate(STILL)
            self.cell(text).screenshot(path=path)
