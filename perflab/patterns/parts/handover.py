"""Tickets of a pipeline, and the lanes and lines in which they go from thread to thread.

A deque appends and pops in one step, so a busy thread takes no lock; an idle one sleeps (bell.py).
Nothing is handed over in portions. A busy thread finds what has gathered and takes it piece by
piece without a sleep in between, so a batch forms by itself under load; a slow source's item goes
through at once.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from perflab.patterns.parts.bell import Bell


class State(Enum):
    """What has become of an item."""

    UNDER_WAY = "in front of a stage that finishes items in any order, or in its hands"
    READY = "the next in order may have it"
    DROPPED = "a filter said no"
    FAILED = "a stage or the source raised; the value is the StageError"
    END = "no item: the source has no more"
    STOPPED = "no item: the pipeline was stopped"


UNDER_WAY, READY, DROPPED, FAILED, END, STOPPED = State


class Ticket:
    """A place in the pipeline, and the item that has it; used again for another item.

    It is in the hands of one thread, which writes its value. Its state is written by lines alone,
    as the last thing: from then on the ticket may be in other hands, and carry another item.
    """

    __slots__ = ("state", "value")

    def __init__(self, value: Any = None, state: State = READY) -> None:
        self.value = value
        self.state = state


STOP = Ticket(None, STOPPED)
Onward = Callable[[Ticket, State], None]  # takes a ticket out of one's hands, and what became of it


class Switch:
    """Off until somebody sets it; for good. Looked at all the time, so it is no Event."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on = False

    def set(self) -> None:
        self.on = True


class Lane:
    """Tickets from any threads for any threads, first come, first served.

    Its state: `tickets`, those that wait, and `bell`, on which takers sleep.
    """

    def __init__(self, bell: Bell, takers: int = 1) -> None:
        self.tickets: deque[Ticket] = deque()
        self.bell = bell
        self._takers = takers

    def put(self, ticket: Ticket) -> None:
        self.tickets.append(ticket)
        if self.bell.sleepers:
            self.bell.ring()

    def take(self) -> Ticket:
        """The next ticket, or STOP; waits for it."""
        try:
            return self.tickets.popleft()
        except IndexError:
            return self.bell.wait_for(self._attempt)

    def stop(self) -> None:
        """Each taker's next ticket is STOP, whatever waits behind it."""
        self.tickets.extendleft([STOP] * self._takers)
        self.bell.ring_all()

    def _attempt(self) -> Ticket | None:
        try:
            return self.tickets.popleft()
        except IndexError:
            return None


class Line(Lane):
    """Where tickets come out of wide stages; each with what became of it as its state."""

    def add(self, ticket: Ticket, outcome: State) -> None:
        """At the end of the line, and no stage before its taker's will touch it any more."""
        ticket.state = outcome
        self.tickets.append(ticket)
        if self.bell.sleepers:
            self.bell.ring()

    def entry(self, first: Lane | None) -> Onward:
        """The way in: past the wide stages where there are none, else to the first of them."""
        if first is None:
            return self.add

        def enter(ticket: Ticket, outcome: State) -> None:
            if outcome is READY:
                ticket.state = UNDER_WAY
                self._expect(ticket)
                first.put(ticket)
            else:
                self.add(ticket, outcome)

        return enter

    def settle(self, ticket: Ticket, outcome: State) -> None:
        """Out of the last wide stage, or refused or failed in an earlier one."""
        raise NotImplementedError

    def _expect(self, ticket: Ticket) -> None:
        """The wide stages are about to get it."""


class UnorderedLine(Line):
    """Tickets come out as they become ready."""

    settle = Line.add


class OrderedLine(Line):
    """Tickets come out in the order in which they entered; for one taker.

    A ticket enters before the work on it begins. Several workers then have later ones too, and
    finish them in any order: what is ready stays in its place until its turn has come.
    """

    def settle(self, ticket: Ticket, outcome: State) -> None:
        """In its place. Where the first in line is still under way nobody is woken: whoever
        settles that one does it."""
        ticket.state = outcome
        if self.bell.sleepers and self._first_ready():
            self.bell.ring()

    def take(self) -> Ticket:
        tickets = self.tickets
        if tickets and tickets[0].state is not UNDER_WAY:
            return tickets.popleft()  # or the STOP that has just come in front: as good
        return self.bell.wait_for(self._attempt)

    def _expect(self, ticket: Ticket) -> None:
        self.tickets.append(ticket)

    def _first_ready(self) -> bool:
        try:
            return self.tickets[0].state is not UNDER_WAY
        except IndexError:  # taken in the meantime, so its taker is awake
            return False

    def _attempt(self) -> Ticket | None:
        tickets = self.tickets
        return tickets.popleft() if tickets and tickets[0].state is not UNDER_WAY else None
