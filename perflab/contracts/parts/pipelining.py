"""What a pipeline's contract puts to the test: steps, sources, and two kinds of classes."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

from perflab.contracts.core import Evidence
from perflab.contracts.threads import eventually

QUEUE = 8  # items that a pipeline under test may let wait
LIMIT = 64  # no bounded pipeline of these checks has more items under way
MANY = 1_000
SOON = 0.1  # seconds in which what must not happen would


@dataclass(frozen=True)
class Step:
    """A stage: its function, whether that is a filter's, and how many calls may run at once."""

    function: Callable[[Any], Any]
    filters: bool = False
    workers: int = 1


class Output(Iterator[Any], Protocol):
    """What comes out. `close` stops the pipeline; `stats().unfinished` is what it lost by that."""

    def close(self) -> None: ...

    def stats(self) -> Any: ...


Start = Callable[..., Output]


def on_iterators(
    pipeline: Callable[..., Any],
    transform: Callable[..., Any],
    filter_by: Callable[..., Any],
) -> Start:
    """For a class like ours: stages, and `process(source)` returns the output."""

    def start(source: Iterable[Any], *steps: Step) -> Output:
        stages = (
            (filter_by if step.filters else transform)(step.function, workers=step.workers)
            for step in steps
        )
        output: Output = pipeline(*stages, queue_size=QUEUE).process(source)
        return output

    return start


class _Receiving(Iterator[Any]):
    """A consumer of a channel: `for … range`, with the guide's way to stop."""

    def __init__(self, pipeline: Any, channel: Any) -> None:
        self._pipeline, self._channel = pipeline, channel

    def __next__(self) -> Any:
        value, ok = self._channel.receive()
        if not ok:
            raise StopIteration
        return value

    def close(self) -> None:
        self._pipeline.stop()

    def stats(self) -> Any:
        return SimpleNamespace(unfinished=0)  # it keeps no account of what it took


def on_channels(
    pipeline: Callable[..., Any],
    transform_stage: Callable[..., Any],
    filter_stage: Callable[..., Any],
    channel: Callable[[], Any],
) -> Start:
    """For classes like the guide's: a producer sends into a channel, `process` returns another.
    A stage there has no width."""

    def start(source: Iterable[Any], *steps: Step) -> Output:
        given = channel()

        def produce() -> None:
            try:
                for item in source:
                    given.send(item)
            finally:  # as a goroutine defers the close
                given.close()

        threading.Thread(target=produce, daemon=True).start()
        stages = [
            (filter_stage if step.filters else transform_stage)(step.function) for step in steps
        ]
        made = pipeline(*stages)
        return _Receiving(made, made.process(given))

    return start


class Source(Iterator[int]):
    """Whole numbers from 0. Its state: how many were `taken`."""

    def __init__(self, size: int = MANY) -> None:
        self.size, self.taken = size, 0

    def __next__(self) -> int:
        if self.taken == self.size:
            raise StopIteration
        self.taken += 1
        return self.taken - 1


class Failing(Iterator[int]):
    """Whole numbers from 0; asked for number `at`, it raises."""

    def __init__(self, at: int) -> None:
        self._numbers, self._at = Source(), at

    def __next__(self) -> int:
        if self._numbers.taken == self._at:
            raise ArithmeticError("no more, and not an end")
        return next(self._numbers)


def fails_at(bad: int) -> Callable[[int], int]:
    def call(item: int) -> int:
        if item == bad:
            raise ArithmeticError("not this one")
        return item

    return call


class Threads:
    """Those that were there before, and which of the others are still alive."""

    def __init__(self) -> None:
        threading.excepthook = lambda _: None  # in a child: what dies there is counted, not shown
        self._before = set(threading.enumerate())

    @property
    def left(self) -> int:
        return len(set(threading.enumerate()) - self._before)

    def evidence(self) -> Evidence:
        gone = eventually(lambda: not self.left, 1.0)
        return Evidence(gone, f"{self.left} threads left")


def same(item: Any) -> Any:
    return item


def ends(output: Output) -> tuple[int, BaseException | None]:
    """How many more come out, and the error that follows them; None for an end like any other."""
    count = 0
    try:
        for _ in output:
            count += 1
    except Exception as error:
        return count, error
    return count, None


def says(end: tuple[int, BaseException | None], already: int, of: int) -> str:
    count, error = end
    how = type(error).__name__ if error is not None else "an end as if complete"
    return f"{already + count} of {of:,}, then {how}"
