"""Stage measure: one `documents` table into its `signals` table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from werp.rundir import new_file
from werp.signals.base import Rule
from werp.signals.batch import TextBatch

_BATCH_ROWS = 256


def write_signals(documents: Path, signals: Path, rules: Sequence[Rule], temporary: Path) -> float:
    """Measure every document once and store the columns, in the documents' order.

    Each column's metadata names the text stage it was measured on. Returns the seconds spent
    measuring.
    """
    started = time.perf_counter()
    schema = signals_schema(rules)
    with (
        pq.ParquetFile(documents) as source,
        new_file(signals, temporary) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for batch in source.iter_batches(_BATCH_ROWS, columns=["id", "url", "text"]):
            writer.write_table(pa.table(_measure(batch, rules), schema))
    return time.perf_counter() - started


def signals_schema(rules: Sequence[Rule]) -> pa.Schema:
    """The signals table's schema for these rules: `id`, then their columns in order."""
    fields = [pa.field("id", pa.string())]
    for rule in rules:
        for name, column in rule.measure(TextBatch([], [], [])).items():
            fields.append(pa.field(name, column.type, metadata={"text_stage": rule.text_stage}))
    return pa.schema(fields, metadata={"werp.table": "signals"})


def _measure(batch: pa.RecordBatch, rules: Sequence[Rule]) -> dict[str, pa.Array]:
    ids = batch.column("id").to_pylist()
    urls = [url or "" for url in batch.column("url").to_pylist()]
    texts = TextBatch(ids, urls, batch.column("text").to_pylist())
    columns: dict[str, pa.Array] = {"id": batch.column("id")}
    for rule in rules:
        columns.update(rule.measure(texts))
    return columns
