"""Every order in which the steps of two programs can come, and each of them tried.

`schedules` lists the orders. `play` runs a model, whose programs are generators: a step is what
runs up to the next `yield`. `Turns` runs real code in threads: whatever calls `step()` waits there
for its turn, so that a race is not hoped for but made, in each of the ways in which it can go.
"""

import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from perflab.contracts.threads import PATIENCE, Running, StuckError
from perflab.errors import is_whole, require

POLL = 0.002  # seconds
STILL = 30  # looks at a thread that stands at one instruction, after which it is called blocked


def schedules(**steps: int) -> Iterator[tuple[str, ...]]:
    """All orders of so many steps of each program: `schedules(reader=3, writer=2)` has 10."""
    for name, count in steps.items():
        require(is_whole(count) and count >= 0, name, count, "a whole number of steps")
    if not any(steps.values()):
        yield ()
    for name, count in steps.items():
        if count:
            for rest in schedules(**{**steps, name: count - 1}):
                yield (name, *rest)


def play(schedule: Sequence[str], programs: Mapping[str, Generator[Any, Any, Any]]) -> None:
    """Run each program's next step in the order of the schedule."""
    for name in schedule:
        next(programs[name], None)


class Turns:
    """Threads that go on one at a time, from step to step.

    State: `_players`, thread → its player; set before it runs, by itself.
    """

    def __init__(self) -> None:
        self._players: dict[int, _Player] = {}

    def step(self) -> None:
        """Wait for the turn; at once for a thread that is no player."""
        player = self._players.get(threading.get_ident())
        if player is not None:
            player.wait()

    def run(self, schedule: Sequence[str], **programs: Callable[[], object]) -> None:
        """Play the programs in that order of turns, and then to their end.

        A program that ends early, or is blocked by another, gives its turn away. Raises what one
        of them raised, and StuckError where one does not end.
        """
        players = {name: _Player(program, self._players) for name, program in programs.items()}
        for player in players.values():
            player.settle()
        for name in schedule:
            players[name].move()
        end = time.monotonic() + PATIENCE
        while not all(player.ended for player in players.values()):
            for player in players.values():
                player.move()
            if time.monotonic() > end:
                raise StuckError("a program did not come to its end")
        for player in players.values():
            player.thread.result()


class _Player:
    """One program in a thread. State: `_at_a_step`; set by its thread, cleared with its turn."""

    def __init__(self, program: Callable[[], object], players: dict[int, "_Player"]) -> None:
        self._at_a_step = threading.Event()
        self._turn = threading.Semaphore(0)
        self._ident = 0

        def run() -> object:
            self._ident = threading.get_ident()
            players[self._ident] = self
            try:
                return program()
            finally:
                del players[self._ident]

        self.thread = Running(run)

    @property
    def ended(self) -> bool:
        return self.thread.ended

    def wait(self) -> None:
        self._at_a_step.set()
        self._turn.acquire()

    def move(self) -> None:
        """Give it a turn, if it waits for one, and wait until it can go no further."""
        if self._at_a_step.is_set():
            self._at_a_step.clear()
            self._turn.release()
            self.settle()

    def settle(self) -> None:
        """Until it is at a step, has ended, or is blocked: stands still though it might run."""
        where, still = None, 0
        while not self.ended and still < STILL:
            if self._at_a_step.wait(POLL):
                return
            frame = sys._current_frames().get(self._ident)
            now = (id(frame), frame.f_lasti) if frame is not None else None
            still = still + 1 if now is not None and now == where else 0
            where = now
