"""Whole runs with every stage: killed in each phase, over earlier runs, and stopped by the seat-belt."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.dedup.conftest import two_crawls
from tests.job import manifest, run, table
from werp.ask.what_if import replayed
from werp.ask.why import explain
from werp.dedup.planted import near_copy, passages
from werp.edits import apply_edits, spans_of
from werp.errors import WerpError
from werp.finished import open_run
from werp.inputs import list_inputs
from werp.recipe import Recipe, load_recipe
from werp.refine import Options, make_plan, refine

_RECIPE = """
name: every_stage
rules: []
dedup:
  - {rule: exact.v1, survivor: SURVIVOR}
  - {rule: minhash.v1, shingle_size: 3, bands: 20, rows: 5, verify: 0.3, survivor: SURVIVOR}
  - {rule: substring.v1}
  - {rule: old_both.v1}
"""


def recipe_file(folder: Path, survivor: str = "newest", extra: str = "") -> Path:
    path = folder / f"{survivor}.yaml"
    path.write_text(_RECIPE.replace("SURVIVOR", survivor) + extra)
    return path


@pytest.fixture(scope="module")
def crawls(werp_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two crawls, a/ and b/, of three files each, with copies within and across; the dates are mixed."""
    folder = tmp_path_factory.mktemp("crawls")
    chance = random.Random(8)
    texts = passages(werp_data / "corpora", 240, 600, 1400)
    lines = [text.replace(". ", ".\n") for text in texts]
    for _ in range(260):
        text = chance.choice(lines)
        kind = chance.randrange(4)
        if kind == 0:
            lines.append(text.upper())
        elif kind == 1:
            lines.append(near_copy(text, chance.randint(1, 4), chance))
        elif kind == 2:
            other = chance.choice(lines).split("\n")
            lines.append("\n".join([*other[:2], text.split("\n")[-1], *other[2:]]))
        else:
            lines.append(f"{chance.choice(lines)[:200]} {text[50:450]}")
    chance.shuffle(lines)
    return two_crawls(folder, lines, 6, chance)


def finished(recipe: Recipe, inputs: list[Path], output: Path, **options: Any) -> dict[str, Any]:
    plan = make_plan(recipe, list_inputs([str(path) for path in inputs]), output, Options(**options))
    return refine(None, plan)


def texts_of(output: Path) -> dict[str, str]:
    return {row["id"]: row["text"] for row in table(output, "shards")}


def why_names_a_survivor_of_an_earlier_run(later: Path, earlier: Path) -> None:
    own = {row["id"] for row in table(later, "ledger")}
    others = {row["id"]: row["url"] for row in table(earlier, "ledger")}
    copies = [row for row in table(later, "ledger") if row["survivor_id"] and row["survivor_id"] not in own]
    for row in copies[:3]:
        (copy,) = explain(open_run(later), row["id"])
        assert copy.survivor is not None
        assert copy.survivor["run"] == str(earlier)
        assert copy.survivor["url"] == others[row["survivor_id"]]
    assert copies
    earlier.rename(earlier.with_name("moved"))
    (copy,) = explain(open_run(later), copies[0]["id"])
    assert copy.survivor is not None
    assert "no run.json" in copy.survivor["missing"]
    earlier.with_name("moved").rename(earlier)


@pytest.mark.parametrize("survivor", ["first", "newest"])
def test_adding_a_crawl_is_one_run_over_both(crawls: Path, tmp_path: Path, survivor: str) -> None:
    recipe = load_recipe(str(recipe_file(tmp_path, survivor)))
    a, b, both = crawls / "a", crawls / "b", tmp_path / "both"
    finished(recipe, [a], tmp_path / "a")
    finished(recipe, [a, b], both)
    added = finished(recipe, [b], tmp_path / "b", earlier=(tmp_path / "a",))
    assert added["earlier"] == [manifest(tmp_path / "a")["key"]]

    kept = texts_of(tmp_path / "a")
    documents = {row["id"]: row["text"] for row in table(tmp_path / "a", "documents")}
    changed = table(tmp_path / "b", "retractions")
    assert added["dedup"]["retractions"] == len(changed) > 20
    assert any(row["was_kept"] and not row["kept"] and row["survivor_id"] for row in changed)
    for row in changed:
        kept.pop(row["id"], None)
        if row["kept"]:
            kept[row["id"]] = apply_edits(documents[row["id"]], spans_of(row["removed"]))
    assert kept | texts_of(tmp_path / "b") == texts_of(both)
    survivors = {row["id"]: row["survivor_id"] for row in table(both, "ledger")}
    for row in table(tmp_path / "b", "ledger"):
        assert row["survivor_id"] == survivors[row["id"]]
    why_names_a_survivor_of_an_earlier_run(tmp_path / "b", tmp_path / "a")
    for row in changed:
        assert row["survivor_id"] == survivors[row["id"]]

    # Taking b away again is a's own run, which stands as it was; made anew it is the same.
    assert (
        finished(recipe, [a], tmp_path / "again")["content_hash"] == manifest(tmp_path / "a")["content_hash"]
    )


