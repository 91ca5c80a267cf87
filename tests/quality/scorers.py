"""Scorers of a user's own, named in a recipe as `tests.quality.scorers:<function>`."""

from __future__ import annotations

import functools

import pyarrow as pa
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

_GOOD = ["the theorem follows from the lemma", "the cell divides and its nucleus with it"]
_BAD = ["buy cheap shoes now free shipping", "click here to win the best offer today"]


@functools.cache
def _model() -> Pipeline:
    """A scikit-learn model; one of your own would be loaded here, once a process."""
    model = make_pipeline(HashingVectorizer(n_features=2**12), LogisticRegression())
    return model.fit(_GOOD + _BAD, [1, 1, 0, 0])


def logistic(rows: pa.RecordBatch, scale: float = 1.0) -> pa.Array:
    """Probability of a good text, null for an empty one."""
    texts = rows.column("text").to_pylist()
    if not texts:
        return pa.array([], pa.float64())
    scores = _model().predict_proba(texts)[:, 1] * scale
    return pa.array(
        [score if text else None for score, text in zip(scores, texts, strict=True)], pa.float64()
    )


def length(rows: pa.RecordBatch) -> list[int]:
    """Characters of a text."""
    return [len(text) for text in rows.column("text").to_pylist()]


def broken(rows: pa.RecordBatch) -> list[float]:
    """No number for every second row."""
    return [float("nan") if k % 2 else 0.5 for k in range(rows.num_rows)]


def short(rows: pa.RecordBatch) -> list[float]:
    """One score too few."""
    return [0.5] * (rows.num_rows - 1)
