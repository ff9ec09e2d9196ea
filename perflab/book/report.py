"""The page that a reader hands in: machine, verdicts, predictions, answers, from the record."""

from collections.abc import Iterator
from datetime import datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from perflab.book import contents
from perflab.book.claims import claims
from perflab.book.exercises import CHAPTERS, titles
from perflab.book.exercises.costs import cost_of, with_cost
from perflab.book.ledger import calibration
from perflab.book.paper import page, said, table
from perflab.book.readers import RECORD, my_folder
from perflab.book.records import Record, Row
from perflab.book.scoreboard import lines
from perflab.book.wording import plain
from perflab.errors import PerflabError

STATUS = ("right", "refused", "wrong", "not attempted")  # what is shown first of several answers


def write_report(out: Path | None = None) -> Path:
    """Write the page to `out`, or to report.html in the reader's folder; its path.

    Raises PerflabError where there is no record yet, and where the page cannot be written.
    """
    path = my_folder() / RECORD
    if not path.is_file():
        raise PerflabError(f"There is no record in {path.parent}: run a chapter first.")
    record = Record(path)
    try:
        text = page("My run", "".join(_parts(record)))
    finally:
        record.close()
    out = out or path.parent / "report.html"
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise PerflabError(f"{out} cannot be written: {error.strerror}") from error
    return out


def _parts(record: Record) -> Iterator[str]:
    yield (
        f"<p>{escape(record.machine.label)}, {record.machine.memory_gib} GiB · "
        f"Python {escape(record.machine.python)} · perflab {version('perflab')} · "
        f"{datetime.now():%d %B %Y, %H:%M}</p>"
    )
    others = [row["label"] for row in record.rows("machines") if row["id"] != record.machine.id]
    if others:
        listed = escape("; ".join(others))
        yield f'<p class="quiet">The record has runs of other machines too: {listed}. The verdicts '
        yield "and figures below are this machine's.</p>"
    yield f"<h2>Predictions</h2>{_calibrated(record)}{_predictions(record)}"
    yield f"<h2>Answers</h2>{_answers(record)}"
    yield f"<h2>Verdicts</h2>{''.join(_verdicts(record))}"


def _calibrated(record: Record) -> str:
    found = calibration(record)
    rows = [
        [
            escape(one.what),
            str(one.made),
            "" if one.said is None else f"{one.said:.0f} %",
            f"{one.came_true} of {one.made}",
            f"{one.points:.0f}",
        ]
        for one in found.groups
    ]
    head = ["predictions", "made", "said to come true", "came true", "points on average"]
    return f"<p>{escape(found.sentence)}</p>{table(head, rows) if rows else ''}"


def _predictions(record: Record) -> str:
    """Each question's last prediction, as it was made, and its points."""
    last = {(row["claim"], row["kind"]): row for row in record.rows("predictions")}
    rows = []
    for (claim, kind), row in sorted(last.items(), key=lambda pair: _order(pair[0][0])):
        scored = record.last("scores", claim=claim, kind=kind)
        points = "not scored yet"
        if scored:
            late = ", made after the result was known" if scored["late"] else ""
            points = f"{scored['points']:.0f}{late}"
        text = claims()[claim].text if claim in claims() else "Who is to blame? (the mystery)"
        rows.append(
            [escape(claim.split(".mystery")[0]), escape(text), escape(_in_words(row)), points]
        )
    head = ["", "claim", "predicted", "points of 100"]
    folded = f"<details><summary>{len(rows)} predictions</summary>{table(head, rows)}</details>"
    return folded if rows else ""


def _order(claim: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in claim.split("."))


def _in_words(row: Row) -> str:
    answer: Any = row["answer"]
    if row["kind"] == "Interval":
        return f"{plain(answer[0])} to {plain(answer[1])}"
    if row["kind"] == "Choice":
        return f"«{answer[0]}», {answer[1]:.0f} % sure"
    return ", ".join(map(str, answer)) if isinstance(answer, list) else plain(answer)


def _answers(record: Record) -> str:
    """The best answer to each exercise that was tried: its result, cost and code."""
    shown = []
    tried = right = 0
    for chapter in CHAPTERS:
        for number, title in enumerate(titles(chapter), 1):
            rows = record.rows("answers", exercise=f"{chapter}.{number}")
            rows = [row for row in rows if row["status"] in STATUS[:3]]
            if rows:
                tried += 1
                best = min(reversed(rows), key=lambda row: STATUS.index(row["status"]))
                right += best["status"] == "right"
                shown.append(_answer(f"{chapter}.{number}", title, best, len(rows)))
    if not shown:
        return "<p>No exercise was tried yet.</p>"
    of = sum(len(titles(chapter)) for chapter in CHAPTERS)
    return f"<p>{tried} of {of} exercises tried, {right} right.</p>{''.join(shown)}"


def _answer(name: str, title: str, row: Row, times: int) -> str:
    cost = cost_of(name, row["status"], row["cost"])
    hint = with_cost(row["hint"], cost)
    code = row["code"] or "The code of this answer was not kept."
    tries = "once" if times == 1 else f"{times} times"
    return (
        f"<p><b>{name}</b> {escape(title.split(', ', 1)[-1])}: {said(row['status'])}, judged "
        f"{tries}, this one {row['at'][:16].replace('T', ' ')} UTC. {escape(hint)}</p>"
        f"<details><summary>the answer</summary><pre>{escape(code)}</pre></details>\n"
    )


def _verdicts(record: Record) -> Iterator[str]:
    """Of each chapter that was run: every claim, its verdict and what the clock showed."""
    none = True
    for number, name, _ in contents.rows():
        found = lines(record, number)
        judged = [one for one in found if one.word]
        if judged:
            none = False
            rows = [
                [one.claim, escape(one.text), said(one.word or "not judged"), escape(one.here)]
                for one in found
            ]
            yield f"<h3>{number} {escape(name)}</h3>"
            yield f'<p class="quiet">{len(judged)} of {len(found)} claims judged.</p>'
            yield table(["", "claim", "verdict", "measured here"], rows)
    if none:
        yield "<p>No claim was judged on this machine yet.</p>"
