"""A server as it is thought of: slots, service times and a freeze, told to the last digit."""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perflab.errors import is_number, is_whole, require

MOST_SLOTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back, and after how many seconds."""

    seconds: float
    status: int


class ModelServer:
    """A server for one run: first come, first served, by as many at once as it has slots.

        server = ModelServer(service=0.001, frozen=(3.0, 4.0))
        server.arrive(3.5).seconds  # 0.501

    `service` is what a request takes in seconds, or a function of its number (0, 1, …). While
    `frozen`, from and until, nobody is served and work under way stands still. A request whose
    number `fails` is true of takes no slot: it is answered with status 500 after `fail_time`.
    Times are the caller's, in seconds.

    State: `arrived`, how many came; `_last`, when the last one did; `_free`, a heap of the times
    at which each slot has done what it was given.
    """

    def __init__(
        self,
        slots: int = 1,
        service: float | Callable[[int], float] = 0.001,
        frozen: tuple[float, float] | None = None,
        fails: Callable[[int], bool] | None = None,
        fail_time: float = 0.001,
    ) -> None:
        require(
            is_whole(slots) and 1 <= slots <= MOST_SLOTS,
            "slots",
            slots,
            f"from 1 to {MOST_SLOTS:,}",
        )
        seconds = callable(service) or _is_time(service)
        require(seconds, "service", service, "seconds, at least 0, or a function of a number")
        require(_is_time(fail_time), "fail_time", fail_time, "seconds, at least 0")
        require(fails is None or callable(fails), "fails", fails, "a function of a number, or None")
        self._frozen_from, self._frozen_until = _window(frozen)
        self._service, self._fails, self._fail_time = service, fails, fail_time
        self._free = [-math.inf] * slots
        self._last = -math.inf
        self.arrived = 0

    def arrive(self, now: float) -> Answer:
        """The answer to a request that comes now, which is never before the one before it."""
        require(now >= self._last, "now", now, f"at least {self._last}, when the last one came")
        number, self._last, self.arrived = self.arrived, now, self.arrived + 1
        if self._fails is not None and self._fails(number):
            return Answer(self._done(now, self._fail_time) - now, 500)
        took = self._service(number) if callable(self._service) else self._service
        require(_is_time(took), "service", took, "seconds, at least 0")
        done = self._done(max(now, self._free[0]), took)
        heapq.heapreplace(self._free, done)
        return Answer(done - now, 200)

    def _done(self, start: float, seconds: float) -> float:
        """When work begun at `start` is done, the freeze counted in."""
        if self._frozen_from <= start < self._frozen_until:
            return self._frozen_until + seconds
        done = start + seconds
        if start < self._frozen_from < done:
            done += self._frozen_until - self._frozen_from
        return done


def _window(frozen: Any) -> tuple[float, float]:
    if frozen is None:
        return math.inf, math.inf
    pair = isinstance(frozen, tuple | list) and len(frozen) == 2
    good = pair and all(map(_is_time, frozen)) and frozen[0] <= frozen[1]
    require(good, "frozen", frozen, "(from, until) in seconds, from 0 on, or None")
    return float(frozen[0]), float(frozen[1])


def _is_time(value: object) -> bool:
    return is_number(value) and 0 <= value < math.inf
