"""One run beside another: how many times as long a percentile is, and within what bounds.

Requests of a run depend on each other: who arrives during a pause waits, and so do those behind.
Drawing requests one by one, as the plain bootstrap does, takes 10,000 of them for 10,000 facts and
gives an interval far too narrow. Here whole stretches of time are drawn: what depends on each
other stays together (Künsch, «The Jackknife and the Bootstrap for General Stationary
Observations», Annals of Statistics 17, 1989), on a circle, so that no stretch of the run counts
less for lying at its edge (Politis and Romano, «A Circular Block-Resampling Procedure for
Stationary Data», 1992; «The Stationary Bootstrap», JASA 89, 1994, draws their lengths as well).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perflab.errors import DifferentMachinesError, require
from perflab.measure.compare import Effect, Verdict
from perflab.measure.percentiles import as_ratio, percentile
from perflab.systems.loadgen.result import LoadResult
from perflab.systems.loadgen.workload import Floats

ERROR = 0.01  # of the interval, as in perflab.measure.compare
BLOCKS = 25  # stretches that a run is drawn from: as long as a run of this length allows
FEWEST = 10  # stretches with a success in them, below which nothing is said
CELLS = 400  # a stretch begins at the edge of one of these equal pieces of the run
DRAWS = 1000
GRID = 256  # thresholds looked at in one pass
SEED = 1


@dataclass(frozen=True, slots=True)
class LoadComparison:
    """The other run's percentile ÷ this run's: above 1 the other one is slower."""

    p: float  # the percentile, 0–100, of the successes' response time
    ratio: float
    low: float  # ends of an interval at 99 %; 0 and infinity where a run is too
    high: float  # short to tell stretches of it apart

    @property
    def verdict(self) -> Verdict:
        """«same» within 1 ± 3 %, «faster» or «slower» (the other one), «inconclusive»."""
        return Effect(self.ratio, self.low, self.high).verdict

    def __str__(self) -> str:
        return f"p{self.p:.10g} × {self.ratio:.3f} ({self.low:.3f}–{self.high:.3f}): {self.verdict}"


def compare_results(one: LoadResult, other: LoadResult, p: float = 99) -> LoadComparison:
    """What `LoadResult.compare` says."""
    require(isinstance(other, LoadResult), "other", other, "a LoadResult")
    if not one.machine.same_as(other.machine):
        raise DifferentMachinesError(
            f"one run was on {one.machine.label}, the other on {other.machine.label}. "
            "The two are not compared."
        )
    times = [result.response_time[result.ok] for result in (one, other)]
    found = [percentile(sample, p) for sample in times]
    ratio = float(_ratio(np.array(found[1]), np.array(found[0])))
    cells = [_cells(result.intended_start[result.ok]) for result in (one, other)]
    if min(np.unique(cell * BLOCKS // CELLS).size for cell in cells) < FEWEST:
        return LoadComparison(p, ratio, 0.0, float("inf"))
    rng = np.random.default_rng(SEED)
    drawn = [_drawn(sample, cell, p, rng) for sample, cell in zip(times, cells, strict=True)]
    ratios = np.sort(_ratio(drawn[1], drawn[0]))
    edge = int(DRAWS * ERROR / 2)
    return LoadComparison(p, ratio, float(ratios[edge]), float(ratios[-1 - edge]))


def _ratio(above: Floats, below: Floats) -> Floats:
    """`above` ÷ `below`, where 0 ÷ 0, two runs without any delay, is 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(above == below, 1.0, above / below)


def _cells(start: Floats) -> NDArray[np.intp]:
    """Which of CELLS equal pieces of the run each request belongs to."""
    span = float(start[-1] - start[0])
    if span <= 0:
        return np.zeros(start.size, np.intp)
    place: NDArray[np.intp] = ((start - start[0]) * (CELLS / span)).astype(np.intp)
    return np.minimum(place, CELLS - 1, out=place)


def _drawn(values: Floats, cell: NDArray[np.intp], p: float, rng: np.random.Generator) -> Floats:
    """The percentile of each of DRAWS runs put together of stretches of this one.

    No run is put together in fact: it is how often each cell was drawn, and a cell is how many of
    its samples do not exceed each threshold of a grid. One product of matrices counts for all
    runs at once; the grid then closes in on the thresholds that turned out to matter.
    """
    weights = _weights(rng)
    part, whole = as_ratio(p)
    totals = weights @ np.bincount(cell, minlength=CELLS)
    needed = np.maximum(np.ceil(totals * part / whole), 1)
    ordered = np.sort(values)
    low, high = 0, values.size - 1
    while True:
        places = np.unique(np.linspace(low, high, GRID).round().astype(np.intp))
        grid = ordered[places]
        rank = np.searchsorted(grid, values)  # the first threshold that it does not exceed
        counts = np.bincount(cell * (GRID + 1) + rank, minlength=CELLS * (GRID + 1))
        below = counts.reshape(CELLS, GRID + 1)[:, : places.size].cumsum(axis=1)
        reached = (weights @ below.astype(np.float64)) >= needed[:, None]
        first = np.where(reached[:, -1], reached.argmax(axis=1), places.size - 1)
        low_next, high_next = places[max(int(first.min()) - 1, 0)], places[int(first.max())]
        if high - low < GRID or high_next - low_next >= (high - low) // 2:
            return grid[first]
        low, high = int(low_next), int(high_next)


def _weights(rng: np.random.Generator) -> Floats:
    """How often each cell is in each run: rows of sums of BLOCKS stretches on a circle."""
    length = CELLS // BLOCKS
    starts = rng.integers(CELLS, size=(DRAWS, BLOCKS))
    cells = (starts[:, :, None] + np.arange(length)) % CELLS
    rows = np.arange(DRAWS)[:, None, None] * CELLS
    counts = np.bincount((cells + rows).ravel(), minlength=DRAWS * CELLS)
    return counts.reshape(DRAWS, CELLS).astype(np.float64)
