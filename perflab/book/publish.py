"""Make notebooks/*.ipynb from notebooks/text/*.py: read, execute, tidy, write.

    python -m perflab.book.publish [CHAPTER …]

Links between the pages are added here (`perflab.book.ways`): a chapter that is published for the
first time comes into its neighbours and the contents too, which are not executed for that.

The text is jupytext's percent format. Two builds of the same text differ in live numbers and
pictures only: ids come from the cells' place, times, addresses and widget state are left out. The
effects that a build measures become the reference machine's, in data/reference.csv.
"""

import base64
import csv
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from perflab.book import contents, ways
from perflab.book.glossary import terms
from perflab.book.readers import NOTEBOOKS, RECORD, ROOT
from perflab.book.records import Record

TEXT = NOTEBOOKS / "text"
REFERENCE = ROOT / "data" / "reference.csv"
COVER = {"1.5": ROOT / "data" / "cover.png"}  # the figure that the README shows
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
CELL_TIMEOUT = 300
WIDGET = "application/vnd.jupyter.widget-view+json"


def texts(chapters: Sequence[int] = ()) -> list[Path]:
    """The chapters' texts, all or those asked for. ValueError for a chapter without one."""
    found = [path for path in sorted(TEXT.glob("[0-9][0-9]-*.py")) if path not in pages()]
    known = {int(path.name[:2]): path for path in found}
    unknown = [number for number in chapters if number not in known]
    if unknown:
        raise ValueError(f"chapter={unknown[0]}: must be one of {', '.join(map(str, known))}")
    return [path for number, path in known.items() if not chapters or number in chapters]


def pages() -> list[Path]:
    """The texts of the pages that are no chapters: the contents and the glossary."""
    names = (Path(name).with_suffix(".py") for name in (ways.CONTENTS, ways.GLOSSARY))
    return [TEXT / name for name in names if (TEXT / name).exists()]


def notebook_of(text: Path) -> Any:
    """The notebook that a text describes, without outputs, its links added."""
    notebook = _as_written(text)
    prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    if text.stem == Path(ways.CONTENTS).stem:
        listed = contents.listed(contents.about(NOTEBOOKS))
        for cell in prose:
            cell.source = cell.source.replace(contents.PLACE, listed)
    elif text.stem == Path(ways.GLOSSARY).stem:
        for cell in prose[1:]:
            cell.id = ways.entry(cell.source.partition("\n")[0].removeprefix("### "))
        prose[0].source = f"[Contents]({ways.CONTENTS})\n\n{prose[0].source}"
    elif pages():
        linked = ways.explained([cell.source for cell in prose], terms(TEXT / "glossary.py"))
        for cell, source in zip(prose, linked, strict=True):
            cell.source = source
        _navigable(notebook, text)
    return notebook


def _as_written(text: Path) -> Any:
    notebook = jupytext.read(text)
    notebook.metadata = nbformat.from_dict(METADATA)  # type: ignore[no-untyped-call]  # upstream
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"c{number:03}"
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
    return notebook


def _navigable(notebook: Any, text: Path) -> None:
    """Put links to the neighbours, among the chapters that are published, at head and foot."""
    there = [one for one in texts() if one == text or (NOTEBOOKS / f"{one.stem}.ipynb").exists()]
    before, after = neighbours(text, there)
    line = ways.navigation(before, after)
    first, last = notebook.cells[0], notebook.cells[-1]
    first.source = f"{line}\n\n{first.source}"
    if last.cell_type == "markdown":
        last.source = f"{last.source}\n\n{line}"


def neighbours(text: Path, there: Sequence[Path]) -> list[tuple[str, str] | None]:
    """File and title of the chapter before and of the one after, None at either end."""
    at = list(there).index(text)
    beside = [there[i] if 0 <= i < len(there) else None for i in (at - 1, at + 1)]
    return [(f"{one.stem}.ipynb", _title(one)) if one else None for one in beside]


def _title(text: Path) -> str:
    found = re.search(r"(?m)^# # (.+)$", text.read_text("utf-8"))
    return found[1] if found else text.stem


def renew() -> list[Path]:
    """Take what is generated, links and contents, into the published notebooks, and tell which
    have changed. No chapter is executed; one whose text says something else by now is left alone.
    """
    changed = []
    for text in texts():
        path = NOTEBOOKS / f"{text.stem}.ipynb"
        if path.exists() and _renewed(path, notebook_of(text)):
            changed.append(path)
    for page in pages():
        path = NOTEBOOKS / f"{page.stem}.ipynb"
        made = [(cell.id, cell.source) for cell in notebook_of(page).cells]
        if not path.exists() or [(cell.id, cell.source) for cell in _read(path).cells] != made:
            changed.append(publish(page))
    return changed


def _read(path: Path) -> Any:
    return nbformat.read(path, 4)  # type: ignore[no-untyped-call]  # upstream


