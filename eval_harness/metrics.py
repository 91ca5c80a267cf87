"""From log-probabilities to what is reported of an item, and from items to a task.

A choice's *value* is its log-probability, normalised as in OLMES; every length counts the continuation's
leading space:

| name | value of a choice |
|---|---|
| `raw` | log p |
| `per_character` | log p / characters |
| `per_token` | log p / tokens |
| `per_byte` | log p / UTF-8 bytes |
| `pmi` | log p - log p of the same choice after "Answer:" alone, a difference |

Where every choice has the same continuation after its own context (WinoGrande) the subtrahend is the same for
all, so `pmi` is `raw` and no request is spent on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval_harness.task import Normalisation

#: Normalisations for which DataDecide (arXiv 2504.11393) reports probabilities.
PROBABILITIES: tuple[Normalisation, ...] = ("raw", "per_token", "per_character")


@dataclass(frozen=True)
class Scored:
    """One item's scores: nats, and lengths by which they are normalised, a number a choice.

    unconditional: log-probabilities after "Answer:", or None where the form has none.
    """

    gold: int
    log_p: tuple[float, ...]
    tokens: tuple[int, ...]
    characters: tuple[int, ...]
    bytes: tuple[int, ...]
    unconditional: tuple[float, ...] | None

    def values(self, normalisation: Normalisation) -> NDArray[np.float64]:
        """Each choice's value."""
        log_p = np.array(self.log_p)
        if normalisation == "pmi":
            return log_p if self.unconditional is None else log_p - np.array(self.unconditional)
        lengths = {
            "raw": 1,
            "per_character": np.array(self.characters),
            "per_token": np.array(self.tokens),
            "per_byte": np.array(self.bytes),
        }
        divided: NDArray[np.float64] = log_p / lengths[normalisation]
        return divided

    def credit(self, normalisation: Normalisation) -> tuple[float, bool]:
        """Share of a right answer, and whether the best value was tied: k equal bests give 1/k each."""
        values = self.values(normalisation)
        best = values == values.max()
        return (1.0 / int(best.sum()) if best[self.gold] else 0.0), int(best.sum()) > 1

    def probabilities(self, normalisation: Normalisation) -> dict[str, float]:
        """DataDecide's continuous metrics of an item, from p = exp(value).

        correct_prob: of the gold choice. margin: its lead over the likeliest wrong one. total_prob: of all
        choices. norm_correct_prob: the gold's share of that.
        """
        values = self.values(normalisation)
        p = np.exp(values)
        share = np.exp(values - values.max())
        wrong = np.delete(p, self.gold)
        return {
            "correct_prob": float(p[self.gold]),
            "margin": float(p[self.gold] - wrong.max()),
            "total_prob": float(p.sum()),
            "norm_correct_prob": float(share[self.gold] / share.sum()),
        }

    @property
    def bits_per_byte(self) -> float:
        """-log2 p of the gold continuation over its UTF-8 bytes, leading space counted."""
        return -self.log_p[self.gold] / self.bytes[self.gold] / math.log(2)


def same_text_same_score(log_p: Sequence[float], texts: Sequence[object]) -> tuple[float, ...]:
    """Give equal requests the score of the first, so that rounding can't decide between them."""
    first: dict[object, float] = {}
    return tuple(first.setdefault(text, value) for text, value in zip(texts, log_p, strict=True))


def mean_and_error(
    values: Sequence[float] | NDArray[np.float64], clusters: Sequence[str | None]
) -> tuple[float, float | None]:
    """The mean over clusters of each cluster's mean, and its standard error; None for one cluster.

    An item without a cluster is one of its own. So this is the plain mean with sd / sqrt(n) for most tasks,
    and for MMLU the plain mean over subjects with the clustered error of Miller (arXiv 2411.00640).
    """
    by: dict[str | int, list[float]] = {}
    for i, (value, cluster) in enumerate(zip(values, clusters, strict=True)):
        by.setdefault(i if cluster is None else cluster, []).append(float(value))
    means = np.array([np.mean(group) for group in by.values()])
    if len(means) < 2:
        return float(means.mean()), None
    return float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means)))


def chance(choices: Sequence[int], clusters: Sequence[str | None]) -> float:
    """Expected accuracy of guessing."""
    return mean_and_error([1 / k for k in choices], clusters)[0]


def combine(parts: Mapping[str, tuple[float, float | None]]) -> tuple[float, float | None]:
    """The plain mean of independent scores, and its standard error."""
    values = [value for value, _ in parts.values()]
    errors = [error for _, error in parts.values() if error is not None]
    if len(errors) < len(values):
        return float(np.mean(values)), None
    return float(np.mean(values)), math.sqrt(sum(error**2 for error in errors)) / len(values)
