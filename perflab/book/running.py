"""Run chapters live, each in a fresh kernel; executed copies and a report for the browser."""

import html
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from tqdm import tqdm

from perflab.book.absent import NOT_RUN, says_so
from perflab.book.paper import page, table
from perflab.book.readers import chapters, my_folder, writable
from perflab.book.ways import plain
from perflab.measure.machine import Machine

QUIET = "--IPKernelApp.log_level=50"  # a kernel's own log, not what its cells write
TAIL = 8  # lines of a traceback that are shown
# The page as Lab shows it, without the scripts that would be fetched from the web.
REPORT = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}"""


@dataclass(frozen=True)
class ChapterRun:
    """One chapter as it ran: how many code cells, how long, and what stopped it if anything did."""

    chapter: str
    title: str
    cells: int
    seconds: float
    error: str | None  # which cell, and the traceback's last lines
    not_run: int = 0  # code cells that need what this machine lacks

    def __str__(self) -> str:
        if self.error is None:
            lacking = f", {self.not_run} of them {NOT_RUN}" if self.not_run else ""
            return f"✓ {self.chapter}: {self.cells} cells in {self.seconds:.0f} s{lacking}"
        return f"✗ {self.chapter}: {self.error}"


@dataclass(frozen=True)
class Runs:
    """What `run_chapters` did, and the folder that has it all."""

    folder: Path
    chapters: tuple[ChapterRun, ...]

    @property
    def passed(self) -> bool:
        return all(run.error is None for run in self.chapters)


def run_chapters(wanted: Iterable[str] = ()) -> Runs:
    """Execute chapters in order; one that fails does not keep the next from running.

    Raises ValueError for a chapter that does not exist, PerflabError where my/ cannot be written,
    KeyboardInterrupt with no kernel left behind.
    """
    paths = chapters(wanted)
    home = writable(my_folder())
    folder = writable(home / "runs" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    runs: list[ChapterRun] = []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # upstream
        for cell in notebook.cells:  # the pages that it leads to are not in this folder
            cell.source = plain(cell.source) if cell.cell_type == "markdown" else cell.source
        try:
            runs.append(_run(path.stem, notebook, home))
        finally:  # also of an interrupted chapter: what it had found is worth keeping
            nbformat.write(notebook, folder / path.name)  # type: ignore[no-untyped-call]  # upstream
        (folder / f"{path.stem}.html").write_text(_report(notebook, path.stem), "utf-8")
        (folder / "index.html").write_text(_index(runs), "utf-8")
    return Runs(folder, tuple(runs))


def _run(chapter: str, notebook: Any, home: Path) -> ChapterRun:
    began = time.monotonic()
    cells = [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for _, cell in cells:
        cell.outputs, cell.execution_count = [], None
    error = None
    try:
        _execute(notebook, cells, home, chapter)
    except _CellError as failed:
        error = str(failed)
    title = _title(notebook) or chapter
    not_run = sum(says_so("\n".join(_texts(cell))) for _, cell in cells)
    return ChapterRun(chapter, title, len(cells), time.monotonic() - began, error, not_run)


def _texts(cell: Any) -> Iterator[str]:
    """What stands under a cell, as plain text."""
    for output in cell.outputs:
        yield output.get("text") or output.get("data", {}).get("text/plain", "")


class _CellError(Exception):
    """A cell raised, or its kernel died."""


def _execute(notebook: Any, cells: list[tuple[int, Any]], home: Path, chapter: str) -> None:
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(home)}},
        store_widget_state=False,  # a page would fetch the widgets' scripts from the web
        record_timing=False,
        extra_arguments=[QUIET],
    )
    with client.setup_kernel(), tqdm(cells, chapter, unit="cell") as bar:
        for number, (index, cell) in enumerate(bar, start=1):
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                tail = _tail(cell)
                raise _CellError(f"code cell {number} of {len(cells)} failed\n{tail}") from error
            except DeadKernelError as error:
                raise _CellError(f"the kernel died in code cell {number}") from error


def _tail(cell: Any) -> str:
    errors = [output for output in cell.outputs if output.output_type == "error"]
    text = "\n".join(errors[-1].traceback) if errors else "no traceback"
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line for line in plain.splitlines() if line.strip("- ")]
    return "\n".join(f"    {line}" for line in lines[-TAIL:])


def _title(notebook: Any) -> str:
    for cell in notebook.cells:
        found = re.search(r"^# (.+)$", cell.source, re.M) if cell.cell_type == "markdown" else None
        if found:
            return found[1]
    return ""


def _report(notebook: Any, chapter: str) -> str:
    loaders = [DictLoader({"report": REPORT})]
    exporter = HTMLExporter(template_file="report", extra_loaders=loaders)  # type: ignore[no-untyped-call]  # upstream
    shown, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": chapter}})
    return str(shown)


def _result(run: ChapterRun) -> str:
    if run.error is not None:
        return f"<pre>{html.escape(run.error)}</pre>"
    return f"passed, {run.not_run} cells {NOT_RUN}" if run.not_run else "passed"


def _index(runs: list[ChapterRun]) -> str:
    rows = [
        [
            f'<a href="{run.chapter}.html">{html.escape(run.title)}</a>',
            f"{run.cells}",
            f"{run.seconds:.0f}",
            _result(run),
        ]
        for run in runs
    ]
    about = f"{datetime.now():%d %B %Y, %H:%M} · perflab {version('perflab')}"
    where = html.escape(Machine.here().label)
    made = table(["Chapter", "Code cells", "Seconds", "Result"], rows)
    return page("Chapters run", f'<p class="quiet">{about} · {where}</p>\n{made}')
