"""What a score is worth: ROC-AUC, calibration, and how much a threshold keeps, of documents and of tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_LAYOUT = re.compile(r"[^\w\s]|_|\d")
_SHARES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def roc_auc(better: Sequence[float], worse: Sequence[float]) -> float | None:
    """Probability that a text of `better` scores above one of `worse`, ties half (Mann-Whitney U / mn)."""
    m, n = len(better), len(worse)
    if not m or not n:
        return None
    return float((ranks([*better, *worse])[:m].sum() - m * (m + 1) / 2) / (m * n))


def ranks(values: Sequence[float] | Floats) -> Floats:
    """Ranks from 1, the mean rank for equal values."""
    array = np.asarray(values, np.float64)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], np.float64)


def spearman(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float | None:
    """Rank correlation, ties by mean rank; None where one side is constant."""
    a, b = ranks(first), ranks(second)
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def auc_interval(
    better: Sequence[float], worse: Sequence[float], better_groups: Sequence[str], worse_groups: Sequence[str]
) -> tuple[float, float] | None:
    """95 % interval of `roc_auc`: 500 bootstrap samples of whole groups, seed 0."""
    if not better or not worse:
        return None
    random = np.random.default_rng(0)
    sides = []
    for scores, groups in ((better, better_groups), (worse, worse_groups)):
        by_group: dict[str, list[float]] = {}
        for score, group in zip(scores, groups, strict=True):
            by_group.setdefault(group, []).append(score)
        sides.append(list(by_group.values()))
    values = []
    for _ in range(500):
        drawn = [[s for k in random.integers(0, len(side), len(side)) for s in side[k]] for side in sides]
        values.append(roc_auc(*drawn))
    low, high = np.quantile(np.array(values, np.float64), [0.025, 0.975])
    return float(low), float(high)


def calibration(scores: Sequence[float], positive: Sequence[bool]) -> dict[str, Any]:
    """Ten bins of equal width (mean score, share positive, count), and the expected calibration error."""
    score, truth = np.asarray(scores, np.float64), np.asarray(positive, bool)
    bins = np.minimum((score * 10).astype(int), 9)
    rows, error = [], 0.0
    for k in range(10):
        inside = bins == k
        if inside.any():
            mean, share = float(score[inside].mean()), float(truth[inside].mean())
            error += inside.mean() * abs(mean - share)
            rows.append(
                {"mean_score": round(mean, 4), "positive": round(share, 4), "rows": int(inside.sum())}
            )
    return {"expected_calibration_error": round(float(error), 4), "bins": rows}


def threshold_table(scores: Sequence[float], tokens: Sequence[int]) -> list[dict[str, float]]:
    """For round shares of documents and of tokens, the score that keeps them, and what it keeps of both.

    Both shares are of documents with a score at or above the threshold.
    """
    score, size = np.asarray(scores, np.float64), np.asarray(tokens, np.float64)
    order = np.argsort(-score, kind="stable")
    share_of_tokens = np.cumsum(size[order]) / max(size.sum(), 1)
    rows = {}
    for share in _SHARES:
        by_documents = int(np.ceil(share * len(score))) - 1
        by_tokens = int(np.searchsorted(share_of_tokens, share))
        for at in (by_documents, by_tokens):
            cut = float(score[order][min(at, len(order) - 1)])
            kept = score >= cut
            rows[cut] = {
                "threshold": cut,
                "documents": round(float(kept.mean()), 4),
                "tokens": round(float(size[kept].sum() / max(size.sum(), 1)), 4),
            }
    return [rows[cut] for cut in sorted(rows, reverse=True)]


def words_alone(text: str) -> str:
    """A text without what layout and punctuation betray: lower-case words, no marks, digits or line ends.

    >>> words_alone("# Buy 3 (now)!\\n- ok")
    'buy now ok'
    """
    return " ".join(_LAYOUT.sub(" ", text).lower().split())
