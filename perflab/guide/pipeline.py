"""The guide's pipeline, ported with its defects (guide, lines 874–978, Go).

Kept as they are:

- a consumer that leaves without `stop` leaves every stage and the producer blocked for ever, each
  on a send that nobody receives (912, 943): k stages leave k + 1 goroutines;
- after `stop` (975–977) the stages end and the producer does not: it knows nothing of the
  pipeline's context, and nobody receives from it any more;
- a pipeline stopped midway closes its output (903, 934) just as one that has finished: its
  consumer cannot tell half a result from a whole one, and what was taken is reported nowhere;
- a stage can return no error, neither by its interface (891–893) nor on its channel;
- a stage is one goroutine (902, 933): the slowest cannot be widened.

Go's select takes any of the cases that are ready (905–919, 936–949): once stopped, a stage may
still take and send a few items, at random. `choose` is that choice.

What Python changes: in Go a panic in a stage ends the process; here it ends the stage's thread,
whose deferred close makes the output end early and look complete. The port says so, the guide is
not to blame. Threads are daemons, so that leaked ones do not keep the interpreter from its exit.
And in Go this does not compile as printed, because nothing uses its import of sync (882).
"""

import random
import threading
from collections.abc import Callable
from typing import Any, Protocol

from perflab.guide.parts.channels import Channel, Choose, Context, Receive, Send, select


class Stage(Protocol):
    """One step of a pipeline."""

    def process(self, ctx: Context, input: Channel) -> Channel: ...


class FilterStage:
    """Passes on what `filter` says yes to."""

    def __init__(self, filter: Callable[[Any], bool], *, choose: Choose = random.choice) -> None:
        self.filter, self.choose = filter, choose

    def process(self, ctx: Context, input: Channel) -> Channel:
        output = Channel()

        def goroutine() -> None:
            try:
                while True:
                    case, data, ok = select([Receive(input), Receive(ctx.done)], self.choose)
                    if case == 1 or not ok:
                        return
                    if self.filter(data):
                        sent = select([Send(output, data), Receive(ctx.done)], self.choose)
                        if sent.case == 1:
                            return
            finally:  # Go's defer
                output.close()

        threading.Thread(target=goroutine, daemon=True).start()
        return output


class TransformStage:
    """Passes on what `transform` makes of it."""

    def __init__(self, transform: Callable[[Any], Any], *, choose: Choose = random.choice) -> None:
        self.transform, self.choose = transform, choose

    def process(self, ctx: Context, input: Channel) -> Channel:
        output = Channel()

        def goroutine() -> None:
            try:
                while True:
                    case, data, ok = select([Receive(input), Receive(ctx.done)], self.choose)
                    if case == 1 or not ok:
                        return
                    transformed = self.transform(data)
                    sent = select([Send(output, transformed), Receive(ctx.done)], self.choose)
                    if sent.case == 1:
                        return
            finally:  # Go's defer
                output.close()

        threading.Thread(target=goroutine, daemon=True).start()
        return output


class Pipeline:
    """Stages, each reading the channel that the one before it returned."""

    def __init__(self, *stages: Stage) -> None:
        self.stages = stages
        self.ctx = Context()

    def process(self, input: Channel) -> Channel:
        current = input
        for stage in self.stages:
            current = stage.process(self.ctx, current)
        return current

    def stop(self) -> None:
        self.ctx.cancel()
