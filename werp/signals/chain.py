"""The rules of a recipe one after another: each sees the text that the edits before it left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from werp.edits import Span, rebase
from werp.signals.base import EditRule, Rule
from werp.signals.batch import TextBatch

EXTRACTED, EDITED = "extracted", "edited"


def edit(rules: Sequence[Rule], batch: TextBatch) -> list[list[Span]]:
    """All edits of all rules, for each text in the order in which they are made, in its own characters."""
    spans: list[list[Span]] = [[] for _ in batch.texts]
    current = batch
    for rule in rules:
        if not isinstance(rule, EditRule):
            continue
        made = rule.edits(current)
        for text, own, earlier in zip(batch.texts, made, spans, strict=True):
            earlier.extend(rebase(own, earlier, len(text)) if own else ())
        current = current.edited(made)
    return spans


def measure(rules: Sequence[Rule], batch: TextBatch) -> dict[str, pa.Array]:
    """The signal columns of all rules. `batch` holds the texts as extracted."""
    return {name: column for _, _, columns in _walk(rules, batch) for name, column in columns.items()}


def signals_schema(rules: Sequence[Rule]) -> pa.Schema:
    """The signals table's schema: `id`, then the rules' columns in order.

    Each field's metadata names the text stage it is measured on: `extracted`, or `edited` after a line rule.
    """
    fields = [pa.field("id", pa.string())]
    for _, stage, columns in _walk(rules, TextBatch([], [], [])):
        fields += [
            pa.field(name, column.type, metadata={"text_stage": stage}) for name, column in columns.items()
        ]
    return pa.schema(fields, metadata={"werp.table": "signals"})


def _walk(rules: Sequence[Rule], batch: TextBatch) -> Iterator[tuple[Rule, str, dict[str, pa.Array]]]:
    stage = EXTRACTED
    for rule in rules:
        if isinstance(rule, EditRule):
            spans = rule.edits(batch)
            after = batch.edited(spans)
            stage = EDITED
            yield rule, stage, rule.measure_edits(batch, spans, after)
            batch = after
        else:
            yield rule, stage, rule.measure(batch)
