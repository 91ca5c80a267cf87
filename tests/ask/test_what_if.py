"""`what-if` is a real rerun, verdict by verdict; `diff` explains the same change from two runs."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.job import manifest, run, table
from werp.ask.compare import compare
from werp.ask.what_if import replayed
from werp.cli import app
from werp.errors import WerpError
from werp.finished import open_run
from werp.inputs import list_inputs
from werp.recipe import load_recipe
from werp.refine import Options, make_plan, refine
from werp.session import session


def no_session() -> Any:
    pytest.fail("a Spark session was asked for")


def replay(output: Path, *changes: str) -> list[dict[str, Any]]:
    """The ledger that `what-if` makes."""
    with replayed(open_run(output), changes, no_session) as answer:
        return [row for unit in answer.tables for row in pq.read_table(unit.ledger).to_pylist()]


#: Each moves pages, and what deduplication does with them: a copy whose survivor is dropped is kept.
BY_SPARK = {
    "before dedup": ["gopher_quality.min_words=200", "gopher_repetition.max_dup_line_ratio=0.05"],
    "language": ["language.min_score=0.98"],
}
IN_THIS_PROCESS = {
    "measured again": ["gopher_quality.stop_words=[the, with]", "gopher_quality.min_words=120"],
    "dedup": ["exact.survivor=longest", "gopher_quality.min_alpha_word_ratio=0.85"],
    "no dedup": ["dedup=[]"],
}


@pytest.mark.parametrize("name", [*BY_SPARK, *IN_THIS_PROCESS])
def test_what_if_is_the_rerun(sample: Path, finished: Path, tmp_path: Path, name: str) -> None:
    rerun = tmp_path / "rerun"
    if name in BY_SPARK:
        changes = BY_SPARK[name]
        settings = [word for change in changes for word in ("--set", change)]
        run("--input", sample, "--output", rerun, "--documents", finished, *settings)
    else:
        changes = IN_THIS_PROCESS[name]
        options = Options(documents=(finished,))
        refine(
            None, make_plan(load_recipe("gopher_only", changes), list_inputs([str(sample)]), rerun, options)
        )
    assert manifest(rerun)["content_hash"] != manifest(finished)["content_hash"]
    assert replay(finished, *changes) == table(rerun, "ledger")

    with replayed(open_run(finished), changes, no_session) as answer:
        asked = compare(open_run(finished).tables, answer.tables)
    found = compare(open_run(finished).tables, open_run(rerun).tables)
    assert asked.to_json() == found.to_json()
    _check_against_ledgers(found.to_json(), table(finished, "ledger"), table(rerun, "ledger"))


LINE_RULES = """
name: lines
description: a line rule between two others
rules:
  - {rule: language.v1, languages: [en], min_score: 0.65}
  - {rule: c4.v1, terminal_punctuation: false, min_words_per_line: 3}
  - {rule: gopher_quality.v1}
dedup: [{rule: exact.v1}, {rule: minhash.v1}, {rule: old_both.v1}]
"""


def test_what_if_is_the_rerun_for_a_line_rule(sample: Path, tmp_path: Path) -> None:
    recipe, output, rerun = tmp_path / "lines.yaml", tmp_path / "out", tmp_path / "rerun"
    recipe.write_text(LINE_RULES)
    refine(None, make_plan(load_recipe(str(recipe)), list_inputs([str(sample)]), output, Options()))
    change = "c4.min_words_per_line=12"
    run("--recipe", recipe, "--input", sample, "--output", rerun, "--documents", output, "--set", change)
    assert replay(output, change) == table(rerun, "ledger")
    with replayed(open_run(output), [change], no_session) as answer:
        removed = [pq.read_table(unit.documents).to_pylist() for unit in answer.tables]
        asked = compare(open_run(output).tables, answer.tables).to_json()
    assert [row for rows in removed for row in rows] == table(rerun, "documents")
    found = compare(open_run(output).tables, open_run(rerun).tables).to_json()
    assert asked == found
    assert found["lost"]["pages"] > 0
    before, after = (
        {row["id"]: row["text"] for row in table(folder, "shards")} for folder in (output, rerun)
    )
    changed = sum(before[key] != after[key] for key in before.keys() & after.keys())
    assert found["changed_text"]["pages"] == changed > 0


def _check_against_ledgers(
    found: dict[str, Any], before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    """The comparison's counts, made once more by hand."""
    pairs = list(zip(before, after, strict=True))
    gained = [a for a, b in pairs if a["outcome"] != "kept" == b["outcome"]]
    lost = [b for a, b in pairs if a["outcome"] == "kept" != b["outcome"]]
    for name, rows in (("gained", gained), ("lost", lost)):
        assert found[name]["pages"] == len(rows)
        by_rule = {rule: amount["pages"] for rule, amount in found[name]["by_rule"].items()}
        assert by_rule == Counter(f"{row['stage']} {row['rule']}" for row in rows)
        assert sum(amount["pages"] for amount in found[name]["by_language"].values()) == len(rows)
        assert sum(amount["pages"] for amount in found[name]["by_domain"].values()) == len(rows)
        urls = {row["url"] for row in rows}
        samples = [sample for some in found[name]["samples"].values() for sample in some]
        assert all(sample["url"] in urls and sample["text"] for sample in samples)
        assert set(found[name]["samples"]) == set(by_rule)
    assert [amount["pages"] for amount in found["kept"]] == [
        sum(row["outcome"] == "kept" for row in rows) for rows in (before, after)
    ]


def test_nothing_changes_without_a_change(finished: Path) -> None:
    assert replay(finished, "gopher_quality.min_words=50") == table(finished, "ledger")
    again = replay(finished, "shards.target_mb=1")
    assert again == table(finished, "ledger")


def test_duplicates_found_here_are_those_that_spark_finds(finished: Path) -> None:
    changes = ["exact.survivor=best", "gopher_quality.min_words=20"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("werp.ask.what_if._DEDUPLICATED_HERE", 0)
        with replayed(open_run(finished), changes, partial(session, 1)) as answer:
            by_spark = [row for unit in answer.tables for row in pq.read_table(unit.ledger).to_pylist()]
    assert sum(row["stage"] == "dedup" for row in by_spark) >= 5
    assert by_spark == replay(finished, *changes)


def test_the_command_line_answers_and_refuses(finished: Path) -> None:
    def ask(*words: object) -> Any:
        return CliRunner().invoke(app, [str(word) for word in words])

    shown = ask("what-if", "gopher_quality.min_words=200", "--run", finished)
    assert shown.exit_code == 0
    assert "is dropped by" in shown.output
    as_json = json.loads(ask("what-if", "gopher_quality.min_words=200", "--run", finished, "--json").output)
    assert f"lost: {as_json['lost']['pages']:,} pages" in shown.output
    same = ask("diff", finished, finished)
    assert "no page changes sides" in same.output
    for words, says in (
        *(
            (["what-if", change, "--run", finished], "only a new run can answer")
            for change in (
                "read.max_page_mb=1",
                "extract.extractors=[resiliparse]",
                "page_seconds=7",
                "prefilters=[{rule: mime_prefilter.v1}]",
            )
        ),
        (["what-if", "gopher_quality.min_word=1", "--run", finished], "did you mean min_words"),
        (["what-if", "gopher_quality.min_words=many", "--run", finished], "gopher_quality"),
        (["diff", finished, finished.parent], "no finished run"),
    ):
        failed = ask(*words)
        assert isinstance(failed.exception, WerpError)
        assert says in str(failed.exception)
