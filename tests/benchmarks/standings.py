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
PICTURE = (
    "![How many times as long other libraries take as ours, with the goals](data/benchmarks.png)"
)
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
    missed = sum(one.verdict == "MISSED" for one in results)
    goals = sum(one.goal is not None for one in results)
    words = (
        f"Peer ÷ ours with its interval, {results[0].machine}; ours is timed on one thread. "
        f"{missed} of {goals} goals were missed."
    )
    fold = f"<details><summary>The table</summary>\n\n{words}\n\n{table(results)}\n\n</details>"
    body = f"{BEGIN}\n{PICTURE}\n\n{fold}\n{END}"
    return text[: found.start()] + body + text[found.end() :]


# ── Figure


def figure(results: list[Result]) -> bytes:
    """Each ratio that has a goal, with its interval and the goal, on one log axis, as a PNG."""
    import matplotlib as mpl  # not for a race that only prints
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from perflab.book.plots import png
    from perflab.book.style import STYLE, WIDTH

    rows = _grouped([one for one in results if one.goal is not None])
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(WIDTH, 1.6 + 0.21 * len(rows)))
        FigureCanvasAgg(drawn)
        axis = drawn.subplots()
        for place, (_, group) in enumerate(rows):
            _draw(axis, place, group)
        _decorate(axis, rows, results)
        drawn.tight_layout()
        return png(drawn)


def _draw(axis: Any, place: int, group: list[Result]) -> None:
    from perflab.book.style import OTHERS, OURS, WORDS

    for one in group:
        y = place + (0.16 if one.threads > 1 else -0.16)
        colour = OURS if one.threads == 1 else OTHERS[0]
        inside = "white" if one.verdict == "MISSED" else colour
        if math.isfinite(one.high) and one.low > 0:
            axis.plot([one.low, one.high], [y, y], color=colour, linewidth=1.2, zorder=1)
        axis.plot([one.ratio], [y], "o", markersize=4.5, color=colour, mfc=inside, zorder=2)
        axis.plot([one.goal] * 2, [y - 0.16, y + 0.16], color=WORDS, linewidth=1.6, zorder=3)


def _decorate(axis: Any, rows: list, results: list[Result]) -> None:
    from perflab.book.style import OTHERS, OURS, THEORY, WORDS

    labels, shown = [], ""
    for (race, peer), _ in rows:
        labels.append(peer if race == shown else f"{race}: {peer}")
        shown = race
    axis.set_yticks(range(len(rows)), labels, fontsize=7.5)
    axis.axvline(1, color=THEORY, linewidth=1, zorder=0)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axis.set_xlabel(f"time of the other ÷ ours; 1× is as fast as ours\n{results[0].machine}")
    axis.set_title("How many times as long the others take\n", loc="left")
    words = [("● 1 thread", OURS), ("● 4 threads", OTHERS[0]), ("○ goal missed", WORDS),
             ("| goal", WORDS)]  # fmt: skip
    for n, (word, colour) in enumerate(words):
        axis.annotate(word, (0.24 * n, 1), xycoords="axes fraction", xytext=(0, 5),
                      textcoords="offset points", color=colour, fontsize=8)  # fmt: skip
    axis.tick_params(axis="both", colors=WORDS)
