"""Rows that a classifier learns from, read from files, run directories and benchmarks.

Each row belongs to a group: the book, repository or site it is of. Splits never cut a group.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from werp.errors import WerpError, nearest
from werp.quality.spec import Source, filled_in
from werp.read.records import Damage
from werp.read.rows import Kind, is_rows, is_rows_in_folder, refusal, rows, text_of

#: Parts of a benchmark that may be learnt from. Validation and test items may not.
TARGET_SPLITS = ("train", "dev", "fewshot")


class Row(NamedTuple):
    """A text, the group it belongs to, and its name: `id` for a benchmark's item, else `<file>:<number>`."""

    text: str
    group: str
    name: str
    url: str | None = None


def read_source(source: Source) -> list[Row]:
    """The rows of a source, blank ones left out, in an order by content where limited.

    Raises `WerpError` for a path without files, a missing field, a broken line, an evaluation item.
    """
    rows = [_encodable(row) for row in _READERS[source.kind](source) if row.text.strip()]
    if not rows:
        raise WerpError(f"{source.path}: no row with text (kind {source.kind}, where {dict(source.where)})")
    if source.max_chars:
        rows = [row._replace(text=beginning(row.text, source.max_chars)) for row in rows]
    if source.limit is not None and len(rows) > source.limit:
        rows = sorted(rows, key=lambda row: (rank(row.text), row.name))[: source.limit]
    return rows


def _encodable(row: Row) -> Row:
    """The row without lone surrogates, which JSON can write and UTF-8, so no file of ours, can't."""
    if all(value is None or value.isascii() for value in row):
        return row
    return Row._make(value and value.encode("utf-8", "replace").decode("utf-8") for value in row)


def rank(text: str, seed: int = 0) -> str:
    """A number for a text that orders a sample: SHA-256 of seed and text, as hex."""
    return hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "replace")).hexdigest()


