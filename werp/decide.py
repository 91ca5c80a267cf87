"""From stored signals to verdicts: the first check that holds drops the document.

Nothing here looks at text, so a changed threshold is answered in milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from werp.signals.base import Check, Rule

_COMPARE = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}


def decide(signals: pa.Table, rules: Sequence[Rule]) -> pa.Table:
    """Verdicts of documents, one row a row of `signals`.

    Columns: `stage`, `rule` (`<family>.<version>.<key>`), `value`, `threshold`, all strings,
    all null for a document that no check drops.
    """
    rows = signals.num_rows
    columns: dict[str, npt.NDArray[np.object_]] = {
        name: np.full(rows, None, dtype=object) for name in ("stage", "rule", "value", "threshold")
    }
    undecided = np.ones(rows, dtype=bool)
    for rule in rules:
        for check in rule.checks():
            column = signals.column(check.signal)
            hit = undecided & _holds(column, check)
            if not hit.any():
                continue
            at = np.flatnonzero(hit)
            columns["stage"][at] = rule.stage
            columns["rule"][at] = f"{rule.rule}.{check.key}"
            columns["value"][at] = [text_of(value) for value in column.take(pa.array(at)).to_pylist()]
            columns["threshold"][at] = text_of(check.threshold)
            undecided[at] = False
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


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
