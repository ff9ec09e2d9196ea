"""The universal scalability law, X(n) = λn ÷ (1 + σ(n − 1) + κn(n − 1)), fitted to points.

σ is the share of work that runs one at a time, κ a cost that grows with the pairs of workers:
Gunther, «Guerrilla Capacity Planning» (2007).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from perflab.errors import require


@dataclass(frozen=True)
class Law:
    """The law with its three parameters; call it with a number of workers."""

    rate: float  # λ, of one worker alone
    contention: float  # σ
    coherence: float  # κ

    def __call__(self, workers: float) -> float:
        share, pairs = self.contention * (workers - 1), self.coherence * workers * (workers - 1)
        return self.rate * workers / (1 + share + pairs)


def fitted(workers: ArrayLike, throughput: ArrayLike) -> Law:
    """The law that fits best, by least squares on n ÷ X(n), which is linear in what is sought.

    A parameter below 0 means nothing: it is set to 0, and the others are fitted again.
    """
    n, x = np.asarray(workers, float), np.asarray(throughput, float)
    require(len(n) == len(x) >= 3, "workers", len(n), "as long as throughput, three or more")
    require(bool(np.all(x > 0)), "throughput", x, "above 0 everywhere")
    terms = np.array([np.ones_like(n), n - 1, n * (n - 1)]).T
    used = [0, 1, 2]
    while True:
        found, *_ = np.linalg.lstsq(terms[:, used], n / x, rcond=None)
        if np.all(found[1:] >= 0):
            break
        used.remove(used[1 + int(np.argmin(found[1:]))])
    base, *rest = (float(dict(zip(used, found, strict=True)).get(term, 0.0)) for term in range(3))
    return Law(1 / base, *(one / base for one in rest))
