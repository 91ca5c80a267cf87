"""Scores without the items that the training data contains.

A decontamination report names benchmark items found in the text a model was trained on. It is a run
directory of the refinery whose recipe holds `decontaminate.v1` (the items of documents that are in its
shards and were not cut), or a table of the same: a table (Parquet, JSON lines) with the
columns `task` and `item`, or a JSON file {"items": [{"task": ..., "item": ...}]}. Further columns and fields
are ignored; `item` is the id in the per-item tables. Nothing is scored again: the per-item tables hold all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eval_harness.errors import EvalError
from eval_harness.metrics import mean_and_error
from eval_harness.results import Clean, Scores, items_folder, read_items

NEEDED = "a decontamination report has the columns task and item"


def read_run(folder: Path, splits: Mapping[str, str]) -> dict[str, set[str]]:
    """Items that a run's shards hold, by task.

    splits: each task's scored split; `decontaminate.hits` names items `split/id`. Only rows with hits are
    held.
    """
    hits: dict[bytes, list[tuple[str, str]]] = {}
    columns = ["id", "decontaminate.hits", "decontaminate.cuts"]
    files = sorted((folder / "signals").glob("*.parquet"))
    if not files:
        raise EvalError(f"contamination report {folder}: no signals/*.parquet in it; name a finished run")
    for path in files:
        try:
            for batch in pq.ParquetFile(path).iter_batches(columns=columns):
                for row in batch.to_pylist():
                    if row["decontaminate.hits"] and not row["decontaminate.cuts"]:
                        hits[row["id"]] = [(hit["task"], hit["item"]) for hit in row["decontaminate.hits"]]
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise EvalError(
                f"contamination report {path}: no decontaminate.hits in it ({error}); put "
                "decontaminate.v1 into the recipe and refine again from the signals"
            ) from error
    named: dict[str, set[str]] = {}
    for path in sorted((folder / "shards").glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(columns=["id"]):
            for kept in batch.column("id").to_pylist():
                for task, item in hits.get(kept, ()):
                    split, _, name = item.partition("/")
                    if splits.get(task) == split:
                        named.setdefault(task, set()).add(name)
    return named


def read_report(path: Path) -> dict[str, set[str]]:
    """Contaminated item ids by task; EvalError names the file and what it lacks."""
    try:
        if path.suffix == ".parquet":
            rows = pq.read_table(path, columns=["task", "item"]).to_pylist()
        elif path.suffix == ".jsonl":
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        else:
            rows = json.loads(path.read_text("utf-8"))["items"]
        named: dict[str, set[str]] = {}
        for row in rows:
            named.setdefault(row["task"], set()).add(str(row["item"]))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        why = f"{type(error).__name__}: {error}"  # the repr of a decoding error holds the whole file
        raise EvalError(f"contamination report {path}: {NEEDED}: {why}") from error
    return named


def contaminated(report: Path, splits: Mapping[str, str]) -> dict[str, set[str]]:
    """Item ids by task out of a run directory or a table; see the module."""
    return read_run(report, splits) if report.is_dir() else read_report(report)


def with_clean(scores: Scores, output: Path, report: Path) -> Scores:
    """The same scores with each task's accuracy on the items the report does not name.

    Raises EvalError when the report names an item that a task does not have: then it is of other data.
    """
    named = contaminated(report, {name: result.split for name, result in scores.tasks.items()})
    clean = {}
    for name, result in scores.tasks.items():
        table = read_items(items_folder(output) / f"{name}.parquet").to_pylist()
        found = named.get(name, set())
        if result.limit is None:
            unknown = found - {row["item"] for row in table}
            if unknown:
                raise EvalError(
                    f"contamination report {report}: {name} has no item {min(unknown)!r}; "
                    "the report is of other data"
                )
        clean[name] = clean_score(table, found, result.accuracy.accuracy)
    return scores.model_copy(update={"clean": clean, "contamination_report": report.name})


def clean_score(table: list[Mapping[str, Any]], found: set[str], everything: float) -> Clean:
    """The headline accuracy over the items not found."""
    left = [row for row in table if row["item"] not in found]
    if not left:
        raise EvalError("every item of a task is contaminated: no clean subset is left to score")
    value, error = mean_and_error([row["credit"] for row in left], [row["subject"] for row in left])
    return Clean(
        n=len(left),
        contaminated=len(table) - len(left),
        accuracy=value,
        standard_error=error,
        difference=value - everything,
    )
