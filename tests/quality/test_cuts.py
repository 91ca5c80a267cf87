"""Cuts over a whole run beside a plain sort; accept rules; scorers of the user's own."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from werp.errors import WerpError
from werp.quality.cuts import (
    BUCKETS,
    best_bucket,
    bucket_shares,
    rejected,
    score_of,
    select,
    sort_keys,
    spread_out,
    sums,
    within,
)
from werp.signals.batch import TextBatch
from werp.signals.quality import Buckets, KeepShare, Quality

Rows = list[tuple[float | None, int, str]]  # score, words, id


def ids_of(count: int, seed: int) -> list[str]:
    random_ = random.Random(seed)
    return [f"{random_.getrandbits(128):032x}" for _ in range(count)]


def kept_by_sorting(rows: Rows, share: Fraction, column: int) -> set[str]:
    """The definition: score descending (none last), then id; the fewest that reach the share."""
    order = sorted(rows, key=lambda row: (math.inf if row[0] is None else -row[0], row[2]))
    total = len(rows) if column == 0 else sum(row[1] for row in rows)
    held, kept = 0, set()
    for _, words, name in order:
        kept.add(name)
        held += 1 if column == 0 else words
        if held >= share * total:
            return kept
    return kept


def kept_by_selection(rows: Rows, share: Fraction, column: int, files: int = 3) -> set[str]:
    keys = sort_keys([row[0] for row in rows], [row[2] for row in rows])
    words = np.array([row[1] for row in rows], np.int64)

    def histogram(prefixes: Any, number: int) -> Any:
        parts = [sums(keys[f::files], words[f::files], prefixes, number) for f in range(files)]
        return spread_out(parts, len(prefixes))

    (cut,), totals = select(histogram, [share], column)
    assert totals == [len(rows), int(words.sum())]
    return {row[2] for row, inside in zip(rows, within(keys, cut), strict=True) if inside}


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("share", ["0.101", "1/3", "0.5", "1", "0.0001"])
@pytest.mark.parametrize("levels", [1, 3, 10**6])
def test_a_share_is_what_sorting_keeps(column: int, share: str, levels: int) -> None:
    random_ = random.Random(levels)
    # Equal scores are told apart by ids: here by the last digits alone.
    names = ids_of(300, levels) if levels > 1 else [f"{k:032x}" for k in range(300)]
    rows: Rows = [
        (
            None if random_.random() < 0.05 else random_.randrange(levels) / levels,
            random_.randrange(1, 900),
            name,
        )
        for name in names
    ]
    wanted = kept_by_sorting(rows, Fraction(share), column)
    assert kept_by_selection(rows, Fraction(share), column) == wanted
    random_.shuffle(rows)
    assert kept_by_selection(rows, Fraction(share), column, files=7) == wanted


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=20))
def test_keys_sort_as_scores_do(scores: list[float]) -> None:
    keys = sort_keys(scores, [f"{0:032x}"] * len(scores))
    by_key = [scores[k] for k in np.argsort(keys[:, 0], kind="stable")]
    assert by_key == sorted(scores, reverse=True)
    assert [score_of(int(word)) for word in keys[:, 0]] == [score + 0.0 for score in scores]


def test_an_empty_run_has_no_cut() -> None:
    found, totals = select(
        lambda prefixes, _: np.zeros((len(prefixes), 1 << 16, 2), np.int64), [Fraction(1, 2)], 1
    )
    assert (found, totals) == ([], [0, 0])


def table(**columns: Any) -> pa.Table:
    count = len(next(iter(columns.values())))
    return pa.table(
        {"id": ids_of(count, 1), **{f"quality.{name}": values for name, values in columns.items()}}
    )


def quality(accept: dict[str, Any] | None, *names: str) -> Quality:
    models = [{"name": name, "model": "tests.quality.scorers:length"} for name in names]
    return Quality.model_validate({"models": models, "accept": accept})


def test_any_of_several_models_is_enough() -> None:
    rule = quality({"by": "any_of", "min": {"a": 0.5, "b": 0.9}}, "a", "b")
    scores = table(a=[0.5, 0.4, 0.1, None], b=[0.0, 0.9, 0.2, None])
    out = rejected(scores, rule, {"cuts": {}})
    assert out.rule == [None, None, "quality.v1.min.a", "quality.v1.min.a"]
    assert out.value == [None, None, 0.1, None]
    assert out.threshold == [None, None, 0.5, 0.5]
    assert rejected(scores, quality(None, "a", "b"), {"cuts": {}}).rule == [None] * 4


def test_buckets_hold_equal_tokens_and_the_best_decides() -> None:
    random_ = random.Random(0)
    names = ids_of(2000, 2)
    words = np.array([random_.randrange(50, 150) for _ in names], np.int64)
    scores = {"a": [random_.random() for _ in names], "b": [random_.random() for _ in names]}
    cuts = {}
    for name, values in scores.items():
        keys = sort_keys(values, names)

        def histogram(prefixes: Any, number: int, keys: Any = keys) -> Any:
            return spread_out([sums(keys, words, prefixes, number)], len(prefixes))

        cuts[name], _ = select(histogram, bucket_shares(), 1)
    accept = Buckets(scores=("a",), min_bucket=0)
    buckets = best_bucket(accept, scores, names, cuts)
    held = np.bincount(buckets, weights=words, minlength=BUCKETS) / words.sum()
    assert np.abs(held - 1 / BUCKETS).max() < 0.002
    order = np.argsort(scores["a"])
    assert (np.diff(buckets[order]) >= 0).all()
    both = best_bucket(Buckets(scores=("a", "b"), min_bucket=0), scores, names, cuts)
    only_b = best_bucket(Buckets(scores=("b",), min_bucket=0), scores, names, cuts)
    assert (both == np.maximum(buckets, only_b)).all()


def test_the_share_follows_the_planned_compute() -> None:
    """BETR's fits by arithmetic: 1e22 FLOPs keep 12.6 % of Nemotron-CC's pool, 3.4e19 3.3 % of DCLM's."""
    nemotron = KeepShare(by="keep_tokens", score="a", compute_flops=1e22, fit="nemotron_cc")
    assert float(nemotron.fraction()) == pytest.approx(4e-5 * 1e22**0.25 / 100, abs=1e-6)
    assert float(KeepShare(by="keep_tokens", score="a", compute_flops=3.4e19).fraction()) == pytest.approx(
        0.0329, abs=5e-4
    )
    assert KeepShare(by="keep_tokens", score="a", compute_flops=1e60).fraction() == 1
    for wrong in ({}, {"share": 0.1, "compute_flops": 1e20}, {"share": 0}, {"share": 1.5}):
        with pytest.raises(ValidationError):
            KeepShare.model_validate({"by": "keep_tokens", "score": "a", **wrong})


