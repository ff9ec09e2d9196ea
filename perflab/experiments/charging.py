"""Charges with a time-out and a retry, on virtual time: who gave up does not stop what it began.

A call takes 25 ms in the median (lognormal, σ = 0.6), and of a hundred calls one loses its
answer: the work is done, and the caller never hears of it.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from perflab.measure.virtual import run_virtual

MEDIAN, SIGMA, LOST = 0.025, 0.6, 0.01
Key = Literal["none", "check, then act", "in one step"]


@dataclass(frozen=True)
class Charges:
    """What became of the payments."""

    succeeded: float  # the share whose caller heard so
    held: float  # seconds, on average, that a caller was kept
    twice: int  # payments that were charged more than once


class _Account:
    """State: `charged`, how often each payment was; `_known`, for each key that was seen an
    event, set when its payment has been charged."""

    def __init__(self, key: Key, rng: np.random.Generator) -> None:
        self._key, self._rng = key, rng
        self.charged: Counter[int] = Counter()
        self._known: dict[int, asyncio.Event] = {}

    async def charge(self, payment: int) -> None:
        if self._key != "none" and payment in self._known:
            await self._known[payment].wait()
            return
        paid = asyncio.Event()
        if self._key == "in one step":
            self._known[payment] = paid
        lost = self._rng.random() < LOST
        await asyncio.sleep(MEDIAN * self._rng.lognormal(0.0, SIGMA))
        self.charged[payment] += 1
        self._known.setdefault(payment, paid)
        self._known[payment].set()
        if lost:
            await asyncio.Event().wait()  # for ever


def charges(
    timeout: float, key: Key = "none", *, attempts: int = 2, payments: int = 2_000, seed: int = 1
) -> Charges:
    """So many payments, each with so many attempts of `timeout` seconds; the account checks the
    payment's key as `key` says."""
    account = _Account(key, np.random.default_rng(seed))
    heard, held = 0, 0.0

    async def pay(payment: int) -> None:
        nonlocal heard, held
        clock = asyncio.get_running_loop().time
        began = clock()
        for _ in range(attempts):
            work = asyncio.create_task(account.charge(payment))
            under_way.add(work)
            done, _ = await asyncio.wait({work}, timeout=timeout)
            if done:
                heard += 1
                break
        held += clock() - began

    under_way: set[asyncio.Task[None]] = set()

    async def main() -> None:
        await asyncio.gather(*(pay(payment) for payment in range(payments)))
        await asyncio.sleep(60)  # what was given up ends too

    run_virtual(main())
    twice = sum(times > 1 for times in account.charged.values())
    return Charges(heard / payments, held / payments, twice)
