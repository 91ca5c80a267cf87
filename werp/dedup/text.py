"""The text that deduplication reads: as the line rules, masking and the stages before left it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from werp.dedup.context import Context, batches_of
from werp.edits import Span, apply_edits, rebase, spans_of
from werp.stages.published import removed_spans


@dataclass(frozen=True)
class Texts:
    """Some documents of a unit: their rows, edited texts, and what the edits were."""

    rows: list[int]
    ids: list[str]
    texts: list[str]
    earlier: list[list[Span]]
    lengths: list[int]

    def stored_spans(self, index: int, spans: Sequence[Span]) -> list[dict[str, object]]:
        """Spans of an edited text as rows of `DEDUP.removed`: in characters of the stored text."""
        moved = rebase(spans, self.earlier[index], self.lengths[index])
        return [span._asdict() for span in moved]


def edited_texts(batch: pa.RecordBatch) -> list[str]:
    """Texts of a batch of `documents` (columns text, removed) after the edits stored with them."""
    texts, removed = batch.column("text").to_pylist(), batch.column("removed").to_pylist()
    return [
        apply_edits(text, spans_of(spans)) if spans else text
        for text, spans in zip(texts, removed, strict=True)
    ]


def candidate_texts(context: Context, unit: int) -> Iterator[Texts]:
    """The documents of a unit that are still in, in batches, in order."""
    flags = context.candidates(unit)
    cut: list[dict[str, list[Span]]] = [removed_spans(path / f"{unit}.parquet") for path in context.before]
    for at, batch in batches_of(context.sources[unit].documents):
        chosen = np.flatnonzero(flags[at : at + batch.num_rows])
        if not len(chosen):
            continue
        part = batch.take(pa.array(chosen))
        ids, stored = part.column("id").to_pylist(), part.column("text").to_pylist()
        earlier = [
            [*spans_of(before), *(span for stage in cut for span in stage.get(name, ()))]
            for name, before in zip(ids, part.column("removed").to_pylist(), strict=True)
        ]
        texts = [apply_edits(text, spans) for text, spans in zip(stored, earlier, strict=True)]
        yield Texts((at + chosen).tolist(), ids, texts, earlier, list(map(len, stored)))
