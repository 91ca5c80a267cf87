"""Stage measure: one `documents` table into its `signals` table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from werp.clock import PAGE_SECONDS, Failure, in_turn
from werp.rundir import new_file
from werp.signals.base import Rule
from werp.signals.batch import TextBatch
from werp.signals.chain import measure, signals_schema, warm_up

_BATCH_ROWS = 256
_COLUMNS = ["id", "url", "text", "truncated", "failure"]


def write_signals(
    documents: Path,
    signals: Path,
    rules: Sequence[Rule],
    segmenter: str | None,
    temporary: Path,
    page_seconds: float = PAGE_SECONDS,
) -> float:
    """Measure every document once and store the columns, in the documents' order.

    Each column's metadata names the text stage it was measured on: line rules edit the stored text anew as
    the rules go through it. A document that a rule fails on has `failure` and no signals. Returns the seconds
    spent measuring.
    """
    started = time.perf_counter()
    schema = signals_schema(rules)
    warm_up(rules, segmenter)

    def work(some: Sequence[dict[str, Any]]) -> pa.Table:
        ids, urls, texts = ([row[name] or "" for row in some] for name in ("id", "url", "text"))
        truncated = [row["truncated"] for row in some]
        columns = measure(rules, TextBatch(ids, urls, texts, segmenter, truncated))
        return pa.table({"id": ids, "failure": pa.nulls(len(ids)), **columns}, schema)

    with (
        pq.ParquetFile(documents) as source,
        new_file(signals, temporary) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for batch in source.iter_batches(_BATCH_ROWS, columns=_COLUMNS):
            for table in _measured(batch.to_pylist(), work, schema, page_seconds):
                writer.write_table(table)
    return time.perf_counter() - started


def _measured(
    rows: list[dict[str, Any]],
    work: Callable[[Sequence[dict[str, Any]]], pa.Table],
    schema: pa.Schema,
    seconds: float,
) -> Iterator[pa.Table]:
    """The rows' signals in one table, or, where one of them fails, row by row."""
    failed_before = any(row["failure"] for row in rows)
    for group in [[row] for row in rows] if failed_before else [rows]:
        if group[0]["failure"]:  # by a line rule
            yield _nothing(group[0]["id"], group[0]["failure"], schema)
            continue
        for some, found in in_turn(group, work, "filter", "signals", seconds):
            yield _nothing(some[0]["id"], found._asdict(), schema) if isinstance(found, Failure) else found


def _nothing(document: str, failure: dict[str, Any], schema: pa.Schema) -> pa.Table:
    """The row of a document that has no signals."""
    return pa.Table.from_pylist([{"id": document, "failure": failure}], schema)
