"""What races found: data/benchmarks.csv, the README's table, the figure."""

import csv
import dataclasses
import math
import re
from pathlib import Path
from typing import Any

from tests.benchmarks.racing import Result

ROOT = Path(__file__).parents[2]
CSV = ROOT / "data" / "benchmarks.csv"
FIGURE = ROOT / "data" / "benchmarks.png"
README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
COLUMNS = [field.name for field in dataclasses.fields(Result)]


def read(path: Path = CSV) -> list[Result]:
    """All results in the file; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return [_result(row) for row in csv.DictReader(lines)]


def _result(row: dict[str, str]) -> Result:
    kinds = {"threads": int, "rounds": int, "idle_bytes": int}
    kinds |= dict.fromkeys(("ours_ns", "peer_ns", "ratio", "low", "high", "goal"), float)
    optional = {"goal", "idle_bytes"}
    return Result(**{
        name: None if name in optional and not row[name] else kinds.get(name, str)(row[name])
        for name in COLUMNS
    })  # fmt: skip


def write(new: list[Result], path: Path = CSV) -> list[Result]:
    """Replace the results of the parts that ran; what comes from another machine goes."""
    ran, machine = {one.part for one in new}, new[0].machine
    kept = [one for one in read(path) if one.part not in ran and one.machine == machine]
    results = sorted([*kept, *new], key=lambda one: one.part)  # stable: races stay in their order
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for one in results:
            rows.writerow([_short(value) for value in dataclasses.astuple(one)])
    return results


def _short(value: object) -> object:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else value


def line(one: Result) -> str:
    """A result in the terminal."""
    threads = "1 thread " if one.threads == 1 else f"{one.threads} threads"
    interval = f"({_times(one.low)}–{_times(one.high)})"
    goal = f"goal {one.goal:g}×: {one.verdict}" if one.goal is not None else "no goal"
    return (
        f"{one.race:24} {threads} {one.peer:18} {one.ours_ns:9,.0f} {one.peer_ns:10,.0f} ns"
        f"  {_times(one.ratio):>5}× {interval:13}  {goal}"
    )


def _times(ratio: float) -> str:
    """Two figures, three from ten on; a ratio has no more."""
    if not math.isfinite(ratio):
        return "∞"
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


# ── README


def table(results: list[Result]) -> str:
    """The results in markdown: a row for each race and peer, a column for each thread count."""
    counts = sorted({one.threads for one in results})
    names = ["1 thread" if n == 1 else f"{n} threads" for n in counts]
    idle = any(one.idle_bytes is not None for one in results)
    head = ["race", "ours, ns", "peer", *names, *(["idle, bytes"] if idle else [])]
    lines = [_row(head), _row(["---"] * len(head))]
    shown = ""
    for (race, peer), group in _grouped(results):
        by_count = {one.threads: one for one in group}
        first = next(iter(by_count.values()))
        title = [race, f"{first.ours_ns:,.0f}"] if race != shown else ["", ""]
        size = "" if first.idle_bytes is None or race == shown else f"{first.idle_bytes:,}"
        cells = [_cell(by_count.get(n)) for n in counts]
        lines.append(_row([*title, f"{peer} {first.version}".strip(), *cells, *[size] * idle]))
        shown = race
    return "\n".join(lines)


def _grouped(results: list[Result]) -> list[tuple[tuple[str, str], list[Result]]]:
    keys: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        keys.setdefault((one.race, one.peer), []).append(one)
    order = {race: n for n, race in enumerate(dict.fromkeys(one.race for one in results))}
    return sorted(keys.items(), key=lambda entry: order[entry[0][0]])


def _cell(one: Result | None) -> str:
    if one is None:
        return ""
    found = f"{_times(one.ratio)}× ({_times(one.low)}–{_times(one.high)})"
    if one.goal is None:
        return found
    mark = {"met": "✓", "MISSED": "**MISSED**", "unclear": "*unclear*"}[one.verdict]
    return f"{found}, goal {one.goal:g} {mark}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def put_into(text: str, results: list[Result]) -> str:
    """The README's text with this table between its two markers."""
    found = re.search(f"(?s){BEGIN}.*?{END}", text)
    if found is None:
        raise SystemExit(f"README.md has no {BEGIN} … {END} to write the table between")
    words = f"Peer ÷ ours with its interval, {results[0].machine}; ours is timed on one thread."
    body = f"{BEGIN}\n{words}\n\n{table(results)}\n{END}"
    return text[: found.start()] + body + text[found.end() :]


# ── Figure


def figure(results: list[Result]) -> bytes:
    """Each ratio with its interval on one log axis, as a PNG; goals as short lines."""
    import matplotlib as mpl  # not for a race that only prints
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from perflab.book.plots import png
    from perflab.book.style import STYLE, THEORY, WIDTH

    rows = _grouped(results)
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(WIDTH, 1.2 + 0.19 * len(rows)))
        FigureCanvasAgg(drawn)
        axis = drawn.subplots()
        for place, (_, group) in enumerate(rows):
            _draw(axis, place, group)
        axis.axvline(1, color=THEORY, linewidth=1, zorder=0)
        _decorate(axis, rows, results[0].machine)
        drawn.tight_layout()
        return png(drawn)


def _draw(axis: Any, place: int, group: list[Result]) -> None:
    from perflab.book.style import GUIDE, OTHERS, OURS, WORDS

    for one in group:
        y = place + (0.14 if one.threads > 1 else -0.14)
        colour = GUIDE if one.verdict == "MISSED" else OURS if one.threads == 1 else OTHERS[0]
        axis.plot([one.ratio], [y], "o", markersize=4, color=colour)
        if math.isfinite(one.high) and one.low > 0:
            axis.plot([one.low, one.high], [y, y], color=colour, linewidth=1.2)
        if one.goal is not None:
            axis.plot([one.goal] * 2, [y - 0.18, y + 0.18], color=WORDS, linewidth=1.2)


def _decorate(axis: Any, rows: list, machine: str) -> None:
    from perflab.book.style import GUIDE, OTHERS, OURS, WORDS

    changes = [key[0] for key, _ in rows]
    labels = [
        peer if n and changes[n - 1] == race else f"{race}: {peer}"
        for n, ((race, peer), _) in enumerate(rows)
    ]
    axis.set_yticks(range(len(rows)), labels, fontsize=7.5)
    for n in range(1, len(rows)):
        if changes[n] != changes[n - 1]:
            axis.axhline(n - 0.5, color="#dddddd", linewidth=0.6, zorder=0)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axis.set_xlabel(f"peer ÷ ours, time per operation; a short line is the goal\n{machine}")
    axis.set_title("How many times ours is as fast as its peers")
    legend = ((-132, "1 thread", OURS), (-70, "several", OTHERS[0]), (-8, "missed", GUIDE))
    for place, words, colour in legend:
        at = {"xytext": (place, 8), "textcoords": "offset points", "xycoords": "axes fraction"}
        axis.annotate(words, (1, 1), **at, color=colour, ha="right", fontsize=8)
    axis.tick_params(axis="both", colors=WORDS)
