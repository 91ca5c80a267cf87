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
from werp.signals.chain import measure, signals_schema

_BATCH_ROWS = 256


def write_signals(
    documents: Path, signals: Path, rules: Sequence[Rule], segmenter: str | None, temporary: Path
) -> float:
    """Measure every document once and store the columns, in the documents' order.

    Each column's metadata names the text stage it was measured on: line rules edit the stored text anew as
    the rules go through it. Returns the seconds spent measuring.
    """
    started = time.perf_counter()
    schema = signals_schema(rules)
    with (
        pq.ParquetFile(documents) as source,
        new_file(signals, temporary) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for batch in source.iter_batches(_BATCH_ROWS, columns=["id", "url", "text", "truncated"]):
            writer.write_table(pa.table(_measure(batch, rules, segmenter), schema))
    return time.perf_counter() - started


def _measure(batch: pa.RecordBatch, rules: Sequence[Rule], segmenter: str | None) -> dict[str, pa.Array]:
    ids = batch.column("id").to_pylist()
    urls = [url or "" for url in batch.column("url").to_pylist()]
    truncated = batch.column("truncated").to_pylist()
    texts = TextBatch(ids, urls, batch.column("text").to_pylist(), segmenter, truncated)
    return {"id": batch.column("id"), **measure(rules, texts)}
