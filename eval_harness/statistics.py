"""How far a difference between two sets of runs can be trusted.

The data of a task is a matrix D: a row a seed (a pair of runs, A and B, of the same seed), a column an item
(for MMLU a subject), a number the difference A - B there. Both seeds and items are draws, so the mean has
three parts of noise: between seeds, between items, and what is left over, by which seeds and items differ
together. The two-way analysis of variance separates them.

**The crossed t interval** is the named one, by which verdicts are given. With n seeds, K tasks and d_s a
seed's macro difference,

    V = sd(d)^2 / n  +  sum over tasks of max(0, item variance - remainder) / K^2

The first part holds seeds and remainder, the second what items add to it: the remainder is in both means and
would be counted twice. The half-width is sqrt(V) times Cochran's quantile, the mean of Student's t(n - 1)
and the normal z weighted by the two parts. Of four quantiles tried over five worlds it alone covered 95 +- 2
% at 3, 5 and 10 seeds (see docs/evaluation.md): Satterthwaite's degrees of freedom came to 92 % at three
seeds, the root of the summed squares to 98 %, z alone to 82 %.

**The hierarchical bootstrap** stands beside it: seeds resampled, and items within each task. With three
seeds a resampled mean has too little spread, sqrt(2/3) of what it should, and covers less than it says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Matrix = NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A difference, where it may lie at the level of 95 %, and the parts of its noise as standard errors.

    seeds: runs a side. from_seeds is None for one seed, and then the interval holds items alone.
    """

    difference: float
    low: float
    high: float
    seeds: int
    from_seeds: float | None
    from_items: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign is decided by the interval."""
        return self.low > 0 or self.high < 0


def crossed_t(matrices: Sequence[Matrix]) -> Interval:
    """The named interval of the mean over tasks of each matrix's mean."""
    n, K = len(matrices[0]), len(matrices)
    by_seed = np.mean([matrix.mean(axis=1) for matrix in matrices], axis=0)
    difference = float(by_seed.mean())
    items = sum(item_variance(matrix) for matrix in matrices) / K**2
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    if n == 1:
        half = z * math.sqrt(items)
        return Interval(difference, difference - half, difference + half, 1, None, math.sqrt(items))
    seeds = float(by_seed.var(ddof=1)) / n
    t = float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
    variance = seeds + items
    half = (t * seeds + z * items) / math.sqrt(variance) if variance else 0.0
    return Interval(difference, difference - half, difference + half, n, math.sqrt(seeds), math.sqrt(items))


def item_variance(matrix: Matrix) -> float:
    """What the draw of items adds to the variance of the mean, the remainder taken out; 0 at least."""
    n, m = matrix.shape
    if m < 2:
        return 0.0
    over_items: float = float(matrix.mean(axis=0).var(ddof=1)) / m
    if n == 1:
        return over_items
    left = matrix - matrix.mean(axis=0) - matrix.mean(axis=1, keepdims=True) + matrix.mean()
    remainder = float((left**2).sum()) / ((n - 1) * (m - 1)) / (n * m)
    added: float = max(0.0, over_items - remainder)
    return added


def bootstrap(matrices: Sequence[Matrix], draws: int = 10_000, seed: int = 0) -> Matrix:
    """Means over tasks of so many resamples of seeds and, within each task, of items."""
    rng = np.random.default_rng(seed)
    n = len(matrices[0])
    found = []
    for start in range(0, draws, 250):  # 250 x 10,042 indices are 20 MB
        size = min(250, draws - start)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=size) / n
        total = np.zeros(size)
        for matrix in matrices:
            m = matrix.shape[1]
            picked = rng.integers(m, size=(size, m))
            total += np.take_along_axis(weights @ matrix, picked, axis=1).mean(axis=1)
        found.append(total / len(matrices))
    return np.concatenate(found)


def noise_floor(sides: Sequence[NDArray[np.float64]]) -> float | None:
    """Root-mean-square gap between two sets of n runs of one filter that differ in their seeds alone.

    sides: each filter's macro scores, one a seed. sqrt(2 / n) x the within-filter sd; None for one seed.
    """
    if any(len(side) < 2 for side in sides):
        return None
    variance = float(np.mean([side.var(ddof=1) for side in sides]))
    return math.sqrt(2 * variance / len(sides[0]))


def signal_to_noise(scores: Mapping[str, Sequence[float]]) -> tuple[float, float, float | None]:
    """Signal, noise and their ratio of one task, after arXiv 2508.13144.

    scores: a recipe's scores, one a seed. Signal: largest difference between recipes' means over the mean of
    all. Noise: sd over seeds, averaged over recipes, over the same mean. Unlike the small-scale columns
    published there, nothing but seeds is in the noise. The ratio is None where no seed differs.
    """
    means = [float(np.mean(values)) for values in scores.values()]
    centre = float(np.mean(means))
    signal = (max(means) - min(means)) / centre
    noise = float(np.mean([np.std(values, ddof=1) for values in scores.values()])) / centre
    return signal, noise, signal / noise if noise else None


def decision_accuracy(
    small: Mapping[str, Sequence[float]], target: Mapping[str, Sequence[float]]
) -> tuple[float | None, float | None]:
    """Share of recipe pairs ranked at a small size as at the target, as DataDecide defines it.

    The target is each recipe's mean over seeds; a prediction is one seed's. Returns the mean over seeds and
    its standard deviation (None for one seed). A pair that ties in a prediction counts half, one that ties at
    the target is left out; the share is None when all do.
    """
    names = sorted(small)
    truth = {name: float(np.mean(target[name])) for name in names}
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if truth[a] != truth[b]]
    if not pairs:
        return None, None
    shares = []
    for s in range(min(len(small[name]) for name in names)):
        right = [
            0.5 * (1 + np.sign(small[a][s] - small[b][s]) * np.sign(truth[a] - truth[b])) for a, b in pairs
        ]
        shares.append(float(np.mean(right)))
    return float(np.mean(shares)), float(np.std(shares, ddof=1)) if len(shares) > 1 else None
