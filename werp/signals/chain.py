"""The rules of a recipe one after another: each sees the text that the edits before it left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from werp.clock import step
from werp.edits import Span, rebase
from werp.signals.base import EditRule, Rule
from werp.signals.batch import TextBatch
from werp.tables import FAILURE

EXTRACTED, EDITED = "extracted", "edited"
_PAGE = "Two words or more, and a sentence. 日本語の文。"


def warm_up(rules: Sequence[Rule], segmenter: str | None) -> None:
    """Load models, lists and compiled loops before a page is timed.

    Rules of the package see a page of a few words, a person's own functions a batch of none.
    """
    page, none = TextBatch(["0" * 32], ["https://example.org/"], [_PAGE], segmenter), TextBatch([], [], [])
    for rule in rules:
        for _ in _walk([rule], none if rule.calls_own_functions else page):
            pass


def edit(rules: Sequence[Rule], batch: TextBatch) -> list[list[Span]]:
    """All edits of all rules, for each text in the order in which they are made, in its own characters.

    Raises `werp.clock.PageError`, which names the rule, for whatever a rule raises but `WerpError`.
    """
    spans: list[list[Span]] = [[] for _ in batch.texts]
    current = batch
    for rule in rules:
        if not isinstance(rule, EditRule):
            continue
        with step(rule.stage, rule.name):
            made = rule.edits(current)
            for text, own, earlier in zip(batch.texts, made, spans, strict=True):
                earlier.extend(rebase(own, earlier, len(text)) if own else ())
            current = current.edited(made)
    return spans


def measure(rules: Sequence[Rule], batch: TextBatch) -> dict[str, pa.Array]:
    """The signal columns of all rules. `batch` holds the texts as extracted. Raises as `edit` does."""
    return {name: column for _, _, columns in _walk(rules, batch) for name, column in columns.items()}


def signals_schema(rules: Sequence[Rule]) -> pa.Schema:
    """The signals table's schema: `id`, `failure`, then the rules' columns in order.

    Each field's metadata names the text stage it is measured on: `extracted`, or `edited` after a line rule.
    """
    fields = [pa.field("id", pa.string()), pa.field("failure", FAILURE)]
    for _, stage, columns in _walk(rules, TextBatch([], [], [])):
        fields += [
            pa.field(name, column.type, metadata={"text_stage": stage}) for name, column in columns.items()
        ]
    return pa.schema(fields, metadata={"werp.table": "signals"})


def _walk(rules: Sequence[Rule], batch: TextBatch) -> Iterator[tuple[Rule, str, dict[str, pa.Array]]]:
    stage = EXTRACTED
    for rule in rules:
        with step(rule.stage, rule.name):
            if isinstance(rule, EditRule):
                spans = rule.edits(batch)
                after = batch.edited(spans)
                stage, columns = EDITED, rule.measure_edits(batch, spans, after)
                columns[f"{rule.family}.emptied"] = pa.array(_emptied(batch, after), pa.int64())
                batch = after
            else:
                columns = rule.measure(batch)
        yield rule, stage, columns


def _emptied(before: TextBatch, after: TextBatch) -> list[int | None]:
    """Characters of each text of which an edit left nothing but white space; null for the others."""
    return [
        len(old) if old is not new and not new.strip() and old.strip() else None
        for old, new in zip(before.texts, after.texts, strict=True)
    ]
