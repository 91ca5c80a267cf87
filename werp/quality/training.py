"""From a spec to a model with its proof: `card.json`, `thresholds.json`, `report.html`, `lines.txt`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from werp import __version__
from werp.errors import WerpError
from werp.progress import say
from werp.quality import classifier, proof
from werp.quality.betr import best_ranks, read_targets, top_share
from werp.quality.embed import embed
from werp.quality.report import training_report
from werp.quality.rows import Row, files_of, finished_run, rank, read_source
from werp.quality.sources import refuse_missing, sources_of
from werp.quality.spec import Source, Spec
from werp.rundir import RunDirectory, refuse_unwritable
from werp.signals.batch import TextBatch

_SHOWN = 20
_FILES = ("card.json", "thresholds.json", "report.html", "lines.txt", "model.bin", "model.ftz")


@dataclass
class Classes:
    """Rows of both classes, and what BETR says of them (the best rank of each row, by name)."""

    positive: list[Row]
    negative: list[Row]
    ranks: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def train_classifier(spec: Spec, output: Path, *, force: bool = False) -> dict[str, Any]:
    """Train, prove, and write everything into `output`, the card last; returns the card.

    A model that is there stays until the new one is whole. What a kill leaves, in `_work`, the next start
    clears away.

    Raises `WerpError` for sources that can't be read or split, an output in the way, a training that fails.
    """
    refuse_unwritable(output, "--output")
    refuse_missing(spec)
    place, is_new = RunDirectory(output, ""), not output.exists()
    there = set() if is_new else set(os.listdir(output)) - {place.work.name}
    if there - set(_FILES):
        raise WerpError(f"--output {output}: holds other files; choose an empty or a new folder")
    if there and not force:
        raise WerpError(f"--output {output}: holds a model; choose another folder, or --force to replace it")
    with place.lock():
        made = place.work / "made"
        try:
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            card = _train(spec, made)
            for name in _FILES:
                (output / name).unlink(missing_ok=True)
            for name in reversed(_FILES):
                if (made / name).exists():
                    os.replace(made / name, output / name)
        finally:
            shutil.rmtree(place.work)
            if is_new and not any(output.iterdir()):
                output.rmdir()
    return card


def _train(spec: Spec, folder: Path) -> dict[str, Any]:
    say(f"{spec.name}: reading sources")
    sets = {name: _distinct(read_source(source)) for name, source in spec.evaluate.items()}
    classes = _ranked(spec) if spec.betr else _given(spec)
    held_groups = held_out_groups([classes.positive, classes.negative], spec.held_out, spec.seed)
    train, held = _split(classes, held_groups)
    for name, rows in (("training", train), ("held-out", held)):
        if not rows[0] or not rows[1]:
            raise WerpError(
                f"the {name} part has {len(rows[0])} positive and {len(rows[1])} negative rows: each class"
                " needs rows of at least two books, repositories or sites"
            )
    lines = training_lines(spec, *train)
    classifier.write_lines(folder / "lines.txt", lines)
    say(f"{spec.name}: training on {len(lines):,} rows, {len(held[0]) + len(held[1]):,} held out")
    model = classifier.train(folder / "lines.txt", spec.fasttext)
    classifier.save(model, folder / "model.bin")
    path = folder / "model.bin"
    card = _facts(spec, classes, train, held, folder / "lines.txt")
    if spec.quantize:
        card["full_model"] = {"held_out": _held_out(folder / "model.bin", spec, held)}
        classifier.quantize(model, folder / "lines.txt", spec.quantize)
        classifier.save(model, folder / "model.ftz")
        path.unlink()
        path = folder / "model.ftz"
    score = _scorer(path, spec)
    card["model"] = {"file": path.name, "bytes": path.stat().st_size, "sha256": _sha256(path)}
    card["held_out"] |= _held_out(path, spec, held)
    card["evaluate"] = _evaluated(spec, held, _unseen(sets, train), score)
    if classes.ranks:
        card["betr"] |= _agreement(classes, held, score)
    (folder / "thresholds.json").write_text(json.dumps(_thresholds(held, score), indent=2) + "\n", "utf-8")
    (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
    pages = _best_and_worst([*held[0], *held[1]], score)
    table = json.loads((folder / "thresholds.json").read_text("utf-8"))
    (folder / "report.html").write_text(training_report(card, table, *pages), "utf-8")
    return card


def _given(spec: Spec) -> Classes:
    positive = [row for source in spec.positives for row in read_source(source)]
    negative = [row for source in spec.negatives for row in read_source(source)]
    return Classes(_distinct(positive), _distinct(negative))


def _ranked(spec: Spec) -> Classes:
    """Classes by BETR: the pool's best-ranked share, and the rest."""
    assert spec.betr is not None
    betr = spec.betr
    pool = _distinct([row for source in betr.pool for row in read_source(source)])
    targets = read_targets(betr.targets, betr.min_targets, spec.seed)
    say(f"{spec.name}: embedding {len(pool):,} documents and {len(targets.rows):,} benchmark examples")
    documents, examples, name = embed(
        betr.embedder, [r.text for r in pool], [r.text for r in targets.rows], spec.seed
    )
    best, by = best_ranks(documents, examples)
    nearest = np.einsum("nd,nd->n", documents, examples[by])
    top = top_share(best, nearest, betr.top)
    facts = {
        "embedder": name, "benchmarks": targets.used, "examples_per_benchmark": targets.per_benchmark,
        "left_out": targets.left_out, "pool": len(pool), "top": betr.top,
        "worst_rank_in_top": int(best[top].max()),
        "median_cosine_in_top": round(float(np.median(nearest[top])), 4),
        "nearest_benchmarks_of_top": dict(Counter(targets.rows[k].group for k in by[top]).most_common()),
    }  # fmt: skip
    ranks = {_key(row): int(value) for row, value in zip(pool, best, strict=True)}
    inside = [row for row, chosen in zip(pool, top, strict=True) if chosen]
    outside = [row for row, chosen in zip(pool, top, strict=True) if not chosen]
    return Classes(inside, outside, ranks, facts)


