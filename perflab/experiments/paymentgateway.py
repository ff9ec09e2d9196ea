"""The payment gateway on virtual time: an honest party that keeps account of what it charges."""

import asyncio
import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from perflab.experiments.payments import Line, Public


class Mortal(Protocol):
    """Who calls the gateway, and may die of it."""

    def die(self) -> None: ...


class Tally:
    """A count over time. State: `line`, (time, count) at each change."""

    def __init__(self) -> None:
        self.line: list[tuple[float, int]] = [(0.0, 0)]

    def add(self, change: int) -> None:
        now = asyncio.get_running_loop().time()
        self.line.append((now, self.line[-1][1] + change))

    def done(self) -> Line:
        return np.array([at for at, _ in self.line]), np.array([n for _, n in self.line])


@dataclass
class Log:
    """What the parts of a run write down; see Payments."""

    charged: list[tuple[float, int]] = field(default_factory=list)
    holding: list[float] = field(default_factory=list)
    held: Tally = field(default_factory=Tally)
    remembered: Tally = field(default_factory=Tally)
    receipts: Tally = field(default_factory=Tally)
    calls: int = 0
    died: float = math.nan
    torn: int = 0
    receipts_lost: int = 0


class Gateway:
    """Charges, and keeps account of it. A call goes on whatever becomes of its caller.

    State: `_known`, for each key the call that came with it first; `_calls`, all of them.
    """

    def __init__(self, log: Log, public: Public, dies: int | None) -> None:
        self._log, self._public, self._dies = log, public, dies
        self._known: dict[int, asyncio.Task[None]] = {}
        self._calls: list[asyncio.Task[None]] = []

    async def charge(self, request: int, worker: Mortal, key: int | None) -> None:
        """Charge the request's order, or wait for the charge that has this key already."""
        self._log.calls += 1
        if key is None or key not in self._known:
            call = asyncio.create_task(self._charge(request, worker))
            self._calls.append(call)
            if key is not None:
                self._known[key] = call
                self._log.remembered.add(1)
        else:
            call = self._known[key]
        await asyncio.shield(call)

    async def _charge(self, request: int, worker: Mortal) -> None:
        half = float(self._public.takes[request]) / 2
        await asyncio.sleep(half)
        now = asyncio.get_running_loop().time()
        self._log.charged.append((now, int(self._public.order[request])))
        if len(self._log.charged) == self._dies:
            worker.die()
        await asyncio.sleep(half)

    async def ended(self) -> None:
        await asyncio.gather(*self._calls)
