"""The clean subset: what a report names is left out, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from eval_harness.adapters.double import Double
from eval_harness.contamination import with_clean
from eval_harness.data import FolderSource
from eval_harness.errors import EvalError
from eval_harness.evaluate import Settings
from eval_harness.results import Scores
from eval_harness.run import run_tasks
from eval_harness.tasks import TASKS


@pytest.fixture
def scored(tmp_path: Path) -> Scores:
    """Twenty items, of which the model knows the first ten."""
    rows = [
        {"split": "test", "id": f"q{i}", "question": f"{i}?", "choices": ["a", "b"], "gold": int(i >= 10)}
        for i in range(20)
    ]
    (tmp_path / "arc_easy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = Double(lambda context, text: -1.0 if text == " a" else -9.0)
    source = FolderSource(tmp_path)
    quiet = Console(quiet=True)
    return run_tasks(model, [TASKS["arc_easy"]], source, Settings(), tmp_path / "s.json", "1", quiet)


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet"])
def test_the_items_a_report_names_are_left_out(scored: Scores, tmp_path: Path, form: str) -> None:
    rows = [{"task": "arc_easy", "item": f"q{i}", "share": 0.9} for i in (0, 1, 2, 3, 15)]
    rows.append({"task": "piqa", "item": "1", "share": 1.0})
    path = tmp_path / f"report.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps({"rule": "13-gram", "items": rows}))
    clean = with_clean(scored, tmp_path / "s.json", path).clean
    assert clean is not None
    assert (clean["arc_easy"].n, clean["arc_easy"].contaminated) == (15, 5)
    assert clean["arc_easy"].accuracy == pytest.approx(6 / 15)
    assert clean["arc_easy"].difference == pytest.approx(6 / 15 - 10 / 20)
    assert scored.tasks["arc_easy"].accuracy.accuracy == 0.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"items": [{"task": "arc_easy", "item": "other"}]}', "arc_easy has no item 'other'"),
        ('{"rows": []}', "has the columns task and item"),
        ('{"items": [{"task": "arc_easy"}]}', "has the columns task and item"),
        ("nonsense", "has the columns task and item"),
        (
            json.dumps({"items": [{"task": "arc_easy", "item": f"q{i}"} for i in range(20)]}),
            "no clean subset is left",
        ),
    ],
)
def test_a_report_of_another_form_or_other_data_is_refused(
    scored: Scores, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(EvalError, match=message):
        with_clean(scored, tmp_path / "s.json", tmp_path / "report.json")
    (tmp_path / "report.json").write_bytes(b"\xff" * 9999)
    with pytest.raises(EvalError, match="UnicodeDecodeError") as told:
        with_clean(scored, tmp_path / "s.json", tmp_path / "report.json")
    assert len(str(told.value)) < 500 + len(str(tmp_path))  # not the file


def test_a_refined_run_is_read_by_its_signals_and_shards(scored: Scores, tmp_path: Path) -> None:
    """Items count where their document is in the shards and nothing of it was cut."""
    hits = [
        [{"task": "arc_easy", "item": "test/q0"}, {"task": "arc_easy", "item": "train/q5"}],
        [{"task": "arc_easy", "item": "test/q1"}],  # dropped
        [{"task": "arc_easy", "item": "test/q2"}],  # cut out
        [{"task": "piqa", "item": "validation/1"}],
        [],
    ]
    ids = [bytes([i]) * 16 for i in range(5)]
    for folder, table in (
        ("signals", {"id": ids, "decontaminate.hits": hits, "decontaminate.cuts": [0, 0, 1, 0, 0]}),
        ("shards", {"id": [ids[0], ids[2], ids[3], ids[4]]}),
    ):
        (tmp_path / "run" / folder).mkdir(parents=True)
        pq.write_table(pa.table(table), tmp_path / "run" / folder / "a.parquet")
    clean = with_clean(scored, tmp_path / "s.json", tmp_path / "run").clean
    assert clean is not None
    assert (clean["arc_easy"].contaminated, clean["arc_easy"].n) == (1, 19)
    assert clean["arc_easy"].accuracy == pytest.approx(9 / 19)
    pq.write_table(pa.table({"id": ids}), tmp_path / "run/signals/a.parquet")
    with pytest.raises(EvalError, match=r"put decontaminate\.v1 into the recipe"):
        with_clean(scored, tmp_path / "s.json", tmp_path / "run")
    with pytest.raises(EvalError, match=r"no signals/\*\.parquet in it"):
        with_clean(scored, tmp_path / "s.json", tmp_path)
