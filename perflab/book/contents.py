"""What the contents page says of each chapter: from data/chapters.csv and its own notebook."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perflab.book import readers

PLACE = "<!-- the chapters -->"  # where the page's text has them listed
CHAPTERS = readers.ROOT / "data" / "chapters.csv"
NAME = re.compile(r"(?m)^# (?:\d+ )?(.+)$")
MINUTES = re.compile(r"\*\*Chapter \d+ of \d+\*\* · (\d+) minutes")
MYSTERY = re.compile(r'ch\.mystery\(\s*"([^"]+)"')
PREDICTED = re.compile(r'ch\.predict\(\s*"(\d+\.\d+)"')


@dataclass(frozen=True)
class About:
    """A chapter: what it breaks, and, once it is written, its file, minutes, mystery, and the
    claims that it asks a prediction for."""

    number: int
    title: str
    breaks: str
    file: str = ""
    minutes: int = 0
    mystery: str = ""
    asked: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Number and title, as a reader sees them."""
        return f"{self.number} {self.title}"


def about(folder: Path | None = None) -> list[About]:
    """All chapters of the book in order; of those whose notebook is in the folder (that of the
    repository, if none is named), what the notebook says."""
    folder = readers.NOTEBOOKS if folder is None else folder
    files = {int(path.name[:2]): path for path in sorted(folder.glob("[0-9][0-9]-*[a-z].ipynb"))}
    return [_about(*row, files.get(row[0])) for row in rows()]


def rows() -> list[tuple[int, str, str]]:
    """All chapters of the book in order: number, title and what breaks."""
    with open(CHAPTERS, newline="", encoding="utf-8") as file:
        return [(int(row["number"]), row["title"], row["breaks"]) for row in csv.DictReader(file)]


def _about(number: int, title: str, breaks: str, path: Path | None) -> About:
    text = _text(path) if path else ""
    if path is None or not text:
        return About(number, title, breaks)
    minutes, mystery = MINUTES.search(text), MYSTERY.search(text)
    return About(
        number,
        title,
        breaks,
        path.name,
        int(minutes[1]) if minutes else 0,
        mystery[1] if mystery else "",
        tuple(dict.fromkeys(PREDICTED.findall(text))),
    )


def _text(path: Path) -> str:
    """All cells' text, or nothing where the file is no notebook (any more)."""
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        return "\n".join("".join(cell["source"]) for cell in cells)
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def listed(chapters: Sequence[About]) -> str:
    """The chapters as a table in Markdown."""
    table = ["| | the mystery | what breaks |", "|:--|:--|:--|"]
    for one in chapters:
        name = f"[{one.name}]({one.file})" if one.file else one.name
        when = f"{one.minutes} minutes" if one.file else "*to come*"
        table.append(f"| **{name}**<br>{when} | *{one.mystery}* | {one.breaks} |")
    return "\n".join(table)
