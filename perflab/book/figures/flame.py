"""A profile as a flame graph: callers above what they call, and width is time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from perflab.book import layout, plots, show
from perflab.book.style import OURS, STYLE, WIDTH
from perflab.measure import Profile

ROW = 0.3  # inches
OWN = ("__main__", "perflab")  # modules whose functions get a box each; others share one
THREADS = {"runpy": "event loop", "threading": "worker threads"}
PLUMBING = ("__main__.<module>", "__main__.serve")
WAITS = {"asyncio": "asyncio (waits, reads, writes)"}  # in C, where no frame tells which
IDLE = "concurrent.futures.thread._worker"  # on top of a stack: waits for work
ROOM = 0.08  # inches beside a name
SPAN = 0.94  # of the figure's width


@dataclass
class Box:
    """A function or package, its seconds, and what it called."""

    name: str
    own: bool  # the shop's or the book's code
    seconds: float = 0.0
    below: dict[str, "Box"] = field(default_factory=dict)


Placed = tuple[int, float, Box]  # depth, left edge in seconds


def flames(profile: Profile, claim: str = "2.12") -> None:
    """Draw the profile, and say in words where most of it lies."""
    root = tree(profile)
    boxes = list(_placed(root, 0, 0.0))
    deepest = max(depth for depth, _, _ in boxes)
    own = [box for _, _, box in boxes if box.own and not box.below]
    widest = max(own or [root], key=lambda box: box.seconds)
    title = f"Widest at the bottom: {widest.name}, {widest.seconds / root.seconds:.0%} of the time"
    with mpl.rc_context(STYLE):
        tall = ROW * (deepest + 1)
        figure = Figure(figsize=(WIDTH, tall + 0.9))
        FigureCanvasAgg(figure)
        axis = figure.add_axes((0.03, 0.5 / (tall + 0.9), SPAN, tall / (tall + 0.9)))
        axis.set(xlim=(0, root.seconds), ylim=(deepest + 1, 0), yticks=[])
        axis.set_xticks([root.seconds * part / 4 for part in range(5)])
        axis.set_xticklabels([f"{25 * part} %" for part in range(5)])
        axis.set_xlabel("time of all threads that were not idle")
        axis.set_title(title, gid="title")
        axis.spines["left"].set_visible(False)
        for depth, left, box in boxes:
            _draw(figure, axis, depth, left, box, root.seconds)
    words = "; ".join(f"{box.name} {box.seconds / root.seconds:.0%}" for _, _, box in boxes[:12])
    show.picture(plots.png(figure), f"{title}. Boxes from the top: {words}.", claim, ["time (%)"])


def tree(profile: Profile) -> Box:
    """The stacks as boxes: frames of one foreign package in a row share one, idle time is left
    out."""
    root = Box("all threads", False)
    for stack, seconds in profile.seconds.items():
        if stack[-1] == IDLE:
            continue
        root.seconds += seconds
        box = root
        for name, own in _names(stack):
            if name != box.name:
                box = box.below.setdefault(name, Box(name, own))
                box.seconds += seconds
    return root


def _names(stack: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    yield THREADS.get(stack[0].split(".")[0], "other threads"), False
    for frame in stack:
        package = frame.split(".")[0]
        if package in THREADS or frame in PLUMBING or package == "concurrent":
            continue
        if package in OWN:
            name = frame.replace(".<locals>", "").removesuffix(".__call__")
            yield ".".join(name.split(".")[-2:]), True
        else:
            yield WAITS.get(package, package), False


def _placed(box: Box, depth: int, left: float) -> Iterator[Placed]:
    yield depth, left, box
    for one in sorted(box.below.values(), key=lambda one: -one.seconds):
        yield from _placed(one, depth + 1, left)
        left += one.seconds


def _draw(figure: Figure, axis: Any, depth: int, left: float, box: Box, total: float) -> None:
    """One box, with its name where there is room for it."""
    light = 0.4 if box.own else 0.8
    colour = tuple(part + (1 - part) * light for part in to_rgb(OURS))
    look = {"color": colour, "edgecolor": "white", "linewidth": 0.8}
    axis.barh(depth + 0.5, box.seconds, 0.94, left, **look)
    inch = total / (SPAN * WIDTH)  # in seconds of the axis
    for words in (f"{box.name} {box.seconds / total:.0%}", box.name):
        if (layout.width(figure, words, layout.NOTE_SIZE) + ROOM) * inch <= box.seconds:
            size = layout.NOTE_SIZE
            axis.text(left + ROOM / 2 * inch, depth + 0.5, words, va="center", fontsize=size)
            return
