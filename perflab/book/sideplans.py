"""Query plans of both databases, side by side under a cell."""

from collections.abc import Mapping
from html import escape

from perflab.book import show
from perflab.systems.plans import QueryPlan

SHORT = 90  # characters of a plan's line that are shown


def side_by_side(plans: Mapping[str, tuple[QueryPlan, QueryPlan]]) -> None:
    """A row for each query by name: SQLite's plan with its steps, PostgreSQL's with its pages."""
    first = next(iter(plans.values()))
    head = ["", *(plan.database for plan in first)]
    text, html = [head], []
    for name, pair in plans.items():
        lines = [[*_lines(plan), _work(plan)] for plan in pair]
        longest = max(map(len, lines))
        padded = [part + [""] * (longest - len(part)) for part in lines]
        text += [[name if not at else "", *row] for at, row in enumerate(zip(*padded, strict=True))]
        cells = [_html(plan) for plan in pair]
        html.append([f"<b>{escape(name)}</b>", *cells])
    show.both(show.columns(text), show.table(head, html))


def _lines(plan: QueryPlan) -> list[str]:
    return [one if len(one) <= SHORT else one[: SHORT - 1] + "…" for one in str(plan).split("\n")]


def _work(plan: QueryPlan) -> str:
    if plan.steps is not None:
        return f"→ {plan.steps:,} steps, {plan.rows:,} rows"
    return f"→ {plan.pages:,} pages, {plan.rows:,} rows"


def _html(plan: QueryPlan) -> str:
    lines = "\n".join(_lines(plan))
    return (
        f'<pre style="margin:0;white-space:pre-wrap;background:none">{escape(lines)}</pre>'
        f"<b>{escape(_work(plan))}</b>"
    )
