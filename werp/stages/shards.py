"""Stage write: the kept documents of a run into shards, in the order of (input name, offset)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.recipe import ShardOptions
from werp.rundir import new_file
from werp.stages.published import published_texts, removed_spans
from werp.tables import KEPT, SHARD


@dataclass(frozen=True)
class Sources:
    """The tables of one input file that a shard is written from, and its kept bytes of text."""

    records: Path
    documents: Path
    signals: Path
    ledger: Path
    dedup: Path | None
    kept_bytes: int


def plan_shards(kept_bytes: Sequence[int], target: int) -> list[list[int]]:
    """Groups of consecutive units, each closed at the unit with which it reaches `target` bytes.

    A function of the data alone, so that shards are the same however the run was cut. A group
    of one huge unit becomes several files, see `write_group`.

    >>> plan_shards([5, 0, 6, 30, 1], 10)
    [[0, 1, 2], [3], [4]]
    """
    groups: list[list[int]] = []
    group: list[int] = []
    held = 0
    for index, size in enumerate(kept_bytes):
        if group and size >= target and held:  # a unit that fills shards alone starts its own
            groups.append(group)
            group, held = [], 0
        group.append(index)
        held += size
        if held >= target:
            groups.append(group)
            group, held = [], 0
    if held:
        groups.append(group)
    return groups


def write_group(
    number: int,
    sources: Sequence[Sources],
    folder: Path,
    options: ShardOptions,
    scores: Sequence[str],
    temporary: Path,
) -> list[str]:
    """Write one group's shards, `part-<group>-<n>`; returns their names. A file already there is kept.

    A shard is closed at the document with which its text reaches `options.target_mb`.

    scores: signals that become columns, `quality.betr` as `quality_betr`.
    """
    names: list[str] = []
    schema = shard_schema(scores)
    batches = (batch for source in sources for batch in _kept(source, scores, schema))
    for part, shard in enumerate(_cut(batches, options.target_mb << 20)):
        name = f"part-{number:05d}-{part:03d}.{options.format}"
        if not (folder / name).exists():
            with new_file(folder / name, temporary) as partial:
                _write(shard, schema, partial, options.format)
        else:
            for _ in shard:  # the next shard begins where this one ends
                pass
        names.append(name)
    return names


def _cut(batches: Iterator[pa.RecordBatch], target: int) -> Iterator[Iterator[pa.RecordBatch]]:
    """Cut a stream of batches into streams of about `target` bytes of text each."""
    left: list[pa.RecordBatch] = []

    def shard() -> Iterator[pa.RecordBatch]:
        held = 0
        while held < target:
            batch = left.pop() if left else next(batches, None)
            if batch is None:
                return
            sizes = pc.cumulative_sum(pc.binary_length(batch.column("text")).cast(pa.int64())).to_pylist()
            fits = next((i + 1 for i, size in enumerate(sizes) if held + size >= target), batch.num_rows)
            if fits < batch.num_rows:
                left.append(batch.slice(fits))
            held += sizes[fits - 1]
            yield batch.slice(0, fits)

    while True:
        if not left:
            first = next(batches, None)
            if first is None:
                return
            left.append(first)
        yield shard()


def shard_schema(scores: Sequence[str]) -> pa.Schema:
    """The shards' schema with the recipe's scores (float64)."""
    fields = [*SHARD, *(pa.field(name.replace(".", "_"), pa.float64()) for name in scores)]
    return pa.schema(fields, metadata=SHARD.metadata)


def _write(batches: Iterator[pa.RecordBatch], schema: pa.Schema, path: Path, kind: str) -> None:
    with ExitStack() as stack:
        if kind == "parquet":
            writer: Any = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
        else:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            writer = stack.enter_context(pa.ipc.new_file(str(path), schema, options=options))
        for batch in batches:
            writer.write_batch(batch)


def _kept(source: Sources, scores: Sequence[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The kept rows of one input file as shard rows, in its order."""
    if not source.kept_bytes:
        return
    records = pq.read_table(
        source.records, columns=["id", "date", "crawl", "outcome", "warc_file", "warc_offset"]
    )
    outcome = pq.read_table(source.ledger, columns=["outcome"]).column("outcome")
    is_document = pc.is_null(records.column("outcome"))
    facts = records.filter(is_document).combine_chunks()
    kept = pc.equal(outcome, KEPT).filter(is_document).combine_chunks()
    names = pq.read_schema(source.signals).names
    wanted = [name for name in ("language.label", "language.score") if name in names]
    signals = pq.read_table(source.signals, columns=[*wanted, *scores]).combine_chunks()
    removed = removed_spans(source.dedup)
    at = 0
    with pq.ParquetFile(source.documents) as documents:
        for batch in documents.iter_batches(1024, columns=["id", "url", "text", "removed"]):
            rows = slice(at, at + batch.num_rows)
            at += batch.num_rows
            mask = kept[rows]
            columns = {"id": batch.column("id"), "url": batch.column("url")}
            columns["text"] = published_texts(batch, removed)
            for name in ("crawl", "warc_file", "warc_offset", "date"):
                columns[name] = _column(facts, name)[rows]
            empty = pa.nulls(batch.num_rows, pa.string())
            columns["language"] = _column(signals, "language.label")[rows] if wanted else empty
            columns["language_score"] = (
                _column(signals, "language.score")[rows] if wanted else pa.nulls(batch.num_rows, pa.float64())
            )
            for name in scores:
                columns[name.replace(".", "_")] = _column(signals, name)[rows]
            shard = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
            shard = shard.filter(mask)
            if shard.num_rows:
                yield shard


def _column(table: pa.Table, name: str) -> pa.Array:
    chunked = table.column(name)
    return chunked.chunk(0) if chunked.num_chunks else pa.array([], chunked.type)
