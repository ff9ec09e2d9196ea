"""Go's channels, select and cancellation, as far as the guide's patterns use them.

What Go promises, and what therefore holds here:

- a channel of capacity 0 hands over: `send` returns when a receiver has the value; one of
  capacity n holds n values, and `send` waits when it is full;
- waiting senders and receivers are served in the order in which they came;
- a closed channel gives what it holds and then (None, False) for ever; to send on it, or to
  close it again, panics: here PanicError, in Go the end of the process;
- `select` does exactly one of its cases. Where several are ready Go takes one at random; here
  `choose` gets their positions and returns one: `random.choice` is Go's, `min` and `max` force
  the first and the last. Where none is ready it waits for the first that becomes so.

The algorithm is that of Go's runtime (chan.go, select.go): under a lock a party either finds its
partner waiting and serves it directly, or queues up and parks. Go has a lock for each channel;
one for all is enough here.
"""

import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from perflab.errors import PanicError, require

Choose = Callable[[Sequence[int]], int]

_lock = threading.Lock()  # guards the state of every channel


def _renew_lock() -> None:
    """In a forked child: the lock may have been held by a thread that was not forked with it."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


class Selected(NamedTuple):
    """The case that `select` did; of a receive, what came and whether it had been sent."""

    case: int
    value: Any = None
    ok: bool = True


class _Parked:
    """A thread in `select`: queued at the channel of each case, asleep until one is served."""

    def __init__(self, cases: "Sequence[Case]") -> None:
        self.cases = cases
        self.outcome: Selected | None = None
        self._wake = threading.Lock()
        self._wake.acquire()
        for index, case in enumerate(cases):
            case.line.append((self, index))

    def serve(self, outcome: Selected) -> None:
        """Under the lock: its case is done, by a partner or by a close."""
        self.leave()
        self.outcome = outcome
        self._wake.release()

    def leave(self) -> None:
        """Under the lock: out of every line."""
        for index, case in enumerate(self.cases):
            case.line.remove((self, index))

    def sleep(self) -> Selected:
        """Without the lock, until it is served."""
        try:
            self._wake.acquire()
        except BaseException:  # interrupted: nobody may serve it any more
            with _lock:
                if self.outcome is None:
                    self.leave()
            raise
        assert self.outcome is not None
        return self.outcome


_Line = deque[tuple[_Parked, int]]


class Channel:
    """A bounded queue that can be closed. Its state, under the lock of all channels:

    - `held`: the values sent and not yet received, `capacity` at most;
    - `closed`: nothing more may be sent;
    - `senders`, `receivers`: who is parked here, and the position of its case; senders only
      while it is full, receivers only while it is empty, neither once it is closed.
    """

    def __init__(self, capacity: int = 0) -> None:
        require(type(capacity) is int and capacity >= 0, "capacity", capacity, "an int >= 0")
        self.capacity = capacity
        self.held: deque[Any] = deque()
        self.closed = False
        self.senders: _Line = deque()
        self.receivers: _Line = deque()

    def __len__(self) -> int:
        """How many values it holds: Go's `len`."""
        return len(self.held)

    def send(self, value: Any) -> None:
        """Leave a value here; waits while it is full and nobody takes it."""
        select([Send(self, value)])

    def receive(self) -> tuple[Any, bool]:
        """(value, True), or (None, False) once it is closed and empty; waits while it is empty."""
        _, value, ok = select([Receive(self)])
        return value, ok

    def __iter__(self) -> Iterator[Any]:
        """Go's `for … range`: what comes until it is closed."""
        while (got := self.receive())[1]:
            yield got[0]

    def close(self) -> None:
        """No more will come. Who waits to receive learns it; who waits to send panics."""
        with _lock:
            if self.closed:
                raise PanicError("close of closed channel")
            self.closed = True
            for parked, index in (*self.receivers, *self.senders):
                if parked.outcome is None:  # it may wait here twice
                    parked.serve(Selected(index, None, False))


@dataclass(frozen=True)
class Send:
    """A case of `select`: send this value on this channel."""

    channel: Channel
    value: Any

    @property
    def line(self) -> _Line:
        return self.channel.senders

    @property
    def ready(self) -> bool:
        channel = self.channel
        return channel.closed or bool(channel.receivers) or len(channel) < channel.capacity

    def do(self, index: int) -> Selected:
        """Under the lock, and ready."""
        if self.channel.closed:
            return Selected(index, None, False)
        if self.channel.receivers:
            receiver, at = self.channel.receivers[0]
            receiver.serve(Selected(at, self.value))
        else:
            self.channel.held.append(self.value)
        return Selected(index)


@dataclass(frozen=True)
class Receive:
    """A case of `select`: receive what comes next on this channel."""

    channel: Channel

    @property
    def line(self) -> _Line:
        return self.channel.receivers

    @property
    def ready(self) -> bool:
        channel = self.channel
        return bool(channel.held or channel.senders) or channel.closed

    def do(self, index: int) -> Selected:
        """Under the lock, and ready. The first who waits to send moves up."""
        held = self.channel.held
        if self.channel.senders:
            sender, at = self.channel.senders[0]
            case = sender.cases[at]
            assert isinstance(case, Send)
            held.append(case.value)
            sender.serve(Selected(at))
        return Selected(index, held.popleft()) if held else Selected(index, None, False)


Case = Send | Receive


def select(cases: Sequence[Case], choose: Choose = random.choice) -> Selected:
    """Do one of the cases: one that is ready, taken by `choose`, or the first to become so.

    PanicError where it is a send on a closed channel.
    """
    require(bool(cases), "cases", cases, "at least one Send or Receive")
    parked = None
    with _lock:
        ready = [index for index, case in enumerate(cases) if case.ready]
        if ready:
            chosen = choose(ready)
            require(chosen in ready, "choose(…)", chosen, f"one of {ready}")
            outcome = cases[chosen].do(chosen)
        else:
            parked = _Parked(cases)
    if parked is not None:
        outcome = parked.sleep()
    if isinstance(cases[outcome.case], Send) and not outcome.ok:
        raise PanicError("send on closed channel")
    return outcome


class Context:
    """Go's context.WithCancel: `done` is a channel that `cancel` closes; nothing is ever sent."""

    def __init__(self) -> None:
        self.done = Channel()
        self._once = threading.Lock()

    def cancel(self) -> None:
        """Everyone who selects on `done` learns it. More than once is allowed."""
        if self._once.acquire(blocking=False):
            self.done.close()