def beginning(text: str, most: int) -> str:
    """The first `most` characters of a text, to the last line end past their half if there is one."""
    if len(text) <= most:
        return text
    cut = text.rfind("\n", most // 2, most)
    return text[: cut if cut > 0 else most]


def refuse_evaluation(task: str, split: str, name: str, where: str) -> None:
    """Raise `WerpError` for an item of a benchmark that may only be measured with."""
    if split not in TARGET_SPLITS:
        raise WerpError(
            f"{where}: item {task}/{split}/{name} is evaluation data; targets are rows of"
            f" {', '.join(TARGET_SPLITS)} alone. Set `where: {{split: [train, dev]}}`"
        )


def question_and_answer(item: dict[str, Any]) -> tuple[str, str]:
    """A benchmark item's question and gold answer; KeyError or TypeError where it has none.

    A gold of -1, as hidden labels are published, would be the last choice to Python.
    """
    question, choices, gold = item["question"], item["choices"], item["gold"]
    if not isinstance(question, str):
        raise TypeError(f"question is no text, but {question!r:.80}")
    if not isinstance(choices, list):
        raise TypeError(f"choices is no list, but {choices!r:.80}")
    if type(gold) is not int or not 0 <= gold < len(choices):
        raise TypeError(f"gold is {gold!r:.80}, not the place of one of the {len(choices)} choices, from 0")
    return question, str(choices[gold])


def no_item(error: KeyError | TypeError) -> str:
    """What `question_and_answer` found wrong, in words."""
    return f"no field {error}" if isinstance(error, KeyError) else str(error)


def item_text(item: dict[str, Any]) -> str:
    """A benchmark item as one text: context, question, gold answer (a blank `_` is filled with it)."""
    question, answer = question_and_answer(item)
    parts = [item.get("context") or ""]
    parts += [question.replace("_", answer)] if "_" in question else [question, answer]
    return "\n".join(part for part in parts if part)


def files_of(source: Source) -> list[Path]:
    """The files of a source in the order of their names."""
    path = filled_in(source.path)
    if Path(path).is_file():  # whatever brackets its name has
        found = [Path(path)]
    elif Path(path).is_dir():
        found = sorted(file for file in Path(path).rglob("*") if file.is_file())
        if source.kind in ("jsonl", "parquet"):  # a saved data set's descriptions and caches are no rows
            shown = [f for f in found if not any(p.startswith(".") for p in f.relative_to(path).parts)]
            found = [file for file in shown if is_rows_in_folder(file)] or shown
    else:
        found = sorted(map(Path, glob.glob(path, recursive=True)))
    if not found:
        raise WerpError(f"{path}: no such file; check the path and its ${{VARIABLES}}")
    return found


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a JSON-lines file; `WerpError` names a line that is none."""
    return _whole(path, None if is_rows(path) else "lines")


def _whole(path: Path, kind: Kind | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, row) of a file, each whole; `WerpError` names the place where there is none."""
    try:
        for _, number, row in rows(path, kind=kind):
            if isinstance(row, Damage):
                raise WerpError(refusal(path, f"{path}:{number}", row))
            yield number, row
    except OSError as error:
        raise WerpError(f"{path}: can't be read: {error.strerror}; name another file") from error


def _table(source: Source) -> Iterator[Row]:
    """Kinds jsonl and parquet: a file is read as its name says, and as its kind where that says nothing."""
    kind: Kind = "parquet" if source.kind == "parquet" else "lines"
    for path in files_of(source):
        yield from _rows(source, path, _whole(path, None if is_rows(path) else kind))


def _text(source: Source) -> Iterator[Row]:
    for path in files_of(source):
        yield Row(text_of(path).replace("\r\n", "\n").replace("\r", "\n"), path.stem, path.name)


def _run(source: Source) -> Iterator[Row]:
    folder, manifest = finished_run(source)
    for name in manifest["files"]["shards"]:
        yield from _rows(source, folder / "shards" / name, _whole(folder / "shards" / name, None))


def _dropped(source: Source) -> Iterator[Row]:
    """Documents in a language of the recipe that its heuristic rules dropped."""
    folder, manifest = finished_run(source)
    for name in manifest["files"]["documents"]:
        ledger = pq.read_table(folder / "ledger" / name, columns=["id", "stage", "outcome"]).to_pylist()
        dropped = {row["id"] for row in ledger if row["outcome"] == "dropped" and row["stage"] == "filter"}
        with pq.ParquetFile(folder / "documents" / name) as file:
            for batch in file.iter_batches(1024, columns=["id", "url", "text"]):
                rows = ((0, row) for row in batch.to_pylist() if row["id"] in dropped)
                yield from _rows(source, folder / "documents" / name, rows)


def _benchmark(source: Source) -> Iterator[Row]:
    wanted = source.where.get("split", TARGET_SPLITS)
    for split in wanted:
        refuse_evaluation(source.path, split, "*", "where.split")
    for path in files_of(source):
        for number, item in json_lines(path):
            if item.get("split") not in wanted:
                continue
            refuse_evaluation(
                str(item.get("task")), str(item["split"]), str(item.get("id")), f"{path}:{number}"
            )
            try:
                name = f"{item['task']}/{item['split']}/{item['id']}"
                yield Row(item_text(item), str(item["task"]), name)
            except (KeyError, TypeError) as error:
                raise WerpError(f"{path}:{number}: not an item of a benchmark: {no_item(error)}") from error


_READERS: dict[str, Callable[[Source], Iterator[Row]]] = {
    "jsonl": _table, "parquet": _table, "text": _text, "run": _run, "dropped": _dropped,
    "benchmark": _benchmark,
}  # fmt: skip


def finished_run(source: Source) -> tuple[Path, dict[str, Any]]:
    """The folder of a finished run and its manifest; `WerpError` where it is none, or has lost files."""
    from werp.finished import open_run  # noqa: PLC0415  (it knows recipes, whose rules read rows)

    folder = Path(filled_in(source.path))
    return folder, open_run(folder, f"kind {source.kind}, path").manifest


def _rows(source: Source, path: Path, items: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Row]:
    for number, item in items:
        if any(str(item.get(field)) not in values for field, values in source.where.items()):
            continue
        if item.get("split") in ("validation", "test") and {"task", "choices", "gold"} <= item.keys():
            refuse_evaluation(str(item["task"]), item["split"], str(item.get("id")), f"{path}:{number}")
        missing = [field for field in source.text if field not in item]
        if missing:
            raise WerpError(f"{path}:{number}: no field {missing[0]!r}{nearest(missing[0], item)}")
        for field in source.text:
            if isinstance(item[field], list | dict):
                kind = type(item[field]).__name__
                raise WerpError(f"{path}:{number}: field {field!r} holds a {kind}, not a text")
        try:
            values = [v.decode() if isinstance(v := item[field], bytes) else v for field in source.text]
        except UnicodeDecodeError as error:
            raise WerpError(f"{path}:{number}: not UTF-8 text: {error}; mend the row") from error
        text = "\n\n".join(str(value) for value in values if value)
        url, name = item.get("url"), f"{path.name}:{item.get('id') or number}"
        yield Row(text, _group(source, item, path), name, str(url) if url else None)


def _group(source: Source, item: dict[str, Any], path: Path) -> str:
    field = source.group or next((f for f in ("repo", "source", "url") if item.get(f)), None)
    if source.group and not item.get(source.group):
        raise WerpError(f"{path}: a row has no {source.group!r}, which `group` names")
    value = str(item[field]) if field else path.name
    if field == "url":
        try:
            value = (urlsplit(value).hostname or value).removeprefix("www.")
        except ValueError:  # e.g. a broken IPv6 address
            return value
    elif source.group_parts:
        value = "/".join(value.split("/")[: source.group_parts])
    return value