@pytest.mark.parametrize(
    "changes",
    [
        ["length.min_chars=900"],  # decides who takes part
        ["minhash.bands=10", "substring.min_tokens=30"],
        ["minhash.shingle_size=2", "exact.survivor=longest"],  # signs every text anew
    ],
)
def test_what_if_is_the_rerun_against_earlier_runs(crawls: Path, tmp_path: Path, changes: list[str]) -> None:
    path = recipe_file(tmp_path)
    path.write_text(path.read_text().replace("rules: []", "rules: [{rule: length.v1, min_chars: 700}]"))
    before, after = load_recipe(str(path)), load_recipe(str(path), changes)
    for name, recipe in (("before", before), ("after", after)):
        finished(recipe, [crawls / "a"], tmp_path / name / "a")
        finished(recipe, [crawls / "b"], tmp_path / name / "b", earlier=(tmp_path / name / "a",))
    with replayed(open_run(tmp_path / "before/b"), changes, no_session) as answer:
        asked = [row for unit in answer.tables for row in pq.read_table(unit.ledger).to_pylist()]
    assert asked == table(tmp_path / "after/b", "ledger") != table(tmp_path / "before/b", "ledger")
    alone = finished(after, [crawls / "b"], tmp_path / "alone")
    assert alone["content_hash"] != manifest(tmp_path / "after/b")["content_hash"]

    other = tmp_path / "before/a"
    finished(after, [crawls / "a"], other, force=True)
    with (
        pytest.raises(WerpError, match="not the run any more"),
        replayed(open_run(tmp_path / "before/b"), changes, no_session),
    ):
        pass
    shutil.rmtree(other)
    with (
        pytest.raises(WerpError, match=r"before/a: no run\.json"),
        replayed(open_run(tmp_path / "before/b"), changes, no_session),
    ):
        pass


def no_session() -> Any:
    pytest.fail("a Spark session was asked for")


def test_the_order_in_which_earlier_runs_are_named_changes_nothing(tmp_path: Path) -> None:
    recipe = load_recipe(str(recipe_file(tmp_path, "newest")))
    parts, runs = [], []
    for number in range(4):  # the same text three times, newer each time, then another one
        row = {"text": "The ferry leaves at noon." if number < 3 else "Another text.", "date": f"202{number}"}
        parts.append(tmp_path / f"part-{number}.jsonl")
        parts[-1].write_text(json.dumps(row) + "\n")
    for number in range(3):  # each is deduplicated against those before it
        output = tmp_path / f"run-{number}"
        finished(recipe, [parts[number]], output, earlier=tuple(runs))
        assert len(table(output, "retractions")) == number
        runs.append(output)
    last = [tmp_path / "last-0", tmp_path / "last-1"]
    finished(recipe, [parts[3]], last[0], earlier=tuple(runs))
    finished(recipe, [parts[3]], last[1], earlier=(runs[2], runs[0], runs[1]))
    assert table(last[0], "retractions") == table(last[1], "retractions") == []
    assert manifest(last[0])["key"] == manifest(last[1])["key"]


def test_an_earlier_run_must_be_of_the_same_recipe(crawls: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(recipe_file(tmp_path)))
    finished(recipe, [crawls / "a"], tmp_path / "a")
    other = load_recipe(str(recipe_file(tmp_path)), ["minhash.bands=10"])
    for chosen, inputs, words in (
        (other, crawls / "b", "differs in `dedup`"),
        (recipe, crawls / "a", r"named part-0\.jsonl in it and in this run"),
    ):
        files, options = list_inputs([str(inputs)]), Options(earlier=(tmp_path / "a",))
        with pytest.raises(WerpError, match=words):
            make_plan(chosen, files, tmp_path / "b", options)
    with pytest.raises(WerpError, match="no finished run"):
        finished(recipe, [crawls / "b"], tmp_path / "b", earlier=(crawls,))


