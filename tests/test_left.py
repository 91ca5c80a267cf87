"""Which documents are left: one answer for deduplication, classifiers' cuts, the ledger and what-if."""

from __future__ import annotations

import json
import operator
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.job import manifest, table
from werp.ask.what_if import replayed
from werp.ask.why import explain
from werp.edits import apply_edits, spans_of
from werp.finished import open_run
from werp.inputs import list_inputs
from werp.quality.rows import json_lines
from werp.recipe import Recipe
from werp.refine import Options, make_plan, refine
from werp.signals.batch import TextBatch

LANGUAGES = ("eng", "deu_1996", "fra", "jpn")
#: For each line rule a page of which it leaves nothing.
EMPTIED = {
    "c4.v1": "Home\nAbout us\nSign in",
    "refinedweb_lines.v1": "HOME\nABOUT US\nCONTACT\n3 likes",
    "boilerplate_lines.v1": "Accept all cookies\nShare on Facebook\nRead more",
}
_HOLDS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def vowels(batch: TextBatch) -> dict[str, list[float | None]]:
    """A rule of the user's own."""
    return {"share": [sum(map(text.count, "aeiou")) / len(text) if text else None for text in batch.texts]}


@pytest.fixture(scope="module")
def texts(werp_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Articles in four languages and web pages, whole and partial copies of some, pages that rules empty."""
    corpora = werp_data / "corpora"
    rows = [str(row["text"])[:2500] for _, row in json_lines(corpora / "c4-sample.jsonl.xz")][:24]
    for _, row in json_lines(corpora / "udhr2.jsonl.xz"):
        if str(row["id"]).endswith(tuple(f"/{name}" for name in LANGUAGES)):
            rows += [row["text"][k : k + 900] for k in range(0, 5400, 900)]
    rows += rows[:5] + [f"{rows[k]}\n{rows[k + 1]}" for k in range(10, 16)] + [*EMPTIED.values()] * 2
    random.Random(5).shuffle(rows)
    folder = tmp_path_factory.mktemp("texts")
    for part in range(2):
        lines = [json.dumps({"text": row, "url": f"https://x.example/{part}"}) for row in rows[part::2]]
        (folder / f"{part}.jsonl").write_text("\n".join(lines))
    return folder


def drawn(draw: random.Random) -> dict[str, Any]:
    """A recipe of null thresholds, thresholds by language, edits, own rules, stages and cuts, by chance."""

    def maybe(value: Any) -> Any:
        return None if draw.random() < 0.5 else value

    def by_language(**keys: Any) -> dict[str, Any]:
        some = draw.sample(["en", "de", "fr", "ja"], draw.randint(0, 3))
        return {label: {key: maybe(value) for key, value in keys.items()} for label in some}

    rules: list[dict[str, Any]] = [
        {"rule": "c4.v1", "min_sentences": maybe(2), "terminal_punctuation": draw.random() < 0.3},
        {"rule": "refinedweb_lines.v1", "max_removed_word_ratio": maybe(0.2)},
        {"rule": "boilerplate_lines.v1"},
        {"rule": "pii.v1"},
        {"rule": "tests.test_left:vowels", "max": draw.choice([{}, {"share": 0.33}])},
        {"rule": "length.v1"},
        {"rule": "gopher_quality.v1", "min_words": maybe(100), "min_stop_words": maybe(2),
         "min_alpha_word_ratio": None, "max_mean_word_length": None,
         "per_language": by_language(min_words=180, min_stop_words=1, max_words=900)},
        {"rule": "gopher_repetition.v1", "max_dup_line_ratio": maybe(0.3),
         "per_language": by_language(max_dup_line_ratio=0.01, max_top_3_gram_char_ratio=0.02)},
        {"rule": "fineweb_quality.v1", "min_line_punct_ratio": None, "max_short_line_ratio": None,
         "per_language": by_language(max_short_line_ratio=0.5, min_line_punct_ratio=0.4)},
    ]  # fmt: skip
    stages = [{"rule": "exact.v1"}, {"rule": "minhash.v1"}, {"rule": "old_both.v1", "ngram": 5},
              {"rule": "substring.v1", "min_tokens": 20}]  # fmt: skip
    accept = draw.choice([
        None, {"by": "any_of", "min": {"long": 800}},
        {"by": "keep_documents", "score": "long", "share": 0.5},
        {"by": "keep_tokens", "score": "long", "share": 0.3},
        {"by": "buckets", "scores": ["long"], "min_bucket": 8},
    ])  # fmt: skip
    models = [{"name": "long", "model": "tests.quality.scorers:length"}]
    tuned = {label: {"min_score": 0.9} for label in draw.sample(["en", "de"], draw.randint(0, 2))}
    known = maybe(["en", "de", "fr", "ja"])
    return {
        "name": "drawn",
        "rules": [
            {"rule": "language.v1", "languages": known, "min_score": 0.2, "per_language": tuned},
            *draw.sample(rules, draw.randint(1, len(rules))),
        ],
        "dedup": draw.sample(stages, draw.randint(0, 2)),
        "quality": {"models": models, "accept": accept} if draw.random() < 0.8 else None,
    }


def by_rules(recipe: Recipe, signals: dict[str, Any], edited: dict[str, str]) -> str | None:
    """The definition: the first comparison that holds, rule by rule; `edited` is the text after each."""
    text = edited[""]
    for rule in recipe.rules:
        after = edited.get(rule.name, text)
        if text.strip() and not after.strip():
            return f"{rule.name}.emptied"
        text = after
        for check in rule.for_language(signals["language.label"]).checks():
            value, limit = signals[check.signal], check.threshold
            if check.drop_if == "not_in":
                holds = value not in limit  # type: ignore[operator]
            elif check.drop_if == "set":
                holds = value is not None
            else:
                holds = value is not None and _HOLDS[check.drop_if](value, limit)
            if holds:
                return f"{rule.name}.{check.key}"
    return None


def states(recipe: Recipe, row: dict[str, Any]) -> dict[str, str]:
    """The text before all edits, under "", and after those of each rule, by the spans that are stored."""
    spans = spans_of(row["removed"])
    found, names = {"": row["text"]}, set()
    for rule in recipe.edits():
        names.add(rule.name)
        found[rule.name] = apply_edits(row["text"], [span for span in spans if span.family in names])
    return found


def check_run(output: Path, recipe: Recipe) -> Counter[str]:
    """Hold a run's ledger, figures and shards to the definition; how often each rule dropped."""
    signals = {row["id"]: row for row in table(output, "signals")}
    documents = {row["id"]: row for row in table(output, "documents")}
    ledger = table(output, "ledger")
    passed = 0
    for row in ledger:
        wanted = by_rules(recipe, signals[row["id"]], states(recipe, documents[row["id"]]))
        passed += wanted is None
        if wanted is None:
            assert row["stage"] in (None, "dedup", "quality"), (row, recipe)
        else:
            assert (row["outcome"], row["rule"]) == ("dropped", wanted)
    about = manifest(output)
    counts = Counter(row["stage"] for row in ledger)
    if recipe.dedup:
        assert sum(documents for documents, _ in about["dedup"]["sources"].values()) == passed
        assert sum(removed for _, removed in about["dedup"]["sources"].values()) == counts["dedup"]
    if recipe.quality and recipe.quality.accept and "documents" in about["quality"]:
        assert about["quality"]["documents"] == counts["quality"] + counts[None]
    shards = table(output, "shards")
    assert [row["id"] for row in shards] == [row["id"] for row in ledger if row["outcome"] == "kept"]
    assert all(row["text"].strip() for row in shards)
    assert about["records"] == {"in": len(ledger), "kept": counts[None], "failed": 0,
                                "dropped": len(ledger) - counts[None]}  # fmt: skip
    return Counter(row["rule"] for row in ledger if row["rule"])


def no_session() -> Any:
    pytest.fail("a Spark session was asked for")


def test_every_recipe_has_one_answer(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("werp.refine._report", lambda plan: None)  # its charts take most of a small run
    draw = random.Random(3)
    files = list_inputs([str(texts)])
    dropped: Counter[str] = Counter()
    before: tuple[Path, ...] = ()
    for number in range(10):
        recipe = Recipe.model_validate(drawn(draw))
        output = tmp_path / str(number)
        options = Options(documents=before)  # the texts are the same, whatever the rules
        refine(None, make_plan(recipe, files, output, options))
        before = (output,)
        dropped += check_run(output, recipe)
        if number % 3 == 0:  # asked of the stored tables, the verdicts are the run's own
            change = f"rules={json.dumps(recipe.model_dump(mode='json')['rules'])}"
            with replayed(open_run(output), [change], no_session) as answer:
                asked = [row for unit in answer.tables for row in pq.read_table(unit.ledger).to_pylist()]
            ledger = table(output, "ledger")
            assert asked == ledger
            dropped_by = {row["rule"]: row["id"] for row in ledger if row["stage"] in ("language", "filter")}
            for rule, page in dropped_by.items():  # and `why` holds each page to its own language's limits
                (found,) = explain(open_run(output), page)
                assert next(item.rule for item in found.compared if item.holds) == rule
    stages = {name.partition(".")[0] for name in dropped}
    assert {"language", "gopher_quality", "gopher_repetition", "exact", "quality", "vowels"} <= stages
    assert {f"{name}.emptied" for name in EMPTIED} <= set(dropped)
