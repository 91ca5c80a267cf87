"""Stage decide: records, signals and duplicates of one input file into its `ledger`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.decide import decide, text_of
from werp.edits import Span
from werp.quality.cuts import rejected
from werp.recipe import Recipe
from werp.rundir import new_file
from werp.stages.published import published_texts, removed_spans
from werp.tables import DROPPED, KEPT, LEDGER

_CONTENT_BITS = 1 << 128
_ROWS = 256  # of a table held at a time
#: Ledger columns that show what a stage of deduplication compared.
_SAID = {"value": "similarity", "threshold": "threshold"}


@dataclass
class Verdicts:
    """What a unit adds to the run: counts, content sum and the bytes of text it keeps.

    outcomes: `[outcome, stage, rule]` joined by tabs -> rows.
    contamination: benchmark -> documents that hold one of its items, and those of them that are kept.
    """

    rows: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    content_sum: str = "0"
    kept_bytes: int = 0
    contamination: dict[str, list[int]] = field(default_factory=dict)


def read_verdicts(ledger: Path) -> Verdicts:
    """The `Verdicts` stored in a ledger file's metadata."""
    metadata = pq.read_metadata(ledger).metadata or {}
    return Verdicts(**json.loads(metadata[b"werp.verdicts"]))


class _Judged(NamedTuple):
    """What deciding says of one document; `drop` holds the ledger's columns, empty where it is kept.

    sha256, size: of the text that a shard would carry. tasks: benchmarks of which it holds an item.
    """

    id: str
    sha256: str
    size: int
    language: str | None
    drop: dict[str, Any]
    tasks: set[str]


def write_ledger(
    records: Path,
    documents: Path,
    signals: Path,
    dedup: Path | None,
    ledger: Path,
    recipe: Recipe,
    settled: dict[str, Any],
    temporary: Path,
) -> Verdicts:
    """Give every record of one input file its verdict, and store the ledger.

    dedup: the unit's file of what deduplication found; None where the recipe has no such stage.
    settled: what `werp.quality.cuts.cuts_of` found over the whole run.
    Memory: some thousand rows of each table at a time, and the unit's rows of `dedup`.
    Raises `ValueError` when the tables do not belong together (a document without signals).
    """
    summary = Verdicts()
    counts: Counter[str] = Counter()
    content = 0
    judged = _judged(documents, signals, dedup, recipe, settled)

    def settle(row: dict[str, Any]) -> dict[str, Any]:
        nonlocal content
        document = None
        if row["outcome"] is None:
            document = next(judged, None)
            if document is None or document.id != row["id"]:
                raise ValueError(f"{documents}: not the documents of {records}; remove both and run again")
            row.update(document.drop or {"outcome": KEPT}, text_bytes=document.size)
            _count(summary, document)
        content += _row_hash(row, document)
        counts["\t".join([row["outcome"], row["stage"] or "", row["rule"] or ""])] += 1
        return {name: row.get(name) for name in LEDGER.names}

    with (
        new_file(ledger, temporary) as partial,
        pq.ParquetFile(records) as source,
        pq.ParquetWriter(partial, LEDGER, compression="zstd") as writer,
    ):
        for batch in source.iter_batches(_ROWS):
            rows = [settle(row) for row in batch.to_pylist()]
            summary.rows += len(rows)
            writer.write_table(pa.Table.from_pylist(rows, LEDGER))
        if next(judged, None) is not None:
            raise ValueError(f"{documents}: more documents than {records} has; remove both and run again")
        summary.outcomes = dict(sorted(counts.items()))
        summary.content_sum = str(content % _CONTENT_BITS)
        summary.contamination = dict(sorted(summary.contamination.items()))
        writer.add_key_value_metadata({"werp.verdicts": json.dumps(summary.__dict__)})
    return summary


def _count(summary: Verdicts, document: _Judged) -> None:
    kept = not document.drop
    summary.kept_bytes += document.size if kept else 0
    for task in document.tasks:
        hits = summary.contamination.setdefault(task, [0, 0])
        hits[0] += 1
        hits[1] += kept


