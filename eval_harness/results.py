"""The form of scores.json, typed, and of the per-item tables beside it.

scores.json                     Scores
scores.items/<task>.parquet     one row an item: ITEMS
scores.items/<task>.json        TaskResult, by which a stopped run goes on
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval_harness.errors import EvalError
from eval_harness.metrics import combine
from eval_harness.task import Category, Form, Normalisation

SCHEMA = "eval_harness.scores.v2"
CATEGORIES: dict[str, tuple[str, ...]] = {
    "world_knowledge": ("mmlu", "arc_easy", "arc_challenge"),
    "language_understanding": ("hellaswag", "winogrande"),
    "commonsense_reasoning": ("piqa", "socialiqa", "commonsenseqa", "openbookqa"),
}
ITEMS = pa.schema(
    [
        ("item", pa.string()),
        ("subject", pa.string()),
        ("gold", pa.int32()),
        ("log_p", pa.list_(pa.float64())),
        ("log_p_unconditional", pa.list_(pa.float64())),
        ("tokens", pa.list_(pa.int32())),
        ("characters", pa.list_(pa.int32())),
        ("bytes", pa.list_(pa.int32())),
        ("shots", pa.int32()),
        ("length", pa.int32()),
        ("credit", pa.float64()),
        ("prompt_sha256", pa.string()),
    ]
)


class _Typed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(_Typed):
    """A mean over items (for MMLU over subjects) and its standard error; None where it can't be had."""

    value: float
    standard_error: float | None


class Accuracy(_Typed):
    """An accuracy; `ties` is the number of items whose best value was shared, their credit split."""

    accuracy: float
    standard_error: float | None
    ties: int


class TaskResult(_Typed):
    """All that is reported of a task.

    key: hash of model, task version, prompts and settings; equal keys, equal result.
    n: items. requests: (context, continuation) pairs, the unconditional ones among them.
    shots: asked for. shots_dropped: items that had fewer because the window was too small.
    beyond_window: items whose prompt without demonstrations was longer than the model's window.
    tokens: through the model. tokens_naive: what scoring every request apart would take.
    prompt_sha256: over every context and continuation in order: equal hashes, equal questions asked.
    """

    task: str
    version: int
    category: Category
    split: str
    source: str
    form: Form
    shots: int
    limit: int | None
    n: int
    requests: int
    chance: float
    primary: Normalisation
    scores: dict[Normalisation, Accuracy]
    probabilities: dict[str, dict[str, Estimate]]
    bits_per_byte: Estimate
    subjects: dict[str, float] | None
    near_chance: bool
    shots_dropped: int
    beyond_window: int
    longest: int | None
    tokens: int | None
    tokens_naive: int | None
    seconds: float
    prompt_sha256: str
    key: str

    @property
    def accuracy(self) -> Accuracy:
        """The headline one."""
        return self.scores[self.primary]


class Clean(_Typed):
    """A task's headline accuracy on the items that a decontamination report does not name."""

    n: int
    contaminated: int
    accuracy: float
    standard_error: float | None
    difference: float = Field(description="clean minus all")


class Scores(_Typed):
    """scores.json."""

    schema_: Literal["eval_harness.scores.v2"] = Field("eval_harness.scores.v2", alias="schema")
    version: str
    model: dict[str, Any]
    tasks: dict[str, TaskResult]
    averages: dict[str, Estimate | None]
    clean: dict[str, Clean] | None = None
    contamination_report: str | None = None

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def averages(tasks: Mapping[str, TaskResult]) -> dict[str, Estimate | None]:
    """The three category averages and the mean over the nine; None where a task of them was not run."""
    groups = {**CATEGORIES, "macro": tuple(name for names in CATEGORIES.values() for name in names)}
    found: dict[str, Estimate | None] = {}
    for group, names in groups.items():
        if any(name not in tasks for name in names):
            found[group] = None
            continue
        parts = {n: (tasks[n].accuracy.accuracy, tasks[n].accuracy.standard_error) for n in names}
        value, error = combine(parts)
        found[group] = Estimate(value=value, standard_error=error)
    return found


def items_folder(scores: Path) -> Path:
    """Where the per-item tables of a scores file lie."""
    return beside(scores, ".items")


def beside(output: Path, ending: str) -> Path:
    """The file or folder that goes with a JSON file: its name with another ending.

    Only `.json` is taken off: of `run.seed1` and `run.seed2` one would replace the other's.
    """
    return output.with_name(output.name.removesuffix(".json") + ending)


def write_items(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a per-item table, whole, through a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(pa.Table.from_pylist(list(rows), schema=ITEMS), partial, compression="zstd")
    os.replace(partial, path)


def read_items(path: Path) -> pa.Table:
    """A per-item table; EvalError when it is missing or of another form."""
    try:
        return pq.read_table(path, schema=ITEMS)
    except (OSError, pa.ArrowInvalid) as error:
        raise EvalError(f"{path}: no per-item table ({error}); run the task again") from error


def refuse_output(path: Path) -> None:
    """EvalError where results can't be written, before hours of work are spent on them."""
    if path.is_dir():
        raise EvalError(f"--output {path}: is a folder; name a file in it, as scores.json")
    if path.exists() and not (path.is_file() and is_result(path)):
        raise EvalError(f"--output {path}: exists and is no result of this command; name another file")
    if path.suffix == ".png":
        raise EvalError(f"--output {path}: the picture gets that name; name the JSON file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvalError(f"--output {path}: {path.parent} can't be made ({error.strerror})") from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise EvalError(f"--output {path}: {path.parent} can't be written to")


def is_result(path: Path) -> bool:
    """Whether a file is one that may be replaced: what the evaluator wrote says so."""
    try:
        written = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(written, dict) and str(written.get("schema")).startswith("eval_harness.")


def write_text(path: Path, text: str) -> None:
    """Write a file whole, through a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, "utf-8")
    os.replace(partial, path)


def read_scores(path: Path) -> Scores:
    """A scores file; EvalError names the file, the field and the remedy."""
    try:
        return Scores.model_validate_json(path.read_text("utf-8"))
    except OSError as error:
        raise EvalError(f"{path}: {error.strerror}; python -m eval_harness run writes it") from error
    except UnicodeDecodeError as error:
        raise EvalError(f"{path}: not a {SCHEMA} file ({error}); name the JSON that run wrote") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise EvalError(
            f"{path}: {where}: {first['msg']}; not a {SCHEMA} file, score the model again"
        ) from error


def digest(*parts: object) -> str:
    """SHA-256 over the text of the parts, each on a line of its own."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
