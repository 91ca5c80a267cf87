"""The text a shard carries: the stored text less what line rules, masking and deduplication took out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.edits import Span, apply_edits, spans_of


def published_texts(batch: pa.RecordBatch, removed: Mapping[str, Sequence[Span]]) -> pa.Array:
    """The texts of a batch of `documents` (columns id, text, removed) after every edit.

    removed: spans that deduplication cut, by document id, in characters of the stored text.
    """
    texts = batch.column("text")
    edited = pc.greater(pc.list_value_length(batch.column("removed")), 0).to_numpy(zero_copy_only=False)
    if not removed and not edited.any():
        return texts
    ids, values, spans = (batch.column(name).to_pylist() for name in ("id", "text", "removed"))
    return pa.array(
        [
            apply_edits(text, [*spans_of(before), *removed.get(name, ())])
            for name, text, before in zip(ids, values, spans, strict=True)
        ],
        pa.string(),
    )


def removed_spans(dedup: Path | None) -> dict[str, list[Span]]:
    """What the stages of deduplication cut out of each document of a unit, in the order of the stages."""
    removed: dict[str, list[Span]] = {}
    if dedup is None:
        return removed
    table = pq.read_table(dedup, columns=["id", "removed"])
    for row in table.filter(pc.greater(pc.list_value_length(table.column("removed")), 0)).to_pylist():
        removed.setdefault(row["id"], []).extend(spans_of(row["removed"]))
    return removed
