"""Evaluation items as token sequences: what of each is looked for, and what has to stand near it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from werp.decontaminate.tokens import tokenise
from werp.errors import WerpError
from werp.local import refuse_remote
from werp.quality.rows import json_lines, no_item, question_and_answer

EVALUATION_SPLITS = ("validation", "test")
_ASKS = 6  # tokens of the shortest end of a question that can be told from other text
_SENTENCE_END = re.compile(r"[.?!:]\s+|[。？！]\s*|\n+")


class Item(NamedTuple):
    """One item: its name `split/id`, context and question in one, the gold answer ("" where it is inside).

    asks: the end of `question` that asks, without the context or the passage before it; "" means all of it.
    """

    task: str
    name: str
    question: str
    answer: str
    asks: str = ""


def find_benchmarks(named: str | None) -> Path:
    """The folder of benchmarks: the one named, else $WERP_BENCHMARKS, else $WERP_DATA/benchmarks."""
    places = [named, os.environ.get("WERP_BENCHMARKS")]
    if os.environ.get("WERP_DATA"):
        places.append(str(Path(os.environ["WERP_DATA"]) / "benchmarks"))
    for flag, place in zip(
        ("recipe field decontaminate.benchmarks:", "WERP_BENCHMARKS"), places, strict=False
    ):
        refuse_remote(flag, place or "")
    for place in places:
        if place and benchmark_files(Path(place)):
            return Path(place)
        if place and place is named:
            raise WerpError(f"decontaminate.v1.benchmarks: {named} holds no *.jsonl or *.jsonl.gz")
    raise WerpError(
        "decontaminate.v1: no benchmarks found; set decontaminate.benchmarks or WERP_BENCHMARKS to a folder"
        " of JSON lines with task, split, id, context, question, choices, gold"
    )


def benchmark_files(folder: Path) -> list[Path]:
    """The benchmark files of a folder, in the order of their names."""
    found = (path for kind in ("jsonl", "jsonl.gz") for path in folder.glob(f"*.{kind}"))
    return sorted(path for path in found if not path.name.startswith("."))


def folder_hash(folder: Path) -> str:
    """SHA-256 over the files' names and bytes."""
    digest = hashlib.sha256()
    for path in benchmark_files(folder):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def read_items(folder: Path, splits: Sequence[str] = EVALUATION_SPLITS) -> list[Item]:
    """The evaluation items of a folder, in the order of files and lines.

    Raises `WerpError` for a row without one of the fields, naming file and line.
    """
    items = [_item(row, f"{path}:{number}") for path in benchmark_files(folder)
             for number, row in json_lines(path) if row.get("split") in splits]  # fmt: skip
    if not items:
        raise WerpError(f"{folder}: no item of the parts {', '.join(splits)}")
    return items


def _item(row: dict[str, Any], where: str) -> Item:
    try:
        question, answer = question_and_answer(row)
        task, name = str(row["task"]), f"{row['split']}/{row['id']}"
    except (KeyError, TypeError) as error:
        raise WerpError(f"{where}: not an item of a benchmark: {no_item(error)}") from error
    if "_" in question and answer and row["task"] == "winogrande":
        # The published sentence has the answer in its blank; that is what a page would quote.
        question, answer = question.replace("_", answer), ""
    context = row.get("context")
    asks = question if context else _last_sentence(question)
    return Item(task, name, f"{context} {question}" if context else question, answer, asks)


def _last_sentence(question: str) -> str:
    """The last sentence of a question, with those before it until it has six words or ten characters alone.

    A passage is often part of the question; who quotes the passage does not ask.
    """
    begins = [0, *(found.end() for found in _SENTENCE_END.finditer(question))]
    for begin in reversed(begins):
        if len(tokenise([question[begin:]])[0]) >= _ASKS:
            return question[begin:]
    return question
