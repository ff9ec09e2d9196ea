"""What runs while a pipeline works on one source: a reader, a crew for each stage, their lanes.

A *narrow* stage (one worker) takes from a line in order and puts into the next. *Wide* stages
(several workers, or an executor) that follow each other share one line: a ticket takes its place
there, passes from crew to crew by lanes without order, and is settled in its place.

    source ─→ line ─→ narrow ─→ line ─────────────────────────→ line's taker
                                   └─→ lane ─→ wide ─→ lane ─→ wide ─┘
"""

import threading
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from perflab.patterns.parts.bell import Bell
from perflab.patterns.parts.crew import Crew, ExecutorCrew, Stage, failure
from perflab.patterns.parts.handover import (
    END,
    READY,
    STOP,
    Lane,
    Line,
    Onward,
    OrderedLine,
    State,
    Switch,
    Ticket,
    UnorderedLine,
)

GRACE = 0.2  # seconds that a stop waits for the source's own next(), which may never come back
_NO_MORE = object()


class Flow:
    """All that works on one source. Its state:

    - `taken`: items that the source gave; written by its reader alone;
    - `settled`: those of them that the consumer has had; written by it alone;
    - `_free`: tickets between its hands and the reader's; `_to_make`: how many more there may be;
    - `halted`: nothing more is to be taken, because of a failure or a stop;
    - `_stopped`: everybody has been told to end.
    """

    def __init__(
        self, stages: Sequence[Stage], source: Iterator[Any], queue_size: int, ordered: bool,
        bell: type[Bell],
    ) -> None:  # fmt: skip
        self.taken = self.settled = 0
        self.halted = Switch()
        self._stopped = False
        self._source, self._bell, self._ordered = source, bell, ordered
        self._free: list[Ticket] = []
        self._to_make = queue_size + sum(stage.workers for stage in stages)
        self._enough = queue_size - queue_size // 4
        self._room = bell()
        self.crews: list[Crew] = []
        self.out, self._enter = self._lay(stages)
        self._reader = threading.Thread(target=self._read, name="pipeline-source", daemon=True)
        self._workers = [
            threading.Thread(target=crew.run, name=f"pipeline-{number}", daemon=True)
            for number, crew in enumerate(self.crews, 1)
            for _ in range(crew.size)
        ]

    def start(self) -> None:
        try:
            for thread in (*self._workers, self._reader):
                thread.start()
        except BaseException:  # no more threads to be had, or interrupted
            self.stop()
            raise

    def settle(self, ticket: Ticket) -> None:
        """The consumer has done with a ticket: it is free. A reader that found none is woken when
        most of the queue is free: they do not take turns item by item, and no worker idles."""
        ticket.value = None
        self.settled += 1
        self._free.append(ticket)
        if self._room.sleepers and len(self._free) >= self._enough:
            self._room.ring()

    def stop(self) -> None:
        """Tell all threads to end; returns at once. Any thread may, any number of times."""
        if self._stopped:
            return
        self.halted.set()
        for lane in (*(crew.inlet for crew in self.crews), self.out):
            lane.stop()
        self._room.ring_all()
        self._stopped = True  # only now: a stop that was interrupted is done once more

    def join(self) -> None:
        """Until all calls under way have ended; a source that waits is not waited for. Called
        in one of these calls, it returns at once."""
        started = [thread for thread in self._workers if thread.ident is not None]
        if threading.current_thread() in (*started, self._reader):
            return
        for thread in started:
            thread.join()
        if self._reader.ident is not None:
            self._reader.join(GRACE)

    def _line(self) -> Line:
        return OrderedLine(self._bell()) if self._ordered else UnorderedLine(self._bell())

    def _lay(self, stages: Sequence[Stage]) -> tuple[Lane, Onward]:
        """From the consumer back to the source, since each crew must know where it puts its
        tickets. Returns the last line and the way into the first."""
        out = line = self._line()
        first: Lane | None = None  # of the lanes beside this line
        for stage in reversed(stages):
            if self._ordered and not stage.wide:
                before = self._line()
                self.crews.insert(0, Crew(stage, before, line.entry(first), self.halted.set))
                line, first = before, None
            else:
                lane = Lane(self._bell(), 1 if stage.executor else stage.workers)
                self.crews.insert(0, self._wide(stage, lane, _onward(line, first)))
                first = lane
        return out, line.entry(first)

    def _wide(self, stage: Stage, lane: Lane, onward: Onward) -> Crew:
        if stage.executor is None:
            return Crew(stage, lane, onward, self.halted.set)
        return ExecutorCrew(stage, lane, onward, self.halted.set, bell=self._bell())

    def _read(self) -> None:
        """The source's reader: a ticket first, then an item."""
        enter = self._enter
        while (ticket := self._ticket()) is not STOP:
            try:
                item = next(self._source, _NO_MORE)
            except BaseException as error:  # delivered behind the last item
                what = f"the source failed after {self.taken:,} items"
                enter(Ticket(failure(what, None, error)), END)
                return
            if item is _NO_MORE:
                enter(Ticket(), END)
                return
            self.taken += 1
            ticket.value = item
            enter(ticket, READY)
        if isinstance(self._source, Generator):
            self._source.close()  # its `finally` runs now, not whenever it is collected
        self._source = iter(())  # as good as closed, where nobody else holds it

    def _ticket(self) -> Ticket:
        """1. STOP once halted; 2. a free one; 3. a new one; 4. the next that becomes free."""
        if self.halted.on:
            return STOP
        if self._free:
            return self._free.pop()
        if self._to_make:
            self._to_make -= 1
            return Ticket()
        return self._room.wait_for(self._freed)

    def _freed(self) -> Ticket | None:
        if self.halted.on:
            return STOP
        return self._free.pop() if self._free else None


def _onward(line: Line, following: Lane | None) -> Onward:
    """The way from a wide stage: 1. to the next one beside the same line, 2. into the line."""
    if following is None:
        return line.settle

    def onward(ticket: Ticket, outcome: State) -> None:
        if outcome is READY:
            following.put(ticket)
        else:
            line.settle(ticket, outcome)

    return onward