def _distinct(rows: Sequence[Row]) -> list[Row]:
    """The first row of each text."""
    return list({_key(row): row for row in reversed(rows)}.values())[::-1]


def _key(row: Row) -> str:
    return rank(classifier.words_of(row.text))


def held_out_groups(classes: Sequence[Sequence[Row]], share: float, seed: int) -> set[str]:
    """Groups kept aside: in the order of their hash, each that fits into `share` of every class it is in.

    >>> rows = [Row("a", str(k), "") for k in range(10)]
    >>> len(held_out_groups([rows], 0.2, 0))
    2
    """
    counts: dict[str, list[int]] = {}
    for number, rows in enumerate(classes):
        for row in rows:
            counts.setdefault(row.group, [0] * len(classes))[number] += 1
    budget = [share * len(rows) for rows in classes]
    held: set[str] = set()
    for group in sorted(counts, key=lambda name: rank(name, seed)):
        if all(n <= left for n, left in zip(counts[group], budget, strict=True)):
            held.add(group)
            budget = [left - n for n, left in zip(counts[group], budget, strict=True)]
    return held


Sides = tuple[list[Row], list[Row]]


def _split(classes: Classes, held: set[str]) -> tuple[Sides, Sides]:
    sides = [
        ([r for r in rows if r.group not in held], [r for r in rows if r.group in held])
        for rows in (classes.positive, classes.negative)
    ]
    return (sides[0][0], sides[1][0]), (sides[0][1], sides[1][1])


def training_lines(spec: Spec, positive: Sequence[Row], negative: Sequence[Row]) -> list[tuple[str, str]]:
    """(label, text) of the rows trained on: both classes balanced and mixed, in an order by hash."""
    count = min(len(positive), len(negative)) if spec.balance else max(len(positive), len(negative))
    chosen = []
    for label, rows in ((spec.positive, positive), (spec.negative, negative)):
        ordered = sorted(rows, key=lambda row: (rank(row.text, spec.seed), row.name))[:count]
        chosen += [(label, row.text) for row in ordered]
    return sorted(chosen, key=lambda pair: rank(pair[1], spec.seed + 1))


def _facts(spec: Spec, classes: Classes, train: Sides, held: Sides, lines: Path) -> dict[str, Any]:
    card: dict[str, Any] = {
        "name": spec.name,
        "description": spec.description,
        "labels": {"positive": spec.positive, "negative": spec.negative},
        "spec": spec.model_dump(mode="json"),
        "data": [_provenance(source) for source in sources_of(spec)],
        "rows": {
            "positive": len(classes.positive), "negative": len(classes.negative),
            "training": {"positive": len(train[0]), "negative": len(train[1]), "balanced": spec.balance},
            "training_lines_sha256": _sha256(lines),
        },
        "held_out": {
            "groups": {"positive": _groups(held[0]), "negative": _groups(held[1])},
        },
        "versions": {
            "blu-werp": __version__, "fasttext-wheel": version("fasttext-wheel"), "numpy": np.__version__,
            "python": sys.version.split()[0],
        },
    }  # fmt: skip
    if classes.facts:
        card["betr"] = dict(classes.facts)
    return card


def _provenance(source: Source) -> dict[str, Any]:
    """The files of a source by name and hash; of a run its content hash."""
    if source.kind in ("run", "dropped"):
        manifest = finished_run(source)[1]
        return {"path": source.path, "kind": source.kind, "recipe": manifest["recipe"]["name"],
                "content_hash": manifest["content_hash"]}  # fmt: skip
    files = [{"name": path.name, "sha256": _sha256(path)} for path in files_of(source)]
    return {"path": source.path, "kind": source.kind, "files": files}


