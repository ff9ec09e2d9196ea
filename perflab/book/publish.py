"""Make notebooks/*.ipynb from notebooks/text/*.py: read, execute, tidy, write.

    python -m perflab.book.publish [CHAPTER …]

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

from perflab.book.readers import NOTEBOOKS, ROOT
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
    known = {int(path.name[:2]): path for path in sorted(TEXT.glob("[0-9][0-9]-*.py"))}
    unknown = [number for number in chapters if number not in known]
    if unknown:
        raise ValueError(f"chapter={unknown[0]}: must be one of {', '.join(map(str, known))}")
    return [path for number, path in known.items() if not chapters or number in chapters]


def notebook_of(text: Path) -> Any:
    """The notebook that a text describes, without outputs."""
    notebook = jupytext.read(text)
    notebook.metadata = nbformat.from_dict(METADATA)  # type: ignore[no-untyped-call]  # upstream
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"c{number:03}"
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
    return notebook


def execute(notebook: Any, my_folder: str) -> None:
    """Run all cells in a fresh kernel that keeps its record in `my_folder`."""
    environment = dict(os.environ, PERFLAB_MY=my_folder)
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
        record = Record(Path(folder) / "book.db")
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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
