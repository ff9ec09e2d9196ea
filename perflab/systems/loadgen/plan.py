"""Who sends next, and when is it over: decisions without clock or socket.

The engine asks a plan three things in turn: `next_due()`, the time at which the next request
wants to start; `take()`, which hands that request out; and it tells it `ended(now)` when one is
over. Times are seconds since the start of the measurement; a warm-up lies before 0. No request
is handed out once `deadline` has passed; what an open plan still holds then was not sent.
"""

import random
from collections import deque
from collections.abc import Sequence

NEVER = float("inf")


class OpenPlan:
    """State: how many of the scheduled requests have been handed out."""

    def __init__(self, times: Sequence[float], deadline: float) -> None:
        self._times = times
        self._taken = 0
        self.deadline = deadline

    def next_due(self) -> float:
        return self._times[self._taken] if self._taken < len(self._times) else NEVER

    def take(self) -> float:
        self._taken += 1
        return self._times[self._taken - 1]

    def ended(self, now: float) -> None:
        """Arrivals do not depend on answers."""

    def not_sent(self) -> int:
        """Scheduled requests that were never handed out, those of the warm-up apart."""
        rest = self._times[self._taken :]
        return sum(1 for time in rest if time >= 0)


class ClosedPlan:
    """State: when each resting user wants to send again, and how many requests are left.

    Users are alike and think equally long, so they want to send in the order in which their
    answers came: a queue of times is enough. A request intended before 0 is warm-up and is not
    taken off the count.
    """

    def __init__(
        self, users: int, think_time: float, begin: float, deadline: float, requests: int | None
    ) -> None:
        self._ready = deque([begin] * users)
        self._think_time = think_time
        self._left: float = NEVER if requests is None else requests
        self.deadline = deadline

    def next_due(self) -> float:
        if not self._ready or self._left <= 0 or self._ready[0] >= self.deadline:
            return NEVER
        return self._ready[0]

    def take(self) -> float:
        intended = self._ready.popleft()
        if intended >= 0:
            self._left -= 1
        return intended

    def ended(self, now: float) -> None:
        self._ready.append(now + self._think_time)

    def not_sent(self) -> int:
        """Nothing was scheduled, so nothing can be missing."""
        return 0


Plan = OpenPlan | ClosedPlan


class Draw:
    """Which route each request takes, by weight, the same for the same seed.

    State: a block of choices drawn ahead, since one draw at a time costs ten times as much.
    """

    BLOCK = 1024

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        self._routes = range(len(weights))
        self._weights = weights
        self._random = random.Random(seed)
        self._ahead: list[int] = []

    def __call__(self) -> int:
        if len(self._routes) == 1:
            return 0
        if not self._ahead:
            self._ahead = self._random.choices(self._routes, self._weights, k=self.BLOCK)
            self._ahead.reverse()
        return self._ahead.pop()
