"""From stored signals to verdicts: the first check that holds drops the document.

Nothing here looks at text, so a changed threshold is answered in milliseconds. Deduplication, the cuts of
classifiers and the ledger all ask here which documents are left, so that they can't disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from werp.signals.base import Check, Rule
from werp.tables import DROPPED, FAILED

_COMPARE = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}


def decide(signals: pa.Table, rules: Sequence[Rule]) -> pa.Table:
    """Verdicts of documents, one row a row of `signals`.

    Columns: `outcome` (`dropped`, `failed`), `stage`, `rule` (`<family>.<version>.<key>`), `value`,
    `threshold`, all strings, all null for a document that no check drops and no rule failed on.
    """
    rows = signals.num_rows
    columns: dict[str, npt.NDArray[np.object_]] = {
        name: np.full(rows, None, dtype=object) for name in ("outcome", "stage", "rule", "value", "threshold")
    }
    undecided = np.ones(rows, dtype=bool)
    for row, failure in _failures(signals):
        undecided[row] = False
        for name, value in {"outcome": FAILED, **failure}.items():
            columns[name][row] = value
    for rule in rules:
        for own, among in _by_language(rule, signals):
            for check in [*own.emptied(), *own.checks()]:
                column = signals.column(check.signal)
                hit = undecided & _holds(column, check)
                if among is not None:
                    hit &= among
                if not hit.any():
                    continue
                at = np.flatnonzero(hit)
                columns["outcome"][at] = DROPPED
                columns["stage"][at] = rule.stage
                columns["rule"][at] = f"{rule.name}.{check.key}"
                columns["value"][at] = [text_of(value) for value in column.take(pa.array(at)).to_pylist()]
                columns["threshold"][at] = text_of(check.threshold)
                undecided[at] = False
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _failures(signals: pa.Table) -> Iterator[tuple[int, dict[str, str | None]]]:
    """The rows that a rule failed on, and the ledger's columns of each."""
    if "failure" not in signals.column_names:  # measured just now, not stored
        return
    column = signals.column("failure")
    rows = np.flatnonzero(np.asarray(pc.is_valid(column), dtype=bool))
    yield from zip(rows.tolist(), column.take(pa.array(rows)).to_pylist(), strict=True)


def still_in(signals: Path, rules: Sequence[Rule], found: Sequence[Path]) -> npt.NDArray[np.bool_]:
    """Which documents of a file no rule and no stage of deduplication drops: one flag a row of `signals`.

    found: tables of what stages of deduplication found in the file (`werp.tables.DEDUP`).
    """
    measured = pq.read_table(signals, columns=sorted({"id", "failure"} | _looked_at(rules)))
    flags = np.asarray(pc.is_null(decide(measured, rules).column("stage")), dtype=bool)
    for path in found:
        table = pq.read_table(path, columns=["id", "dropped"])
        gone = table.filter(table.column("dropped")).column("id").combine_chunks()
        flags &= ~np.asarray(pc.is_in(measured.column("id"), value_set=gone), dtype=bool)
    return flags


def _looked_at(rules: Sequence[Rule]) -> set[str]:
    """The signals that deciding looks at: a threshold that is null may be a number for one language."""
    names: set[str] = set()
    for rule in rules:
        tuned = [rule.for_language(label) for label in rule.languages_tuned]
        names |= {check.signal for own in (rule, *tuned) for check in [*own.emptied(), *own.checks()]}
        names |= {"language.label"} if tuned else set()
    return names


def _by_language(rule: Rule, signals: pa.Table) -> Iterator[tuple[Rule, npt.NDArray[np.bool_] | None]]:
    """The rule as it is for each group of documents, and which they are (None: all)."""
    if not rule.languages_tuned:
        yield rule, None
        return
    labels = signals.column("language.label")
    rest = np.ones(signals.num_rows, dtype=bool)
    for label in rule.languages_tuned:
        among = np.asarray(pc.fill_null(pc.equal(labels, label), False), dtype=bool)
        rest &= ~among
        if among.any():
            yield rule.for_language(label), among
    yield rule, rest


def _holds(column: pa.ChunkedArray, check: Check) -> npt.NDArray[np.bool_]:
    if check.drop_if == "set":
        return np.asarray(pc.is_valid(column), dtype=bool)
    if check.drop_if in ("in", "not_in"):
        inside = np.asarray(pc.is_in(column, value_set=pa.array(check.threshold, pa.string())), dtype=bool)
        return inside if check.drop_if == "in" else ~inside
    holds = _COMPARE[check.drop_if](column, pa.scalar(check.threshold, pa.float64()))
    return np.asarray(pc.fill_null(holds, False), dtype=bool)


def text_of(value: Any) -> str | None:
    """A value as the ledger writes it: numbers in their shortest exact form, lists joined by commas."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