def _judged(
    documents: Path, signals: Path, dedup: Path | None, recipe: Recipe, settled: dict[str, Any]
) -> Iterator[_Judged]:
    """Every document of a unit in order: the first of rules, deduplication and quality that drops it does."""
    dropped, removed = _dropped(dedup), removed_spans(dedup)
    with pq.ParquetFile(documents) as texts, pq.ParquetFile(signals) as source:
        measured = _Rows(source)
        for batch in texts.iter_batches(_ROWS, columns=["id", "text", "removed", "text_sha256"]):
            part = measured.take(batch.num_rows)
            names: list[str] = batch.column("id").to_pylist()
            if part.column("id").to_pylist() != names:
                raise ValueError(
                    f"{signals}: its rows are not those of {documents}; remove both and run again"
                )
            drops = _drops(part, names, dropped, recipe, settled)
            shas, sizes = _published(batch, removed)
            yield from map(_Judged, names, shas, sizes, _languages(part), drops, _tasks(part))


class _Rows:
    """A table read forward by numbers of rows, whatever its row groups are."""

    def __init__(self, source: pq.ParquetFile) -> None:
        self._batches = source.iter_batches(_ROWS)
        self._waiting = source.schema_arrow.empty_table()

    def take(self, count: int) -> pa.Table:
        """The next `count` rows, or as many as are left."""
        while self._waiting.num_rows < count and (batch := next(self._batches, None)) is not None:
            self._waiting = pa.concat_tables([self._waiting, pa.Table.from_batches([batch])])
        taken, self._waiting = self._waiting.slice(0, count), self._waiting.slice(count)
        return taken


def _drops(
    measured: pa.Table,
    names: list[str],
    dropped: dict[str, dict[str, Any]],
    recipe: Recipe,
    settled: dict[str, Any],
) -> list[dict[str, Any]]:
    ruled = decide(measured, recipe.rules).to_pylist()
    poor = rejected(measured, recipe.quality, settled) if recipe.quality else None
    drops: list[dict[str, Any]] = []
    for index, (name, verdict) in enumerate(zip(names, ruled, strict=True)):
        if verdict["stage"] is not None:
            drops.append(verdict)
        elif name in dropped:
            drops.append({"outcome": DROPPED, "stage": "dedup", **dropped[name]})
        elif poor is not None and poor.rule[index] is not None:
            compared = {"value": text_of(poor.value[index]), "threshold": text_of(poor.threshold[index])}
            drops.append({"outcome": DROPPED, "stage": "quality", "rule": poor.rule[index], **compared})
        else:
            drops.append({})
    return drops


def _languages(measured: pa.Table) -> list[str | None]:
    if "language.label" not in measured.column_names:
        return [None] * measured.num_rows
    labels: list[str | None] = measured.column("language.label").to_pylist()
    return labels


def _tasks(measured: pa.Table) -> list[set[str]]:
    """Of each document the benchmarks that `decontaminate.v1` found in it."""
    if "decontaminate.hits" not in measured.column_names:
        return [set() for _ in range(measured.num_rows)]
    hits = measured.column("decontaminate.hits").to_pylist()
    return [{hit["task"] for hit in found or ()} for found in hits]


def _dropped(dedup: Path | None) -> dict[str, dict[str, Any]]:
    """The ledger columns of the documents that deduplication drops; the first stage that does decides."""
    dropped: dict[str, dict[str, Any]] = {}
    if dedup is None:
        return dropped
    table = pq.read_table(dedup, columns=["id", "rule", "survivor_id", "similarity", "threshold", "dropped"])
    for row in table.filter(table.column("dropped")).to_pylist():
        columns = {"rule": row["rule"], "survivor_id": row["survivor_id"]}
        columns |= {name: text_of(row[column]) for name, column in _SAID.items()}
        dropped.setdefault(row["id"], columns)
    return dropped


def _published(batch: pa.RecordBatch, removed: dict[str, list[Span]]) -> tuple[list[str], list[int]]:
    """Of each document of a batch, SHA-256 and bytes of the text that a shard would carry.

    The stored hash is that of the text after line rules; what deduplication cut is not in it.
    """
    texts = published_texts(batch, removed)
    shas: list[str] = batch.column("text_sha256").to_pylist()
    for index, name in enumerate(batch.column("id").to_pylist()):
        if name in removed:
            shas[index] = hashlib.sha256(texts[index].as_py().encode()).hexdigest()
    return shas, pc.binary_length(texts).to_pylist()


def _row_hash(row: dict[str, Any], document: _Judged | None) -> int:
    """128 bits over what a ledger row says of content: no paths, floats or timings."""
    language, sha256 = (document.language, document.sha256) if document else (None, None)
    content = [row["url"], row["date"], language, sha256, row["outcome"], row["stage"], row["rule"]]
    return int.from_bytes(hashlib.sha256(json.dumps(content).encode()).digest()[:16], "big")
