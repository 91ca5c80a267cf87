"""Line rules, prefilters and the user's own rule in whole runs."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.job import manifest, run, table
from werp.edits import apply_edits, spans_of
from werp.sample import write_sample

_RULES = """
name: edits
extract: {extractors: [resiliparse]}
prefilters: [{rule: mime_prefilter.v1}, {rule: lang_prefilter.v1}]
rules:
  - rule: language.v1
  - rule: c4.v1
  - rule: fineweb_quality.v1
  - rule: pii.v1
  - {rule: "outside_rules:letters", max: {a: 1.0e+9}}
"""
_OWN = 'def letters(batch):\n    return {"a": [text.count("a") for text in batch.texts]}\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edits")
    write_sample(folder / "sample")
    (folder / "site").mkdir()
    (folder / "site" / "outside_rules.py").write_text(_OWN)
    (folder / "recipe.yaml").write_text(_RULES)
    return folder


def refine(folder: Path, monkeypatch: pytest.MonkeyPatch, output: str, *words: str) -> Path:
    monkeypatch.setenv("PYTHONPATH", f"{folder / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    run("--recipe", folder / "recipe.yaml", "--input", folder / "sample" / "crawl",
        "--output", folder / output, "--limit", 8, *words)  # fmt: skip
    return folder / output


def removed(row: dict[str, Any]) -> list[str]:
    return [span.rule for span in spans_of(row["removed"])]


def test_edits_are_kept_and_other_line_rules_open_no_archive(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = refine(folder, monkeypatch, "first")
    documents = {row["id"]: row for row in table(first, "documents")}
    assert sum(len(row["removed"]) for row in documents.values()) > 50
    shards = table(first, "shards")
    assert shards
    for row in shards:
        stored = documents[row["id"]]
        assert row["text"] == apply_edits(stored["text"], spans_of(stored["removed"]))
    assert any(row["text"] != documents[row["id"]]["text"] for row in shards)

    # Skipped pages have value and threshold, and no document.
    skipped = [row for row in table(first, "ledger") if row["stage"] == "prefilter"]
    assert {row["rule"] for row in skipped} == {"lang_prefilter.v1.min_score"}
    assert all(float(row["value"]) < float(row["threshold"]) == 0.02 for row in skipped)
    assert not {row["id"] for row in skipped} & set(documents)
    assert all(row["letters.a"] is not None for row in table(first, "signals"))

    # The same rules again, and others, from the stored text: the archives may be gone but for their names.
    change = ["--set", "c4.min_words_per_line=6", "--documents", str(first)]
    second = refine(folder, monkeypatch, "second", *change)
    fresh = refine(folder, monkeypatch, "fresh", *change[:2])
    assert manifest(second)["content_hash"] == manifest(fresh)["content_hash"]
    assert manifest(second)["task_seconds"]["extract"] == manifest(first)["task_seconds"]["extract"]
    assert manifest(second)["content_hash"] != manifest(first)["content_hash"]
    again = {row["id"]: row for row in table(second, "documents")}
    assert {key: row["text"] for key, row in again.items()} == {
        key: row["text"] for key, row in documents.items()
    }
    counts = [Counter(rule for row in rows.values() for rule in removed(row)) for rows in (documents, again)]
    short = "c4.v1.min_words_per_line"
    assert counts[1][short] > counts[0][short]