def _groups(rows: Sequence[Row]) -> dict[str, Any]:
    counts = Counter(row.group for row in rows)
    return {"rows": len(rows), "groups": len(counts), "largest": dict(counts.most_common(20))}


def _scorer(path: Path, spec: Spec) -> Callable[[Sequence[str]], list[float]]:
    model = classifier.Classifier(path, spec.positive)
    return lambda texts: [score or 0.0 for score in model.scores(texts)]


def _held_out(path: Path, spec: Spec, held: Sides) -> dict[str, Any]:
    """Accuracy at one half, ROC-AUC with its interval by groups, the same on bare words, calibration."""
    score = _scorer(path, spec)
    scores = [score([row.text for row in rows]) for rows in held]
    bare = [score([proof.words_alone(row.text) for row in rows]) for rows in held]
    interval = proof.auc_interval(
        scores[0], scores[1], [r.group for r in held[0]], [r.group for r in held[1]]
    )
    right = sum(s >= 0.5 for s in scores[0]) + sum(s < 0.5 for s in scores[1])
    truth = [True] * len(scores[0]) + [False] * len(scores[1])
    return {
        "accuracy": round(right / len(truth), 4),
        "roc_auc": _rounded(proof.roc_auc(*scores)),
        "roc_auc_95": [_rounded(value) for value in interval] if interval else None,
        "roc_auc_words_alone": _rounded(proof.roc_auc(*bare)),
        "calibration": proof.calibration([*scores[0], *scores[1]], truth),
    }


def _unseen(sets: dict[str, list[Row]], train: Sides) -> dict[str, list[Row]]:
    """The rows of each set whose text is not in the training part; `WerpError` where none is left."""
    seen = {_key(row) for rows in train for row in rows}
    unseen = {name: [row for row in rows if _key(row) not in seen] for name, rows in sets.items()}
    for name, rows in unseen.items():
        if not rows:
            raise WerpError(f"evaluate.{name}: every row is one of the training part; leave the set out")
    return unseen


def _evaluated(
    spec: Spec, held: Sides, named: dict[str, list[Row]], score: Callable[[Sequence[str]], list[float]]
) -> dict[str, Any]:
    """Each set's size and quartiles of score, and the ROC-AUC of each contrast."""
    sets = {"positive": held[0], "negative": held[1], **named}
    scores = {name: score([row.text for row in rows]) for name, rows in sets.items()}
    bare = {name: score([proof.words_alone(row.text) for row in rows]) for name, rows in sets.items()}
    quartiles = {
        name: {"rows": len(values), "quartiles": np.quantile(values, [0.25, 0.5, 0.75]).round(4).tolist()}
        for name, values in scores.items()
    }  # fmt: skip
    contrasts = [
        {
            "better": better, "worse": worse,
            "roc_auc": _rounded(proof.roc_auc(scores[better], scores[worse])),
            "roc_auc_words_alone": _rounded(proof.roc_auc(bare[better], bare[worse])),
            "spearman_with_length": _rounded(
                proof.spearman(
                    scores[better] + scores[worse], [len(r.text) for r in (*sets[better], *sets[worse])]
                )
            ),
        }
        for better, worse in spec.contrasts
    ]  # fmt: skip
    return {"sets": quartiles, "contrasts": contrasts}


def _agreement(
    classes: Classes, held: Sides, score: Callable[[Sequence[str]], list[float]]
) -> dict[str, Any]:
    rows = [*held[0], *held[1]]
    best = [-classes.ranks[_key(row)] for row in rows]
    return {
        "held_out_spearman_of_score_and_rank": _rounded(proof.spearman(score([r.text for r in rows]), best))
    }


def _thresholds(held: Sides, score: Callable[[Sequence[str]], list[float]]) -> dict[str, Any]:
    """The table over the held-out negatives, and over all held-out rows (of BETR, a part of its pool)."""
    rows = [*held[0], *held[1]]
    texts = [row.text for row in rows]
    batch = TextBatch([""] * len(texts), [""] * len(texts), texts)
    words = np.diff(batch.split.word_offsets).tolist()
    scores = score(texts)
    negatives = slice(len(held[0]), None)
    return {
        "tokens": "words of words.v1",
        "negatives": proof.threshold_table(scores[negatives], words[negatives]),
        "all": proof.threshold_table(scores, words),
    }


def _best_and_worst(
    rows: Sequence[Row], score: Callable[[Sequence[str]], list[float]]
) -> tuple[list[tuple[float, Row]], list[tuple[float, Row]]]:
    scored = sorted(
        zip(score([row.text for row in rows]), rows, strict=True), key=lambda pair: (-pair[0], pair[1].name)
    )
    return scored[:_SHOWN], scored[::-1][:_SHOWN]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
