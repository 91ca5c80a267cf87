"""`why` tells what the ledger says, and why; a terminal is not obeyed by a page."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.job import table
from werp.ask.show import show_why
from werp.ask.what_if import replayed
from werp.ask.why import explain
from werp.cli import app
from werp.errors import WerpError
from werp.finished import open_run
from werp.inputs import list_inputs
from werp.recipe import load_recipe
from werp.refine import Options, make_plan, refine
from werp.report.build import write_report
from werp.session import session


def test_every_record_is_explained_as_the_ledger_has_it(finished: Path) -> None:
    run = open_run(finished)
    signals = {row["id"]: row for row in table(finished, "signals")}
    for row in table(finished, "ledger"):
        if row["url"] is None:
            continue
        found = [e for e in explain(run, row["url"]) if e.verdict["warc_offset"] == row["warc_offset"]]
        mine = next(e for e in found if e.verdict["warc_file"] == row["warc_file"])
        assert mine.verdict == row
        if row["id"] not in signals:
            assert not mine.compared
            continue
        decided = [item for item in mine.compared if item.decided]
        if row["stage"] in ("language", "filter"):
            (decision,) = decided
            assert (decision.rule, decision.value, decision.threshold) == (
                row["rule"],
                row["value"],
                row["threshold"],
            )
            before = mine.compared[: mine.compared.index(decision)]
        else:
            assert decided == []
            before = mine.compared
        assert not any(item.holds for item in before)  # the first that holds decides
        for item in mine.compared:
            value = signals[row["id"]][item.signal]
            if item.drop_if in "<>" and value is not None:
                assert item.holds == (
                    value < float(item.threshold or 0)
                    if item.drop_if == "<"
                    else value > float(item.threshold or 0)
                )


def test_a_copy_names_its_survivor_and_the_survivor_its_copies(finished: Path) -> None:
    run = open_run(finished)
    copies = [row for row in table(finished, "ledger") if row["stage"] == "dedup"]
    for row in copies:
        (copy,) = explain(run, row["id"])
        assert copy.survivor is not None
        (survivor,) = explain(run, row["survivor_id"])
        assert survivor.verdict["outcome"] == "kept"
        assert (copy.survivor["id"], copy.survivor["url"]) == (
            survivor.verdict["id"],
            survivor.verdict["url"],
        )
        assert row["url"] in survivor.duplicates


def test_a_near_address_is_offered(finished: Path) -> None:
    url = next(row["url"] for row in table(finished, "ledger") if row["outcome"] == "kept")
    with pytest.raises(WerpError) as caught:
        explain(open_run(finished), url + "-x")
    assert url in str(caught.value)
    with pytest.raises(WerpError, match=r"it has none of nowhere\.example"):
        explain(open_run(finished), "https://nowhere.example/")


def test_the_command_prints_it(finished: Path) -> None:
    row = next(row for row in table(finished, "ledger") if row["rule"] == "gopher_quality.v1.min_words")
    shown = CliRunner().invoke(app, ["why", row["url"], "--run", str(finished)])
    assert shown.exit_code == 0
    assert "dropped here" in shown.output
    assert f"dropped filter gopher_quality.v1.min_words: {row['value']} (threshold 50)" in shown.output
    answer = json.loads(CliRunner().invoke(app, ["why", row["id"], "--run", str(finished), "--json"]).output)
    assert answer[0]["verdict"]["rule"] == row["rule"]


def test_a_page_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\u202e[red]markup[/red] \x9b31m \x00 "
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps({"text": evil * 20, "url": f"https://evil.example/{evil}"}))
    output = tmp_path / "out"
    refine(None, make_plan(load_recipe("gopher_only"), list_inputs([str(source)]), output, Options()))
    found = explain(open_run(output), table(output, "ledger")[0]["id"])
    out = io.StringIO()
    show_why(found, Console(file=out, markup=False, highlight=False, emoji=False, soft_wrap=True))
    assert "[red]markup[/red]" in out.getvalue()
    assert not set(out.getvalue()) & set("\x1b\x07\u202e\x9b\x00")


def test_a_run_is_explained_without_the_benchmarks_it_was_searched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = {
        "task": "first", "split": "test", "id": 1, "choices": ["the dog wakes up", "nothing"], "gold": 0,
        "question": "What happens when a quick brown fox jumps over the lazy dog in the warm sun?",
    }  # fmt: skip
    for task in ("first", "second"):
        (tmp_path / task).mkdir()
        (tmp_path / task / "items.jsonl").write_text(json.dumps(item | {"task": task}))
    (tmp_path / "in.jsonl").write_text(
        json.dumps({"url": "https://a.example/", "text": f"{item['question']} Look: the dog wakes up."})
    )
    (tmp_path / "recipe.yaml").write_text("name: mine\nrules: [{rule: length.v1}, {rule: decontaminate.v1}]")
    recipe, inputs = load_recipe(str(tmp_path / "recipe.yaml")), list_inputs([str(tmp_path / "in.jsonl")])
    monkeypatch.setenv("WERP_BENCHMARKS", str(tmp_path / "first"))
    refine(None, make_plan(recipe, inputs, tmp_path / "out", Options()))
    run = open_run(tmp_path / "out")
    with replayed(run, ["length.min_words=1"], session) as replay:
        assert not replay.measured_again

    monkeypatch.setenv("WERP_BENCHMARKS", str(tmp_path / "second"))
    with (
        pytest.raises(WerpError, match=r"decontaminate\.v1 was decided with first, here are second"),
        replayed(run, ["length.min_words=1"], session),
    ):
        pass
    monkeypatch.delenv("WERP_BENCHMARKS")
    monkeypatch.delenv("WERP_DATA", raising=False)
    (explanation,) = explain(run, "https://a.example/")
    (decided,) = (item for item in explanation.compared if item.decided)
    assert (decided.rule, decided.value) == ("decontaminate.v1.first", "test/1")
    assert "decontaminate.v1.first" in re.sub("<wbr>", "", write_report(tmp_path / "out").read_text())


def test_near_addresses_and_what_is_left_out_are_told_safely(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = ["https://a.example/\x1b[31m\u202e", *["https://b.example/"] * 25]
    rows = (json.dumps({"url": url, "text": f"text {k}"}) + "\n" for k, url in enumerate(urls))
    (tmp_path / "in.jsonl").write_text("".join(rows))
    (tmp_path / "recipe.yaml").write_text("name: mine")
    recipe, inputs = load_recipe(str(tmp_path / "recipe.yaml")), list_inputs([str(tmp_path / "in.jsonl")])
    refine(None, make_plan(recipe, inputs, tmp_path / "out", Options()))
    run = open_run(tmp_path / "out")
    with pytest.raises(WerpError) as error:
        explain(run, "https://a.example/")
    assert str(error.value).endswith(r"near it: https://a.example/[U+001B][31m[U+202E]")
    with pytest.raises(WerpError, match="near it: https://a"):
        explain(run, "https://a.example/\udcff")
    assert len(explain(run, "https://b.example/")) == 20
    assert "25 records have that address; the first 20 are explained" in capsys.readouterr().err


@pytest.mark.parametrize("table", ["records", "documents", "signals", "ledger", "dedup"])
def test_a_table_cut_short_is_named(table: str, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    file = next((tmp_path / "copy" / table).iterdir())
    for length in (500, 3, 0):
        os.truncate(file, length)
        with pytest.raises(WerpError, match=f"{re.escape(file.name)}: no whole Parquet file"):
            open_run(tmp_path / "copy")
