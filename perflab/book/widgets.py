"""What moves on the page: a run's live figure, and the form that takes a prediction.

Both do without ipywidgets: a live figure is an SVG string that replaces itself, and a form that
cannot be shown leaves the reader the keyword in code. Nothing here decides a result.
"""

from collections import deque
from collections.abc import Callable
from html import escape
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from IPython.core.getipython import get_ipython
from IPython.display import display

from perflab.book.predictions import Choice, Interval, Kind, Ranking
from perflab.book.show import themed
from perflab.book.style import GUIDE, OURS
from perflab.book.wording import plain
from perflab.errors import require

if TYPE_CHECKING:
    from perflab.systems.loadgen import Progress

WIDTH, HEIGHT, KEPT = 640, 130, 200
STEPS = 61  # of a logarithmic slider
P50, P99 = themed(OURS), themed(GUIDE)


class Live:
    """A live figure of one run: call it with each Progress, as `run_load(watch=…)` does.

    Its state: the last points (seconds since the start, p50, p99), and the output that it
    replaces. At the end of the run the figure gives way to one line of text, so that a saved
    notebook holds no half-drawn frame.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._points: deque[tuple[float, float, float]] = deque(maxlen=KEPT)
        self._output: Any = None

    def __call__(self, progress: "Progress") -> None:
        if get_ipython() is None:  # a script has no page to draw on
            return
        if self._points and progress.elapsed < self._points[-1][0]:  # another run began
            self._points.clear()
        if progress.elapsed > 0:  # not in the warm-up
            self._points.append((progress.elapsed, progress.p50, progress.p99))
        now = "" if progress.fraction >= 1 else f", {plain(progress.rate)}/s now"
        text = (
            f"{self.name}: {progress.requests:,} requests in {max(progress.elapsed, 0):.1f} s"
            f"{now}, {progress.errors:,} errors"
        )
        self._replace(text, self._svg(progress, escape(text)) if now else "")

    def _replace(self, text: str, svg: str) -> None:
        shown = {"text/plain": text, "text/html": svg or f"<code>{escape(text)}</code>"}
        if self._output is None:
            self._output = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # upstream
        else:
            self._output.update(shown, raw=True)

    def _svg(self, progress: "Progress", text: str) -> str:
        total = max(progress.elapsed, 1e-3) / max(progress.fraction, 1e-3)
        known = [value for point in self._points for value in point[1:] if value > 0]  # no nan
        highest = max(known, default=1e-3)
        bar = WIDTH * progress.fraction
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
            f'aria-label="{escape(self.name)}: live latency" '
            'style="font:12px var(--jp-ui-font-family,sans-serif);'
            'fill:var(--jp-ui-font-color1,#222)">'
            f'<rect width="{WIDTH}" height="4" fill="#8883"/>'
            f'<rect width="{bar:.0f}" height="4" style="fill:{P50}"/>'
            f'<text x="0" y="20">{text}</text>'
            + _polyline(self._points, 2, total, highest, P99)
            + _polyline(self._points, 1, total, highest, P50)
            + f'<text x="{WIDTH}" y="36" text-anchor="end" style="fill:{P99}">p99</text>'
            f'<text x="{WIDTH}" y="50" text-anchor="end" style="fill:{P50}">p50</text>'
            f'<text x="0" y="36">{plain(highest * 1e3)} ms</text></svg>'
        )


def _polyline(points: Any, column: int, total: float, highest: float, colour: str) -> str:
    base, tall = HEIGHT - 4, HEIGHT - 44
    path = " ".join(
        f"{WIDTH * point[0] / total:.1f},{base - tall * point[column] / highest:.1f}"
        for point in points
        if point[column] == point[column]  # a second without answers has no latency
    )
    return f'<polyline points="{path}" style="fill:none;stroke:{colour}" stroke-width="1.5"/>'


def ask(kind: Kind, known: Any, keep: Callable[[Any], None]) -> None:
    """Show a question with a form that keeps the answer; in words only where there is no page."""
    print(kind.question)
    asked: Any = kind  # each kind says what it has read itself
    print(
        f"your prediction so far: {asked.say(known)}"
        if known is not None
        else "your prediction so far: none (form below, or mine=… in the cell above)"
    )
    form = _form(kind, known, keep)
    if form is not None:
        display(form)  # type: ignore[no-untyped-call]  # upstream


def _form(kind: Kind, known: Any, keep: Callable[[Any], None]) -> Any:
    try:
        import ipywidgets as widgets
    except ImportError:
        return None
    if get_ipython() is None:
        return None
    asked: Any = kind  # each kind says what it has read itself
    fields, read = _fields(widgets, kind, known)
    button = widgets.Button(description="Predict", button_style="primary")
    said = widgets.Label()

    def clicked(_: Any) -> None:
        try:
            answer = asked.read(read())
            keep(answer)
            said.value = f"Kept: {asked.say(answer)}"
        except ValueError as error:
            said.value = str(error)

    button.on_click(clicked)
    return widgets.VBox([*fields, widgets.HBox([button, said])])


def _fields(widgets: Any, kind: Kind, known: Any) -> tuple[list[Any], Callable[[], Any]]:
    wide = widgets.Layout(width="480px")
    if isinstance(kind, Choice):
        options = widgets.RadioButtons(options=kind.options, layout=wide)
        least = int(100 / len(kind.options))
        sure = widgets.IntSlider(value=60, min=least, max=100, description="sure, %", layout=wide)
        if known is not None:
            options.value, sure.value = known[0], int(known[1])
        return [options, sure], lambda: (options.value, sure.value)
    if isinstance(kind, Ranking):
        order = known if known is not None else kind.options
        places = [
            widgets.Dropdown(options=kind.options, value=one, description=f"{at}.", layout=wide)
            for at, one in enumerate(order, 1)
        ]
        return places, lambda: tuple(place.value for place in places)
    low, high = kind.between
    whole = {"description_width": "initial"}  # a unit of several words is not cut off
    if isinstance(kind, Interval):
        steps = np.geomspace(low, high, STEPS)
        start = known if known is not None else (steps[STEPS // 3], steps[2 * STEPS // 3])
        ends = tuple(int(np.abs(np.log(steps / end)).argmin()) for end in start)
        slider = widgets.SelectionRangeSlider(
            options=[(plain(value), value) for value in steps.tolist()],
            index=ends, description=kind.unit, layout=wide, style=whole,
        )  # fmt: skip
        return [slider], lambda: tuple(slider.value)
    place = widgets.FloatSlider(
        value=known if known is not None else (low + high) / 2,
        min=low, max=high, step=(high - low) / 100, description=kind.unit, layout=wide,
        style=whole,
    )  # fmt: skip
    return [place], lambda: place.value


def knob(function: Callable[..., Any], **ranges: tuple[int, int]) -> None:
    """Run `function` with its defaults; with a page and ipywidgets, let the reader turn its
    arguments within the ranges and run it again. What it raises is shown, as in any cell.

    ValueError for a range of something that is no argument, or that its default lies outside of.
    """
    require(callable(function), "function", function, "a function")
    defaults = {name: one.default for name, one in signature(function).parameters.items()}
    for name, ends in ranges.items():
        require(name in defaults, "ranges", name, f"one of {', '.join(defaults) or 'no arguments'}")
        pair = isinstance(ends, tuple) and len(ends) == 2 and all(isinstance(n, int) for n in ends)
        fits = pair and isinstance(defaults[name], int) and ends[0] <= defaults[name] <= ends[1]
        require(fits, name, ends, f"(lowest, highest), whole, around the default {defaults[name]}")
    function()
    try:
        import ipywidgets as widgets
    except ImportError:
        return
    if get_ipython() is None:
        return
    wide = widgets.Layout(width="480px")
    sliders = {
        name: widgets.IntSlider(defaults[name], low, high, description=name, layout=wide)
        for name, (low, high) in ranges.items()
    }
    turned = widgets.interactive(function, {"manual": True, "manual_name": "Run"}, **sliders)
    display(turned)  # type: ignore[no-untyped-call]  # upstream