def test_the_seat_belt_stops_a_run_until_it_is_accepted(crawls: Path, tmp_path: Path) -> None:
    limits = "dedup_limits: {max_source_loss: 0.05, min_documents: 10, max_cluster: 3}\n"
    recipe = recipe_file(tmp_path, extra=limits)
    words = ["--recipe", recipe, "--input", crawls / "a", "--output", tmp_path / "out"]
    said = run(*words, code=3)
    assert "deduplication removes" in said
    assert "--accept source-loss" in said
    assert "Jaccard" in said  # examples of the largest clusters
    assert not (tmp_path / "out" / "run.json").exists()
    said = run(*words, "--accept", "source-loss", code=3)
    assert "--accept cluster-size" in said
    assert "did you mean cluster-size" in run(*words, "--accept", "cluster-sise", code=2)
    run(*words, "--accept", "source-loss", "--accept", "cluster-size")
    worst = manifest(tmp_path / "out")["dedup"]["worst"]
    assert worst[0]["members"][0]["jaccard"] == 1.0
    assert all(member["text"] for cluster in worst for member in cluster["members"])


def test_rounds_that_do_not_suffice_stop_the_run_until_accepted(crawls: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(recipe_file(tmp_path)), ["old_both.max_rounds=1"])
    inputs = [crawls / "a", crawls / "b"]
    with pytest.raises(WerpError, match="--accept convergence"):
        finished(recipe, inputs, tmp_path / "out")
    finished(recipe, inputs, tmp_path / "out", accept=("convergence",))


def until_killed(recipe: Recipe, crawls: Path, output: Path, met: Path) -> None:
    """The run, killed where it first stores something of a phase, or its end, that `met` does not list."""
    known, rename = set(met.read_text().split()), os.replace

    def replace(source: str | Path, target: str | Path) -> None:
        rename(source, target)
        path = Path(target)
        if "dedup-phases" in path.parts:
            place = f"{path.parent.parent.name}/{path.parent.name}{'/' * (path.name == '_done.json')}"
            if place not in known:
                with met.open("a") as file:
                    file.write(place + "\n")
                os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace  # type: ignore[assignment]
    finished(recipe, [crawls / "a"], output)
    os._exit(0)


def test_a_kill_in_every_phase_of_every_stage_changes_nothing(crawls: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(recipe_file(tmp_path)))
    finished(recipe, [crawls / "a"], tmp_path / "whole")
    broken, met = tmp_path / "broken", tmp_path / "met"
    met.touch()
    for _ in range(80):
        child = multiprocessing.get_context("fork").Process(
            target=until_killed, args=(recipe, crawls, broken, met)
        )
        child.start()
        child.join()
        if child.exitcode != -signal.SIGKILL:
            break
    assert child.exitcode == 0
    kills = set(met.read_text().split())
    for stage, phases in {
        "0-exact.v1": ("keys", "members", "found", "rows/", "stage/"),
        "1-minhash.v1": ("edges", "verified", "round-00", "round-01", "keys", "members", "found", "stage/"),
        "2-substring.v1": ("anchors", "copies", "windows/", "found", "stage/"),
        "3-old_both.v1": ("grams", "judged-00", "seen-00", "round-00/", "found", "stage/"),
    }.items():
        assert {f"{stage}/{phase}" for phase in phases} <= kills
    assert manifest(broken)["content_hash"] == manifest(tmp_path / "whole")["content_hash"]
    assert table(broken, "dedup") == table(tmp_path / "whole", "dedup")


def test_an_earlier_run_needs_a_stage_that_looks_at_it(crawls: Path, tmp_path: Path) -> None:
    files, options = list_inputs([str(crawls / "a")]), Options(earlier=(tmp_path,))
    with pytest.raises(WerpError, match="recipe raw has no stage of deduplication"):
        make_plan(load_recipe("raw"), files, tmp_path / "out", options)