def batch(*texts: str) -> TextBatch:
    return TextBatch([str(k) for k in range(len(texts))], [""] * len(texts), list(texts))


def own(function: str, **parameters: Any) -> Quality:
    model = {"name": "own", "model": f"tests.quality.scorers:{function}", "parameters": parameters}
    return Quality.model_validate({"models": [model]})


def test_a_scikit_learn_model_plugs_in() -> None:
    rule = own("logistic")
    scores = rule.measure(batch("the lemma and the theorem", "free shoes now", ""))["quality.own"].to_pylist()
    assert scores[0] > 0.5 > scores[1]
    assert scores[2] is None
    half = own("logistic", scale=0.5).measure(batch("free shoes now"))["quality.own"].to_pylist()
    assert half[0] == pytest.approx(scores[1] / 2)
    assert rule.measure(batch())["quality.own"].type == pa.float64()
    assert rule.measure_parameters() != own("logistic", scale=0.5).measure_parameters()


def test_bad_scorers_and_names_are_errors() -> None:
    with pytest.raises(ValueError, match="no finite number"):
        own("broken").measure(batch("a", "b"))
    with pytest.raises(WerpError, match="1 scores for 2 documents"):
        own("short").measure(batch("a", "b"))
    with pytest.raises(WerpError, match="PYTHONPATH"):
        own("absent").measure(batch("a"))
    with pytest.raises(WerpError, match="the package has no model"):
        Quality.model_validate({"models": [{"name": "x", "model": "dclmm"}]}).measure(batch("a"))
    with pytest.raises(ValidationError, match="did you mean own"):
        Quality.model_validate(
            {"models": [{"name": "own", "model": "dclm"}], "accept": {"by": "any_of", "min": {"owm": 0.5}}}
        )
