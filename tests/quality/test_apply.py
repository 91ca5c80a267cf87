"""Classifiers as the last stage of a run: what is kept is what the definition says, whatever the geometry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.job import manifest, run, table
from werp.quality.classifier import Classifier
from werp.recipe import load_recipe, recipe_names
from werp.sample import write_sample
from werp.signals.quality import model_path

RECIPE: dict[str, Any] = {
    "name": "half",
    "extract": {"extractors": ["trafilatura"]},
    "rules": [{"rule": "language.v1"}, {"rule": "boilerplate_lines.v1"}, {"rule": "gopher_quality.v1"}],
    "dedup": [{"rule": "exact.v1"}],
    "quality": {
        "models": [
            {"name": "dclm", "model": "dclm"},
            {"name": "long", "model": "tests.quality.scorers:length"},
        ],
        "accept": {"by": "keep_tokens", "score": "dclm", "share": 0.5},
    },
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def finished(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "half.yaml").write_text(yaml.safe_dump(RECIPE))
    run("--recipe", folder / "half.yaml", "--input", sample / "crawl", "--output", folder / "out")
    return folder / "out"


def left_to_quality(output: Path) -> list[dict[str, Any]]:
    """Ledger rows, with their signals, of the documents that rules and deduplication left."""
    signals = {row["id"]: row for row in table(output, "signals")}
    return [
        {**row, **signals[row["id"]]}
        for row in table(output, "ledger")
        if row["outcome"] == "kept" or row["stage"] == "quality"
    ]


def test_half_of_the_tokens_stay_by_the_definition(finished: Path) -> None:
    rows = sorted(left_to_quality(finished), key=lambda row: (-row["quality.dclm"], row["id"]))
    total = sum(row["quality.words"] for row in rows)
    held, wanted = 0, set()
    for row in rows:
        wanted.add(row["id"])
        held += row["quality.words"]
        if 2 * held >= total:
            break
    kept = {row["id"] for row in rows if row["outcome"] == "kept"}
    assert kept == wanted
    assert 0 < len(kept) < len(rows)
    cut = min(row["quality.dclm"] for row in rows if row["id"] in kept)
    for row in rows:
        if row["outcome"] == "dropped":
            assert row["rule"] == "quality.v1.keep_tokens.dclm"
            assert float(row["value"]) == row["quality.dclm"]
            assert float(row["threshold"]) == cut
    assert manifest(finished)["quality"]["documents"] == len(rows)
    assert manifest(finished)["quality"]["words"] == total


def test_scores_are_of_the_text_that_is_published(finished: Path) -> None:
    shards = table(finished, "shards")
    model = Classifier(model_path("dclm"))
    assert [row["quality_dclm"] for row in shards] == model.scores([row["text"] for row in shards])
    assert [row["quality_long"] for row in shards] == [len(row["text"]) for row in shards]


def test_geometry_changes_nothing(sample: Path, finished: Path, tmp_path: Path) -> None:
    recipe = finished.parent / "half.yaml"
    files = sorted(path for path in (sample / "crawl").rglob("*") if path.is_file())[::-1]
    output = tmp_path / "out"
    run("--recipe", recipe, "--input", *files, "--output", output, "--workers", 2, "--partitions", 3)
    assert manifest(output)["content_hash"] == manifest(finished)["content_hash"]
    assert manifest(output)["quality"] == manifest(finished)["quality"]
    # Another rule is settled from the stored signals.
    buckets = json.dumps({"by": "buckets", "scores": ["dclm", "long"], "min_bucket": 10})
    change = ["--set", f"quality.accept={buckets}", "--from", "signals"]
    run("--recipe", recipe, "--input", *files, "--output", output, *change)
    rows = left_to_quality(output)
    assert {row["rule"] for row in rows if row["outcome"] == "dropped"} == {"quality.v1.min_bucket"}
    best = max(rows, key=lambda row: (row["quality.dclm"], row["id"]))
    assert best["outcome"] == "kept"


def test_the_recipes_that_end_in_a_classifier_name_models_there_are() -> None:
    for name in ("blu_werp", "dclm", "werp_next"):
        assert name in recipe_names()
        quality = load_recipe(name).quality
        assert quality is not None
        for model in quality.models:
            path = model_path(model.model)
            assert path.stat().st_size <= 2 << 20
            card = json.loads(path.with_suffix("").with_suffix(".card.json").read_text())
            assert card["model"]["bytes"] == path.stat().st_size


def test_mistakes_in_the_section_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    for change, message in (
        ({"accept": {"by": "keep_tokens", "score": "dclm", "shre": 0.5}}, "shre"),
        ({"accept": {"by": "keep_most", "score": "dclm"}}, "keep_most"),
        ({"models": []}, "models"),
    ):
        path.write_text(yaml.safe_dump({**RECIPE, "quality": {**RECIPE["quality"], **change}}))
        said = run("--recipe", path, "--input", tmp_path, "--output", tmp_path / "out", code=2)
        assert message in said
