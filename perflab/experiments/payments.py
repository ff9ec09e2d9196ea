"""Payments at a peak: how they are served, who comes, and what became of them and of the money.

A worker has eight slots. A payment holds one while the gateway answers (70 ms in the median,
lognormal, σ = 0.35) and, unless receipts are left to the background, while its receipt is written
(60 ms). The gateway is an honest party of its own: it keeps an account of what it has charged,
halfway through each call, and it goes on with a call whose caller has died.

Arrivals, purchases, second clicks and the gateway's times are drawn from streams of their own, so
that two ways to serve them meet the same public.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from perflab.errors import is_whole, require
from perflab.systems.loadgen.workload import arrival_times

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Line = tuple[Floats, Ints]
Key = Literal["none", "cached by card and amount", "cached by order, each worker",
              "looked up, then charged", "at the gateway"]  # fmt: skip
SLOTS, RECEIPT_SLOTS = 8, 4  # of a worker
MEDIAN, SIGMA, RECEIPT = 0.070, 0.35, 0.060  # seconds
CARDS, PRICES = 500, np.arange(1_000, 13_000, 1_000)  # cents
CALM, RUSH, LAST = 3.0, 6.0, 6.0  # seconds before the peak, of the peak, and after it
PEAK = (CALM, CALM + RUSH)


@dataclass(frozen=True)
class Service:
    """How payments are served. `key` tells what keeps an order from being charged twice; `dies`
    is the charge, counted from 1, that kills the worker which asked for it, for good."""

    workers: int = 1
    background: bool = False  # receipts are written after the answer
    key: Key = "none"
    attempts: int = 1  # of a client whose connection breaks
    dies: int | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "attempts"):
            value = getattr(self, name)
            whole = is_whole(value) and value >= 1
            require(whole, name, value, "a whole number, at least 1")
        usable = self.dies is None or (is_whole(self.dies) and self.dies >= 1)
        require(usable, "dies", self.dies, "a charge's number, from 1, or None")
        require(self.key in get_args(Key), "key", self.key, f"one of {', '.join(get_args(Key))}")


@dataclass(frozen=True, eq=False)
class Public:
    """Who comes: one entry for each request, ascending in time; a second click repeats an order."""

    due: Floats  # seconds
    order: Ints
    card: Ints  # by order
    cents: Ints  # by order
    takes: Floats  # what the gateway takes for it, seconds


def public(rate: float = 30.0, peak: float = 90.0, again: float = 0.0, seed: int = 1) -> Public:
    """`rate` requests a second, `peak` at the peak, and the share of orders that is clicked
    `again`, up to a second later."""
    require(0 <= again <= 1, "again", again, "a share from 0 to 1")
    stages = [(rate, rate, CALM), (peak, peak, RUSH), (rate, rate, LAST)]
    due = arrival_times(stages, "poisson", seed)
    orders = len(due)
    buys, clicks = (np.random.default_rng([seed, stream]) for stream in (2, 3))
    twice = clicks.choice(orders, round(again * orders), replace=False)
    every = np.concatenate([due, due[twice] + clicks.uniform(0.05, 1.0, len(twice))])
    order = np.concatenate([np.arange(orders), twice])
    sort = np.argsort(every, kind="stable")
    takes = np.random.default_rng([seed, 4]).lognormal(np.log(MEDIAN), SIGMA, len(every))
    card, cents = buys.integers(0, CARDS, orders), buys.choice(PRICES, orders)
    return Public(every[sort], order[sort], card, cents, takes[sort])


@dataclass(frozen=True, eq=False)
class Payments:
    """What became of them. Times in seconds; money in cents.

    `response` has an entry for each request, nan where no answer came; `charged` and
    `charged_at` one for each charge that the gateway made, in its order.
    """

    public: Public
    slots: int  # of all workers together
    response: Floats
    charged: Ints
    charged_at: Floats
    calls: int  # to the gateway
    died: float  # when a worker did; nan if none did
    torn: int  # requests that it had sent to the gateway by then, and nobody heard of it
    held: Line  # when, and how many payments were in the service
    remembered: Line  # when, and how many answers were kept in memory
    receipts: Line  # when, and how many receipts were still to be written
    receipts_lost: int  # with the memory of a worker that died
    holding: Floats  # how long each payment held its slot

    @property
    def orders(self) -> int:
        return len(self.public.cents)

    @property
    def approved(self) -> Ints:
        """The orders whose customer was told «paid», each once."""
        return np.unique(self.public.order[np.isfinite(self.response)])

    @property
    def twice(self) -> int:
        """Charges beyond the first of an order."""
        return len(self.again())

    @property
    def unpaid(self) -> int:
        """Orders that were approved and never charged: goods given away."""
        return len(np.setdiff1d(self.approved, self.charged))

    @property
    def untold(self) -> int:
        """Orders that were charged and whose customer never heard of it."""
        return len(np.setdiff1d(self.charged, self.approved))

    @property
    def taken(self) -> int:
        """Cents that left the customers' accounts."""
        return int(self.public.cents[self.charged].sum())

    @property
    def owed(self) -> int:
        """Cents of the orders that were approved."""
        return int(self.public.cents[self.approved].sum())

    @property
    def answered_at(self) -> Floats:
        """When each request was answered, nan where it was not."""
        return self.public.due + self.response

    def again(self) -> Ints:
        """Positions of the charges that were not the first of their order."""
        first = np.unique(self.charged, return_index=True)[1]
        return np.setdiff1d(np.arange(len(self.charged)), first)

    def missing(self) -> tuple[Floats, Ints]:
        """When and by how much the shop's books went wrong, in cents, summed up: goods approved
        and never charged count up, second charges down. In books that are right it stays 0."""
        requests = np.flatnonzero(np.isfinite(self.response))
        requests = requests[np.argsort(self.answered_at[requests], kind="stable")]
        first = requests[np.sort(np.unique(self.public.order[requests], return_index=True)[1])]
        free = first[~np.isin(self.public.order[first], self.charged)]
        again = self.again()
        times = np.concatenate([[0.0], self.answered_at[free], self.charged_at[again]])
        cents = self.public.cents
        sums = [cents[self.public.order[free]], -cents[self.charged[again]]]
        order = np.argsort(times, kind="stable")
        return times[order], np.cumsum(np.concatenate([[0], *sums])[order])

    def of(self, begin: float, end: float) -> Floats:
        """Response times of the requests that came in this stretch; infinite without an answer."""
        inside = (self.public.due >= begin) & (self.public.due < end)
        return np.nan_to_num(self.response[inside], nan=np.inf)

    def within(self, limit: float = 1.0, stretch: tuple[float, float] = PEAK) -> float:
        """The share of requests that were answered within `limit` seconds, at the peak."""
        return float(np.mean(self.of(*stretch) <= limit))

    @property
    def capacity(self) -> float:
        """Payments a second that all slots can serve: by Little's law slots ÷ mean holding."""
        return self.slots / float(self.holding.mean())

    def served(self, stretch: tuple[float, float] = PEAK) -> float:
        """Answers a second that were given in this stretch."""
        begin, end = stretch
        at = self.answered_at[np.isfinite(self.response)]
        return float(np.count_nonzero((at >= begin) & (at < end)) / (end - begin))
