"""Figures of merit beside scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from werp.quality.proof import calibration, roc_auc, spearman, threshold_table, words_alone


@pytest.mark.parametrize("seed", range(5))
def test_auc_and_rank_correlation_are_the_libraries(seed: int) -> None:
    random = np.random.default_rng(seed)
    better, worse = random.normal(0.5, 1, 70).round(1), random.normal(0, 1, 90).round(1)  # with ties
    truth = [1] * 70 + [0] * 90
    assert roc_auc(better, worse) == pytest.approx(
        sklearn.metrics.roc_auc_score(truth, [*better, *worse]), abs=1e-12
    )
    other = random.normal(size=160).round(1)
    found = spearman([*better, *worse], other)
    assert found == pytest.approx(scipy.stats.spearmanr([*better, *worse], other).statistic, abs=1e-12)
    assert roc_auc([], worse) is None


def test_calibration_of_a_perfect_and_of_a_wrong_model() -> None:
    assert calibration([0.0, 1.0], [False, True])["expected_calibration_error"] == 0
    assert calibration([1.0, 0.0], [False, True])["expected_calibration_error"] == 1


def test_a_threshold_keeps_what_the_table_says() -> None:
    random = np.random.default_rng(0)
    scores, tokens = random.random(500).round(2), random.integers(1, 1000, 500)
    table = threshold_table(scores, tokens)
    for row in table:
        kept = scores >= row["threshold"]
        assert row["documents"] == pytest.approx(kept.mean(), abs=1e-4)
        assert row["tokens"] == pytest.approx(tokens[kept].sum() / tokens.sum(), abs=1e-4)
    assert min(abs(row["tokens"] - 0.1) for row in table) < 0.02
    assert min(abs(row["documents"] - 0.1) for row in table) < 0.02


def test_words_alone_hides_layout() -> None:
    assert words_alone("* One.\n\n\t2) TWO_three") == "one two three"