def _renewed(path: Path, made: Any) -> bool:
    stored = _read(path)
    if _typed(stored) != _typed(made) or [c.source for c in stored.cells] == [
        c.source for c in made.cells
    ]:
        return False
    for cell, new in zip(stored.cells, made.cells, strict=True):
        cell.source = new.source
    nbformat.write(stored, path)  # type: ignore[no-untyped-call]  # upstream
    return True


def _typed(notebook: Any) -> list[tuple[str, str]]:
    return [(cell.cell_type, ways.plain(cell.source)) for cell in notebook.cells]


def execute(notebook: Any, my_folder: str) -> None:
    """Run all cells in a fresh kernel that keeps its record in `my_folder`."""
    environment = dict(os.environ, PERFLAB_MY=my_folder, PERFLAB_COMPLETE="1")
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=True,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    client.execute(env=environment)


def tidy(notebook: Any) -> None:
    """Leave out what differs between two builds without telling a reader anything."""
    number = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        number += 1
        cell.execution_count = number
        # A form's state is not kept: the words above it say what it asks.
        kept = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
        cell.outputs = [_tidy(output, number) for output in _merged(kept)]
        cell.metadata.pop("execution", None)
    notebook.metadata = nbformat.from_dict(METADATA)  # type: ignore[no-untyped-call]  # upstream


def _merged(outputs: Sequence[Any]) -> list[Any]:
    """Consecutive pieces of one stream are one output."""
    merged: list[Any] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def _tidy(output: Any, number: int) -> Any:
    if output.output_type == "execute_result":
        output.execution_count = number
    if output.output_type == "stream":
        output.text = _without_addresses(output.text)
    if "data" in output:
        for kind in ("text/plain", "text/html"):
            if kind in output.data:
                output.data[kind] = _without_addresses(output.data[kind])
        output.metadata.pop("isolated", None)
    return output


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", text)


def publish(text: Path) -> Path:
    """Execute one chapter's text and write its notebook; nothing is written if a cell fails."""
    notebook = notebook_of(text)
    with tempfile.TemporaryDirectory(prefix="perflab-") as folder:
        execute(notebook, folder)
        print(f"slowest cells: {slowest(notebook)}")
        tidy(notebook)
        nbformat.validate(notebook)
        record = Record(Path(folder) / RECORD)
        if text not in pages():
            keep_reference(record, int(text.name[:2]))
        record.close()
    keep_cover(notebook)
    path = NOTEBOOKS / (text.stem + ".ipynb")
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]  # upstream
    return path


def keep_cover(notebook: Any) -> None:
    """Write the README's figure where this notebook draws it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            claim = output.get("metadata", {}).get("perflab", {}).get("claim")
            if claim in COVER:
                COVER[claim].write_bytes(base64.b64decode(output["data"]["image/png"]))


def keep_reference(record: Record, chapter: int) -> None:
    """Replace this chapter's rows in data/reference.csv by what was measured just now."""
    rows = {}
    if REFERENCE.exists():
        with open(REFERENCE, newline="", encoding="utf-8") as file:
            rows = {row["claim"]: row for row in csv.DictReader(file)}
    rows = {claim: row for claim, row in rows.items() if int(claim.split(".")[0]) != chapter}
    for effect in record.rows("effects"):  # of a claim measured twice the last one stays
        row = {name: effect[name] for name in ("claim", "word", "effect")}
        rows[effect["claim"]] = row | {"machine": record.machine.label}
    order = sorted(rows, key=lambda claim: [int(part) for part in claim.split(".")])
    with open(REFERENCE, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["claim", "word", "effect", "machine"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[claim] for claim in order)


def slowest(notebook: Any, count: int = 3) -> str:
    """The cells that took longest, for whoever keeps the chapter within its budget."""
    taken = []
    for cell in notebook.cells:
        times = cell.metadata.get("execution", {})
        if "iopub.execute_input" in times and "shell.execute_reply" in times:
            ended, began = (
                times[key].rstrip("Z") for key in ("shell.execute_reply", "iopub.execute_input")
            )
            seconds = (
                datetime.fromisoformat(ended) - datetime.fromisoformat(began)
            ).total_seconds()
            taken.append((seconds, cell.id))
    return ", ".join(f"{id} {seconds:.1f} s" for seconds, id in sorted(taken)[::-1][:count])


def main(arguments: Sequence[str]) -> int:
    """Publish the chapters named, or all; say what was written and how large it is."""
    for text in texts([int(argument) for argument in arguments]):
        try:
            path = publish(text)
        except CellExecutionError as error:
            print(f"{text.name}: {error.ename}: {error.evalue}\n{error}", file=sys.stderr)
            return 1
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:,.0f} kB", flush=True)
    for path in renew():
        print(f"{path.relative_to(ROOT)}: links and contents renewed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
